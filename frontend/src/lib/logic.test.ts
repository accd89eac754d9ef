import { contents, endingOf, numbered, type Block, type SectionData } from "./document";
import { describe, expect, it } from "vitest";
import { layout } from "./flow";
import { inlined, number, percent, signed } from "./format";
import { chosen, everything, visible } from "./modes";
import { tinted } from "./overlay";
import { link, parse } from "./route";
import { csv, fileName } from "./save";
import { address, EmbeddedSource } from "./source";
import type { FlowData, ModesData } from "./types";
import { steps } from "./waterfall";

const data = {
  site: "a",
  names: ["dog", "", "cat, dog", "truck"],
  best: [0, -1, 1, 2],
  classes: ["dog", "cat", "truck"],
  share: [0.1, 0.4, 0.2, 0.3],
  firing: [0.5, 0.1, 0.2, 0.3],
  stability: [0.9, null, 0.2, 0.8],
  specificity: [0.7, null, 0.3, 0.9],
  effect: [1, null, -3, 2],
} as unknown as ModesData;

describe("modes", () => {
  it("sorts, with unknown values last in both orders", () => {
    expect(chosen(data, everything(), "share")).toEqual([1, 3, 2, 0]);
    expect(chosen(data, everything(), "effect")).toEqual([2, 3, 0, 1]);
    expect(chosen(data, everything(), "stability", true)).toEqual([2, 3, 0, 1]);
    expect(chosen(data, everything(), "number", true)).toEqual([3, 2, 1, 0]);
  });
  it("filters by words, numbers, class and least values", () => {
    const by = (change: object) => chosen(data, { ...everything(), ...change }, "number");
    expect(by({ search: "DOG" })).toEqual([0, 2]);
    expect(by({ search: "cat dog" })).toEqual([2]);
    expect(by({ search: "3" })).toEqual([3]);
    expect(by({ cls: 1 })).toEqual([2]);
    expect(by({ named: true })).toEqual([0, 2, 3]);
    expect(by({ least: { effect: 2 } })).toEqual([2, 3]);
    expect(by({ least: { stability: 0.5 } })).toEqual([0, 3]);
  });
  it("shows only the rows on the screen", () => {
    expect(visible(0, 500, 100, 1000)).toEqual({ first: 0, last: 8 });
    expect(visible(50_000, 500, 100, 1000)).toEqual({ first: 497, last: 508 });
    expect(visible(0, 500, 100, 2)).toEqual({ first: 0, last: 2 });
    expect(visible(99_999, 500, 100, 0)).toEqual({ first: 0, last: 0 });
  });
});

describe("addresses", () => {
  it("go there and back with any name", () => {
    for (const site of ["blocks.5.3", "a/b", "relu#1", "x?y=1&z", "ü %"]) {
      const found = parse(link("mode", [site, 3], { sort: "effect", search: "a b", class: "" }));
      expect(found).toEqual({ view: "mode", parts: [site, "3"], query: { sort: "effect", search: "a b" } });
    }
    expect(parse("")).toEqual({ view: "overview", parts: [], query: {} });
    expect(parse("#/mode/%E0%A4%A").parts).toEqual(["%E0%A4%A"]);
    expect(address("modes", ["a/b"])).toBe("modes/a%2Fb");
  });
});

describe("numbers", () => {
  it("are read easily", () => {
    expect([number(0.12345), number(-3), number(12345.6), number(null), number(0.00001)]).toEqual([
      "0.123", "−3", "12,346", "–", "1.0e−5",
    ]);
    expect([signed(1.234), signed(-0.5), signed(0.0001), signed(null)]).toEqual(["+1.23", "−0.50", "0.00", "–"]);
    expect([percent(0.123), percent(1), percent(0.00001), percent(0)]).toEqual(["12.3 %", "100 %", "< 0.1 %", "0 %"]);
    expect(inlined("a `b` c").map((part) => part.code)).toEqual([false, true, false]);
  });
});

describe("a waterfall", () => {
  const terms = [3, -1, 0.5].map((contribution, mode) => ({ mode, name: "", contribution, loading: 1 }));
  it("ends at the change", () => {
    const rows = steps({ site: "a", cut: true, r2: 1, terms, unexplained: 0.25, elsewhere: 0.25 }, 2);
    expect(rows.map((row) => row.label)).toEqual([
      "0 · no clear name", "1 · no clear name", "1 other mode", "not explained by modes", "outside this site",
      "change of the target",
    ]);
    expect(rows.at(-1)?.amount).toBeCloseTo(3);
    for (let n = 1; n < rows.length - 1; n++) expect(rows[n]?.start).toBe(rows[n - 1]?.end);
  });
});

