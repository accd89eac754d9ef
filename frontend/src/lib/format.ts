// Numbers and names as people read them.

import type { Num } from "./types";

const MINUS = "−";

export function number(value: Num | undefined, digits = 3): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  let text: string;
  if (Number.isInteger(value)) text = size.toLocaleString("en-US");
  else if (size >= 1000) text = Math.round(size).toLocaleString("en-US");
  else if (size !== 0 && size < 10 ** -digits) text = size.toExponential(1).replace("-", MINUS);
  else text = Number(size.toPrecision(digits)).toString();
  return value < 0 ? MINUS + text : text;
}

export function signed(value: Num | undefined, places = 2): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const text = Math.abs(value).toFixed(places);
  if (Number(text) === 0) return text;
  return (value < 0 ? MINUS : "+") + text;
}

export function percent(value: Num | undefined, places = 1): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const of100 = value * 100;
  if (of100 !== 0 && Math.abs(of100) < 10 ** -places) return `< ${10 ** -places} %`;
  return `${of100.toFixed(of100 === 0 || Math.abs(of100) >= 99.95 ? 0 : places)} %`.replace("-", MINUS);
}

export const modeName = (name: string): string => name || "no clear name";

/** Text with `names` between backticks, as parts to be shown as code or as words. */
export function inlined(text: string): { code: boolean; text: string }[] {
  return text
    .split(/`([^`\n]+)`/)
    .map((part, place) => ({ code: place % 2 === 1, text: part }))
    .filter((part) => part.text);
}
