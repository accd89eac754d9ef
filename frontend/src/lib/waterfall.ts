// The rows of a waterfall: the largest modes, the others together, what no mode explains, the sum.

import { modeName } from "./format";
import type { SiteTerms } from "./types";

export interface Step {
  label: string;
  mode: number | null;
  kind: "mode" | "rest" | "total";
  amount: number;
  start: number;
  end: number;
}

export function steps(site: SiteTerms, most: number): Step[] {
  const rows: Step[] = [];
  let sum = 0;
  const add = (label: string, mode: number | null, kind: Step["kind"], amount: number): void => {
    rows.push({ label, mode, kind, amount, start: sum, end: sum + amount });
    sum += amount;
  };
  for (const term of site.terms.slice(0, most))
    add(`${term.mode} · ${modeName(term.name)}`, term.mode, "mode", term.contribution);
  const others = site.terms.slice(most);
  if (others.length)
    add(
      `${others.length} other mode${others.length === 1 ? "" : "s"}`,
      null,
      "rest",
      others.reduce((total, term) => total + term.contribution, 0),
    );
  add("not explained by modes", null, "rest", site.unexplained);
  const total = sum + site.elsewhere;
  // Rounding aside, everything passes through a cut.
  if (Math.abs(site.elsewhere) > 0.005 * Math.abs(total)) add("outside this site", null, "rest", site.elsewhere);
  rows.push({ label: "change of the target", mode: null, kind: "total", amount: total, start: 0, end: total });
  return rows;
}
