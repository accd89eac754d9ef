// Where the data come from: a server, a snapshot in the page, or a notebook. One interface.

import type { About, ExplanationData, MapsData, SwitchData, ViewData } from "./types";

export interface ExplainWish {
  picture?: string;
  row?: number;
  sites?: string[];
  target?: number | null;
  instead_of?: number | null;
  erased?: boolean[][] | null;
}

export interface JobState {
  state: "waiting" | "running" | "done" | "failed" | "cancelled";
  done: number;
  total: number;
  error?: string;
  result?: ExplanationData;
}

export interface Live {
  upload(file: Blob): Promise<string>;
  explain(wish: ExplainWish): Promise<string>;
  job(key: string): Promise<JobState>;
  cancel(key: string): Promise<void>;
  switch(job: string, site: string, factors: Record<string, number>): Promise<SwitchData>;
}

export interface DataSource {
  about: About;
  live: Live | null;
  view<K extends keyof ViewData>(kind: K, ...parts: (string | number)[]): Promise<ViewData[K]>;
  /** The address of a picture, or null where there is none. */
  picture(row: number, side: number): string | null;
  maps(site: string, mode: number): Promise<MapsData | null>;
  /** Keep a name or a note; null where nothing can be kept. */
  note: ((site: string, mode: number, what: { name?: string; note?: string }) => Promise<void>) | null;
}

export const address = (kind: string, parts: (string | number)[]): string =>
  [kind, ...parts.map((part) => encodeURIComponent(String(part)))].join("/");

export class SourceError extends Error {}

async function answer(response: Response): Promise<any> {
  let found: any;
  try {
    found = await response.json();
  } catch {
    throw new SourceError("The explorer gave no answer; is it still running?");
  }
  if (!response.ok) throw new SourceError(found.error ?? `The explorer answered ${response.status}.`);
  return found;
}

/** Keeps answers, so that going back is immediate. */
class Kept {
  private readonly found = new Map<string, Promise<any>>();

  get(key: string, make: () => Promise<any>): Promise<any> {
    let one = this.found.get(key);
    if (!one) {
      one = make();
      this.found.set(key, one);
      one.catch(() => this.found.delete(key));
    }
    return one;
  }

  forget(): void {
    this.found.clear();
  }
}

export class ServerSource implements DataSource {
  about: About;
  live: Live | null;
  note: DataSource["note"];
  private readonly kept = new Kept();

  constructor(about: About) {
    this.about = about;
    this.live = about.live ? new ServerLive() : null;
    this.note = async (site, mode, what) => {
      await send("PUT", "api/notes", { site, mode, ...what });
      this.kept.forget();
    };
  }

  static async open(): Promise<ServerSource> {
    return new ServerSource(await answer(await reach("api/about")));
  }

  view(kind: string, ...parts: (string | number)[]): Promise<any> {
    const at = address(kind, parts);
    return this.kept.get(at, async () => answer(await reach(`api/view/${at}`)));
  }

  picture(row: number, side: number): string | null {
    return this.about.live ? `api/picture/${row}?side=${side}` : null;
  }

  async maps(site: string, mode: number): Promise<MapsData | null> {
    if (!this.about.live) return null;
    const at = `api/maps/${encodeURIComponent(site)}/${mode}`;
    return this.kept.get(at, async () => answer(await reach(at)));
  }
}

async function reach(at: string, options?: RequestInit): Promise<Response> {
  try {
    return await fetch(at, options);
  } catch {
    throw new SourceError("The explorer cannot be reached; is codeclens explore still running?");
  }
}

const send = async (method: string, at: string, body: unknown): Promise<any> =>
  answer(
    await reach(at, {
      method,
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    }),
  );

class ServerLive implements Live {
  async upload(file: Blob): Promise<string> {
    const response = await reach("api/upload", {
      method: "POST",
      headers: { "content-type": "application/octet-stream" },
      body: file,
    });
    return (await answer(response)).picture;
  }

  async explain(wish: ExplainWish): Promise<string> {
    return (await send("POST", "api/explain", wish)).job;
  }

  async job(key: string): Promise<JobState> {
    return answer(await reach(`api/jobs/${key}`));
  }

  async cancel(key: string): Promise<void> {
    await answer(await reach(`api/jobs/${key}`, { method: "DELETE" }));
  }

  switch(job: string, site: string, factors: Record<string, number>): Promise<SwitchData> {
    return send("POST", "api/switch", { job, site, factors });
  }
}

export interface Snapshot {
  views: Record<string, any>;
  pictures: Record<string, string>;
  maps: Record<string, MapsData>;
}

export class EmbeddedSource implements DataSource {
  about: About = {
    live: false,
    reason: "This file holds the results; codeclens explore shows the run with its network, live.",
    uploads: false,
    outputs: null,
  };
  live = null;
  note = null;

  private readonly kept = new Kept();

  constructor(private readonly data: Snapshot) {}

  view(kind: string, ...parts: (string | number)[]): Promise<any> {
    const at = address(kind, parts);
    return this.kept.get(at, async () => {
      const found = this.data.views[at];
      if (!found)
        throw new SourceError("This page is not part of the report; codeclens explore shows it.");
      return found;
    });
  }

  picture(row: number): string | null {
    return this.data.pictures[row] ?? null;
  }

  async maps(site: string, mode: number): Promise<MapsData | null> {
    return this.data.maps[address(site, [mode])] ?? null;
  }
}

/** A notebook: each question is a message to Python, each answer one back. */
export class WidgetSource implements DataSource {
  about: About;
  live = null;
  note: DataSource["note"];
  private readonly kept = new Kept();
  private readonly waiting = new Map<number, { done: (v: any) => void; failed: (e: Error) => void }>();
  private count = 0;

  constructor(private readonly model: any) {
    this.about = model.get("about");
    model.on("msg:custom", (message: any) => {
      const one = this.waiting.get(message?.id);
      if (!one) return;
      this.waiting.delete(message.id);
      if (message.error) one.failed(new SourceError(message.error));
      else one.done(message.found);
    });
    this.note = async (site, mode, what) => {
      await this.ask("note", { site, mode, ...what });
      this.kept.forget();
    };
  }

  private ask(kind: string, about: object): Promise<any> {
    const id = ++this.count;
    return new Promise((done, failed) => {
      this.waiting.set(id, { done, failed });
      this.model.send({ id, kind, ...about });
    });
  }

  view(kind: string, ...parts: (string | number)[]): Promise<any> {
    const at = address(kind, parts);
    return this.kept.get(at, () => this.ask("view", { address: at }));
  }

  picture(): string | null {
    return null;
  }

  async maps(): Promise<MapsData | null> {
    return null;
  }
}
