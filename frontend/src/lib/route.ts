// Addresses: everything that a view shows is after the #, so that it can be shared and opened again.

export interface Route {
  view: string;
  parts: string[];
  query: Record<string, string>;
}

export function parse(hash: string): Route {
  const text = hash.replace(/^#?\/?/, "");
  const [path = "", query = ""] = text.split("?", 2);
  const [view, ...parts] = path.split("/").map(decoded);
  return {
    view: view || "overview",
    parts,
    query: Object.fromEntries(new URLSearchParams(query)),
  };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export function link(
  view: string,
  parts: (string | number)[] = [],
  query: Record<string, string | number | null | undefined> = {},
): string {
  const path = [view, ...parts].map((part) => encodeURIComponent(String(part))).join("/");
  const given = Object.entries(query).filter(([, v]) => v !== "" && v !== null && v !== undefined);
  const search = new URLSearchParams(given.map(([k, v]) => [k, String(v)])).toString();
  return `#/${path}${search ? `?${search}` : ""}`;
}
