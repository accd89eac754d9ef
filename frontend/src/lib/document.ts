// Documents: text, figures, tables and charts in sections, with running numbers.

export type Cell = string;
export interface ImageData_ {
  at: string;
  width: number;
  height: number;
  crisp: boolean;
  plate: boolean;
}
export type Block =
  | { kind: "text"; text: string; style: string }
  | { kind: "points"; items: string[] }
  | { kind: "facts"; pairs: [string, string][] }
  | { kind: "figure"; image: ImageData_; caption: string; alt: string; wide: boolean }
  | { kind: "marked"; rows: [string, [string, number, string][]][]; caption: string }
  | { kind: "table"; header: string[]; rows: Cell[][]; words: boolean[]; caption: string; wide: boolean }
  | { kind: "part"; name: string; content: any }
  | SectionData;
export interface SectionData {
  kind: "section";
  title: string;
  blocks: Block[];
}
export interface DocumentData {
  title: string;
  subtitle: string;
  opening: Block[];
  sections: SectionData[];
  footer: string;
}

/** A block with its number: figures and tables are counted over the document, sections by place. */
export interface Numbered {
  block: Block;
  number: string;
  inner: Numbered[];
}

export function numbered(opening: Block[], sections: SectionData[]): { opening: Numbered[]; sections: Numbered[] } {
  let figures = 0;
  let tables = 0;
  const all = (blocks: Block[], place: string): Numbered[] => {
    let count = 0;
    return blocks.map((block) => {
      if (block.kind === "section") {
        const number = place ? `${place}.${++count}` : String(++count);
        return { block, number, inner: all(block.blocks, number) };
      }
      if (block.kind === "figure" || block.kind === "marked") return { block, number: String(++figures), inner: [] };
      if (block.kind === "table") return { block, number: String(++tables), inner: [] };
      return { block, number: "", inner: [] };
    });
  };
  return { opening: all(opening, "0"), sections: all(sections, "") };
}

/** The sections of a document in order, with their depth: its table of contents. */
export function contents(sections: Numbered[], depth = 0): { number: string; title: string; depth: number }[] {
  return sections.flatMap((one) =>
    one.block.kind === "section"
      ? [{ number: one.number, title: one.block.title, depth }, ...contents(one.inner, depth + 1)]
      : [],
  );
}

export const anchor = (number: string): string => `section-${number.replaceAll(".", "-")}`;

/** The ending of the file that an image would be. */
export const endingOf = (at: string): string =>
  ({ "image/svg+xml": "svg", "image/png": "png", "image/jpeg": "jpg" })[/^data:([^;,]+)/.exec(at)?.[1] ?? ""] ?? "png";
