// Saving pictures and tables as files, without a server.

export function csv(columns: string[], rows: unknown[][]): string {
  const cell = (value: unknown): string => {
    const text = value === null || value === undefined ? "" : String(value);
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [columns, ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

/** A name for a file, of letters that every system takes. */
export const fileName = (text: string, ending: string): string =>
  `${text.toLowerCase().replace(/[^a-z0-9._-]+/g, "-").replace(/^[-.]+|[-.]+$/g, "") || "picture"}.${ending}`;

export function saveBlob(blob: Blob, name: string): void {
  const at = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = at;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(at), 10_000);
}

export const saveCsv = (columns: string[], rows: unknown[][], title: string): void =>
  saveBlob(new Blob([csv(columns, rows)], { type: "text/csv" }), fileName(title, "csv"));

const STYLES = [
  ...["fill", "stroke", "stroke-width", "stroke-dasharray", "opacity", "fill-opacity"],
  ...["stroke-opacity", "font-family", "font-size", "font-weight", "font-style", "text-anchor"],
];

/** A drawing as it looks on the page, with its styles written into it. */
export function standalone(svg: SVGSVGElement): string {
  const copy = svg.cloneNode(true) as SVGSVGElement;
  const [originals, copies] = [svg.querySelectorAll("*"), copy.querySelectorAll("*")];
  originals.forEach((original, place) => {
    const seen = getComputedStyle(original);
    for (const name of STYLES) copies[place]?.setAttribute(name, seen.getPropertyValue(name));
    copies[place]?.removeAttribute("class");
  });
  const { width, height } = svg.viewBox.baseVal;
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.setAttribute("width", String(width));
  copy.setAttribute("height", String(height));
  const ground = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  ground.setAttribute("width", "100%");
  ground.setAttribute("height", "100%");
  ground.setAttribute("fill", getComputedStyle(svg.closest(".cl-root") ?? svg).backgroundColor);
  copy.prepend(ground);
  return new XMLSerializer().serializeToString(copy);
}

export const saveSvg = (svg: SVGSVGElement, title: string): void =>
  saveBlob(new Blob([standalone(svg)], { type: "image/svg+xml" }), fileName(title, "svg"));

export async function savePng(svg: SVGSVGElement, title: string): Promise<void> {
  const { width, height } = svg.viewBox.baseVal;
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(standalone(svg))}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(width * 2);
  canvas.height = Math.round(height * 2);
  canvas.getContext("2d")?.drawImage(image, 0, 0, canvas.width, canvas.height);
  canvas.toBlob((blob) => blob && saveBlob(blob, fileName(title, "png")), "image/png");
}

/** Copy a text, also where the clipboard is not allowed (a page from disk). */
export async function copied(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}
