// Sorting, filtering and searching thousands of modes: pure functions on the columns of a view.

import type { ModesData, Num } from "./types";

export const SORTS = {
  share: "share of the contributions",
  firing: "how often active",
  effect: "measured effect",
  stability: "stability",
  specificity: "class specificity",
  number: "number",
} as const;
export type Sort = keyof typeof SORTS;

export interface Filter {
  search: string;
  cls: number | null;
  least: Partial<Record<"share" | "stability" | "specificity" | "effect", number>>;
  named: boolean;
}

export const everything = (): Filter => ({ search: "", cls: null, least: {}, named: false });

export const isSort = (text: string | undefined): text is Sort => text !== undefined && text in SORTS;

/** The numbers of the modes to show, in order; those without a value come last. */
export function chosen(data: ModesData, filter: Filter, sort: Sort, reversed = false): number[] {
  const words = filter.search.toLowerCase().split(/\s+/).filter(Boolean);
  const found: number[] = [];
  for (let mode = 0; mode < data.names.length; mode++) {
    const name = (data.names[mode] ?? "").toLowerCase();
    if (filter.named && !name) continue;
    if (filter.cls !== null && data.best[mode] !== filter.cls) continue;
    if (!words.every((word) => name.includes(word) || word === String(mode) || word === `#${mode}`))
      continue;
    let enough = true;
    for (const [column, least] of Object.entries(filter.least)) {
      const value = data[column as "share"][mode];
      const size = column === "effect" ? Math.abs(value ?? NaN) : (value ?? NaN);
      if (least !== undefined && !(size >= least)) enough = false;
    }
    if (enough) found.push(mode);
  }
  if (sort === "number") return reversed ? found.reverse() : found;
  const values: Num[] = data[sort];
  const key = (mode: number): number => {
    const value = values[mode];
    if (value === null || value === undefined) return Number.NaN;
    return sort === "effect" ? Math.abs(value) : value;
  };
  const way = reversed ? -1 : 1;
  return found.sort((a, b) => {
    const [left, right] = [key(a), key(b)];
    if (Number.isNaN(left) || Number.isNaN(right))
      return Number(Number.isNaN(left)) - Number(Number.isNaN(right)) || a - b;
    return way * (right - left) || a - b;
  });
}

/** Which rows of a grid are on the screen, with a few more above and below. */
export function visible(
  scroll: number,
  height: number,
  rowHeight: number,
  rows: number,
  more = 3,
): { first: number; last: number } {
  const first = Math.max(0, Math.floor(scroll / rowHeight) - more);
  const last = Math.min(rows, Math.ceil((scroll + height) / rowHeight) + more);
  return { first: Math.min(first, Math.max(0, last)), last };
}
