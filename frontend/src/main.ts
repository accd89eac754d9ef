// One program for three places: a page from a server, a snapshot from disk, a notebook.

import { mount, unmount } from "svelte";
import App from "./App.svelte";
import PageApp from "./PageApp.svelte";
import styles from "./explorer.css?inline";
import type { DocumentData } from "./lib/document";
import { EmbeddedSource, ServerSource, WidgetSource, type DataSource } from "./lib/source";

function styled(target: Element | ShadowRoot, boxed: boolean) {
  const style = document.createElement("style");
  style.textContent = boxed ? styles : `body { margin: 0; } ${styles}`;
  target.append(style);
}

function show(target: Element | ShadowRoot, source: DataSource, boxed: boolean) {
  styled(target, boxed);
  return mount(App, { target, props: { source, boxed } });
}

function showPage(target: Element | ShadowRoot, data: DocumentData, boxed: boolean) {
  styled(target, boxed);
  return mount(PageApp, { target, props: { data, boxed } });
}

async function begin(target: HTMLElement): Promise<void> {
  document.documentElement.lang = "en";
  const text = document.getElementById("codeclens-data")?.textContent;
  try {
    const data = text ? JSON.parse(text) : null;
    if (data?.document) showPage(target, data.document, false);
    else show(target, data ? new EmbeddedSource(data) : await ServerSource.open(), false);
  } catch (error) {
    target.textContent = (error as Error).message;
  }
}

const page = typeof document === "undefined" ? null : document.getElementById("codeclens-explorer");
if (page) void begin(page);

// What anywidget calls in Jupyter, VS Code, Colab and marimo.
export default {
  render({ model, el }: { model: any; el: HTMLElement }) {
    const root = el.attachShadow({ mode: "open" });
    const page = model.get("document") ?? {};
    const app = page.title === undefined ? show(root, new WidgetSource(model), true) : showPage(root, page, true);
    return () => void unmount(app);
  },
};