describe("flow", () => {
  const edge = (from: number | null, to: number | null, share: number) => ({ from, to, share, flow: share, of_sink: 1, samples: 1 });
  const flow: FlowData = {
    python: "", missing: null, names: {}, sentences: [],
    pairs: [
      { source: "a", sink: "b", all: 3, edges: [edge(0, 0, 0.5), edge(1, 1, 0.3), edge(null, 0, 0.2)] },
      { source: "b", sink: "c", all: 2, edges: [edge(0, 5, 0.6), edge(1, 6, 0.4)] },
    ],
  };
  it("follows one mode from site to site", () => {
    const all = layout(flow, 10, null);
    expect(all.edges.length).toBe(4);
    expect(all.columns.map((one) => one.site)).toEqual(["a", "b", "c"]);
    const lit = layout(flow, 10, { site: "a", mode: 0 }).nodes.filter((node) => node.lit);
    expect(lit.map((node) => `${node.site}${node.mode}`).sort()).toEqual(["a0", "b0", "c5"]);
  });
});

describe("saving", () => {
  it("quotes what a table needs", () => {
    expect(csv(["a", "b"], [["x,y", 'say "hi"'], [null, 3]])).toBe('a,b\r\n"x,y","say ""hi"""\r\n,3\r\n');
    expect(fileName("Modes of a/b: 1", "csv")).toBe("modes-of-a-b-1.csv");
    expect(fileName("//", "png")).toBe("picture.png");
  });
  it("tints support and opposition", () => {
    const { width, height, data: pixels } = tinted([[1, -0.25]]);
    expect([width, height]).toEqual([2, 1]);
    expect([...pixels]).toEqual([217, 84, 10, 215, 10, 95, 196, 108]);
  });
});

describe("a report", () => {
  it("answers what it holds and says what it lacks", async () => {
    const source = new EmbeddedSource({ views: { "modes/a%2Fb": { site: "a/b" } }, pictures: { 3: "data:," }, maps: {} });
    expect(await source.view("modes", "a/b")).toEqual({ site: "a/b" });
    expect(source.picture(3)).toBe("data:,");
    expect(source.picture(4)).toBeNull();
    await expect(source.view("flow")).rejects.toThrow("not part of the report");
  });
});

describe("a document", () => {
  const section = (title: string, ...blocks: Block[]): SectionData => ({ kind: "section", title, blocks });
  const table: Block = { kind: "table", header: [], rows: [], words: [], caption: "", wide: false };
  const image = { at: "data:image/png;base64,", width: 1, height: 1, crisp: false, plate: false };
  const figure: Block = { kind: "figure", image, caption: "", alt: "", wide: false };

  it("numbers sections by their place, figures and tables in order", () => {
    const found = numbered([figure], [section("a", figure, section("in", figure, table)), section("b", section("c", table), section("d"))]);
    expect(found.opening[0]?.number).toBe("1");
    const [a, b] = found.sections;
    expect([a?.number, a?.inner[0]?.number, a?.inner[1]?.number]).toEqual(["1", "2", "1.1"]);
    expect(a?.inner[1]?.inner.map((one) => one.number)).toEqual(["3", "1"]);
    expect(b?.inner[0]?.inner[0]?.number).toBe("2");
    expect(contents(found.sections).map((one) => [one.number, one.title, one.depth])).toEqual([
      ["1", "a", 0], ["1.1", "in", 1], ["2", "b", 0], ["2.1", "c", 1], ["2.2", "d", 1],
    ]);
  });

  it("gives images the ending of their type", () => {
    expect([image.at, "data:image/svg+xml;base64,x", "data:image/jpeg;base64,x"].map(endingOf)).toEqual(["png", "svg", "jpg"]);
  });

  it("keeps a single backtick as it is", () => {
    expect(inlined("a `b` c` d")).toEqual([
      { code: false, text: "a " }, { code: true, text: "b" }, { code: false, text: " c` d" },
    ]);
  });
});
