// Where modes and the flow between them are drawn: sites as columns, modes stacked by their flow.

import type { FlowData } from "./types";

export interface FlowNode {
  site: string;
  mode: number;
  name: string;
  label: string;
  x: number;
  y: number;
  height: number;
  right: boolean;
  lit: boolean;
}

export interface FlowEdge {
  source: string;
  sink: string;
  from: number;
  to: number;
  flow: number;
  share: number;
  of_sink: number | null;
  samples: number;
  path: string;
  width: number;
  words: string;
  lit: boolean;
}

export interface FlowPlan {
  width: number;
  height: number;
  columns: { site: string; x: number }[];
  nodes: FlowNode[];
  edges: FlowEdge[];
}

const COLUMN = 230, LEFT = 30, TOP = 30, GAP = 9, BODY = 460, LEAST = 11;

export function layout(data: FlowData, most: number, start: { site: string; mode: number } | null): FlowPlan {
  const sites = [...new Set(data.pairs.flatMap((pair) => [pair.source, pair.sink]))];
  const column = new Map(sites.map((site, place) => [site, place]));
  const raw = data.pairs.flatMap((pair) =>
    pair.edges
      .filter((edge) => edge.from !== null && edge.to !== null)
      .filter((edge) => !start || touches(pair, edge, start, sites))
      .slice(0, most)
      .map((edge) => ({ ...edge, from: edge.from as number, to: edge.to as number, source: pair.source, sink: pair.sink })),
  );
  const key = (site: string, mode: number): string => `${column.get(site)}/${mode}`;
  const lit = followed(raw, start, key);
  const weight = new Map<string, { site: string; mode: number; into: number; out: number }>();
  const met = (site: string, mode: number) => {
    const at = key(site, mode);
    let one = weight.get(at);
    if (!one) weight.set(at, (one = { site, mode, into: 0, out: 0 }));
    return one;
  };
  for (const edge of raw) {
    met(edge.source, edge.from).out += edge.share;
    met(edge.sink, edge.to).into += edge.share;
  }
  const nodes: FlowNode[] = [];
  const place = new Map<string, FlowNode>();
  let height = 0;
  const heaviest = Math.max(
    1e-12,
    ...sites.map((site) => [...weight.values()].filter((n) => n.site === site).reduce((s, n) => s + Math.max(n.into, n.out), 0)),
  );
  const scale = BODY / heaviest;
  sites.forEach((site, n) => {
    let y = TOP;
    const here = [...weight.values()].filter((one) => one.site === site);
    here.sort((a, b) => Math.max(b.into, b.out) - Math.max(a.into, a.out) || a.mode - b.mode);
    for (const one of here) {
      const name = data.names[site]?.[String(one.mode)] ?? "";
      const node: FlowNode = {
        site, mode: one.mode, name, label: short(`${one.mode}${name ? ` · ${name}` : ""}`),
        x: LEFT + n * COLUMN, y, height: Math.max(LEAST, Math.max(one.into, one.out) * scale),
        right: n > 0 && n === sites.length - 1, lit: !start || lit.has(key(site, one.mode)),
      };
      nodes.push(node);
      place.set(key(site, one.mode), node);
      y += node.height + GAP;
    }
    height = Math.max(height, y);
  });
  const used = new Map<string, number>();
  const slot = (node: FlowNode, side: string, size: number): number => {
    const at = `${side}${key(node.site, node.mode)}`;
    const from = used.get(at) ?? 0;
    used.set(at, from + size);
    return node.y + from + size / 2;
  };
  const edges = raw.map((edge) => {
    const [a, b] = [place.get(key(edge.source, edge.from)), place.get(key(edge.sink, edge.to))];
    const width = Math.max(1, edge.share * scale);
    if (!a || !b) throw new Error("an edge without ends");
    const [y1, y2] = [slot(a, "out", width), slot(b, "in", width)];
    const [x1, x2] = [a.x + 4, b.x - 4];
    const middle = (x1 + x2) / 2;
    return {
      ...edge, width,
      path: `M${x1},${y1.toFixed(1)}C${middle},${y1.toFixed(1)} ${middle},${y2.toFixed(1)} ${x2},${y2.toFixed(1)}`,
      words: `${a.label} → ${b.label}`,
      lit: !start || (lit.has(key(edge.source, edge.from)) && lit.has(key(edge.sink, edge.to))),
    };
  });
  return {
    width: 2 * LEFT + (sites.length - 1) * COLUMN, height: height + 6,
    columns: sites.map((site, n) => ({ site, x: LEFT + n * COLUMN })), nodes, edges,
  };
}

const short = (text: string): string => (text.length > 22 ? `${text.slice(0, 21)}…` : text);

/** Whether an edge ends at the chosen mode, or lies between other pairs of sites. */
function touches(
  pair: { source: string; sink: string },
  edge: { from: number | null; to: number | null },
  start: { site: string; mode: number },
  _sites: string[],
): boolean {
  if (pair.source === start.site) return edge.from === start.mode;
  if (pair.sink === start.site) return edge.to === start.mode;
  return true;
}

/** All modes that are connected with the chosen one, upstream and downstream. */
export function followed(
  edges: { source: string; sink: string; from: number; to: number }[],
  start: { site: string; mode: number } | null,
  key: (site: string, mode: number) => string,
): Set<string> {
  const found = new Set<string>();
  if (!start) return found;
  const first = key(start.site, start.mode);
  for (const way of ["down", "up"] as const) {
    const reached = new Set([first]);
    let grew = true;
    while (grew) {
      grew = false;
      for (const edge of edges) {
        const [a, b] = [key(edge.source, edge.from), key(edge.sink, edge.to)];
        const [here, there] = way === "down" ? [a, b] : [b, a];
        if (reached.has(here) && !reached.has(there)) {
          reached.add(there);
          grew = true;
        }
      }
    }
    reached.forEach((one) => found.add(one));
  }
  return found;
}
