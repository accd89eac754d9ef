// The data of the views, as run_views.py gives it.

import type { SectionData } from "./document";

export type Num = number | null;
export type Missing = Record<string, string>;

export interface SiteRow {
  site: string;
  units: number;
  cut: boolean;
  gap: Num;
  gap_high: Num;
  modes: number | null;
  view: string | null;
  r2: Num;
  l0: Num;
  caution: string;
}

interface WithCode {
  python: string;
}

export interface OverviewData extends WithCode {
  title: string;
  subtitle: string;
  lead: string;
  unit: string;
  target: string;
  samples: number;
  classes: string[] | null;
  sites: SiteRow[];
  missing: Missing;
}

export interface Series {
  label: string;
  kind: "mode" | "contribution" | "activation" | "null" | "control";
  values: Num[];
  low: Num[] | null;
  high: Num[] | null;
}

export interface LayersData extends WithCode {
  sites: string[];
  charts: { title: string; axis: string; series: Series[] }[];
  sentences: string[];
  table: { columns: string[]; rows: (string | number | boolean | null)[][] };
  computed: boolean;
}

export interface ModesData extends WithCode {
  site: string;
  view: string;
  r2: Num;
  l0: Num;
  samples: number;
  units: number;
  method: string;
  classes: string[];
  names: string[];
  best: number[];
  specificity: Num[];
  share: Num[];
  firing: Num[];
  stability: Num[];
  effect: Num[];
  faces: number[][];
  sentences: string[];
}

export interface SampleAbout {
  row: number;
  key: string;
  label: string | null;
  prediction: string | null;
  output: number;
  right: boolean | null;
}

export interface Exemplar extends SampleAbout {
  loading: number;
}

export interface FlowEnd {
  site: string;
  mode: number | null;
  name: string;
  flow: number;
  share: number;
  of_sink: Num;
  samples: number;
}

export interface Band {
  value: Num[];
  low: Num[];
  high: Num[];
}

export interface Curve {
  site: string;
  kind: string;
  class: string;
  fractions: number[];
  before: { target: number; others: number };
  sentence: string;
  conditions: {
    name: string;
    target: Band;
    others: Band;
    selectivity: string;
    advantage: string | null;
  }[];
}

export interface ModeData extends WithCode {
  site: string;
  mode: number;
  of: number;
  name: string;
  computed_name: string;
  given_name: string;
  given_note: string;
  view: string;
  share: Num;
  firing: Num;
  stability: Num;
  best_class: string | null;
  specificity: Num;
  effect: Num;
  active: number;
  samples: number;
  exemplars: Exemplar[];
  units: {
    all: number;
    used: number;
    half: number;
    unit: number[];
    positive: number[];
    negative: number[];
    net: number[];
  };
  histogram: { edges: number[]; counts: number[] };
  classes: { class: string; correlation: Num; active: Num; loading: Num; samples: number }[];
  flow: { from: FlowEnd[]; to: FlowEnd[] } | null;
  control: Curve[];
  necessity: Record<string, unknown> | null;
  missing: Missing;
}

export interface SamplesData extends WithCode {
  keys: string[];
  labels: number[];
  predictions: number[];
  targets: Num[];
  classes: string[] | null;
  own_classes: boolean;
}

export interface Term {
  mode: number;
  name: string;
  contribution: number;
  loading: number;
  effect?: Num;
  map?: number[][] | null;
}

export interface SiteTerms {
  site: string;
  cut: boolean;
  r2: Num;
  terms: Term[];
  unexplained: number;
  elsewhere: number;
}

export interface SampleData extends SampleAbout, WithCode {
  target: number;
  baseline: number;
  change: number;
  sites: SiteTerms[];
  missing: Missing;
}

export interface FlowData extends WithCode {
  missing: string | null;
  pairs: {
    source: string;
    sink: string;
    all: number;
    edges: {
      from: number | null;
      to: number | null;
      flow: number;
      share: number;
      of_sink: Num;
      samples: number;
    }[];
  }[];
  names: Record<string, Record<string, string>>;
  sentences: string[];
}

export interface ControlData extends WithCode {
  missing: string | null;
  sites: {
    site: string;
    curves: Curve[];
    comparisons: Record<string, unknown>[];
    necessity: Record<string, unknown>[] | null;
    sentences: string[];
  }[];
}

export interface CompareData extends WithCode {
  first: string;
  second: string;
  median: Num;
  rows: {
    mode: number;
    name: string;
    share: Num;
    partner: number;
    partner_name: string;
    correlation: number;
  }[];
}

export interface SimilarData extends WithCode {
  site: string;
  mode: number;
  loading: number;
  rows: Exemplar[];
}

export interface MapsData {
  site: string;
  mode: number;
  rows: number[];
  maps: (number[][] | null)[];
}

export interface OutputRow {
  output: number;
  name: string;
  probability: number;
  logit: number;
}

export interface ExplanationData {
  words: string;
  unit: string;
  target: number;
  baseline: number;
  change: number;
  outputs: OutputRow[];
  sites: SiteTerms[];
  picture: string;
}

export interface SwitchData {
  before: OutputRow[];
  after: OutputRow[];
  target_before: number;
  target_after: number;
}

export interface About {
  live: boolean;
  reason: string;
  uploads: boolean;
  outputs: string[] | null;
}

export interface StoryData extends WithCode {
  sentences: string[];
  sections: SectionData[];
  footer: string;
}

export interface KindsData extends WithCode {
  site: string;
  mode: number;
  kinds: { title: string; samples: Exemplar[] }[];
}

export interface ViewData {
  overview: OverviewData;
  story: StoryData;
  layers: LayersData;
  modes: ModesData;
  mode: ModeData;
  kinds: KindsData;
  samples: SamplesData;
  sample: SampleData;
  similar: SimilarData;
  flow: FlowData;
  control: ControlData;
  compare: CompareData;
}
