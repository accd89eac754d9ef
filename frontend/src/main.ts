// One program for three places: a page from a server, a snapshot from disk, a notebook.

import { mount, unmount } from "svelte";
import App from "./App.svelte";
import styles from "./explorer.css?inline";
import { EmbeddedSource, ServerSource, WidgetSource, type DataSource } from "./lib/source";

function show(target: Element | ShadowRoot, source: DataSource, boxed: boolean) {
  const style = document.createElement("style");
  style.textContent = boxed ? styles : `body { margin: 0; } ${styles}`;
  target.append(style);
  return mount(App, { target, props: { source, boxed } });
}

async function begin(target: HTMLElement): Promise<void> {
  document.documentElement.lang = "en";
  const data = document.getElementById("codeclens-data")?.textContent;
  try {
    show(target, data ? new EmbeddedSource(JSON.parse(data)) : await ServerSource.open(), false);
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
    const app = show(root, new WidgetSource(model), true);
    return () => void unmount(app);
  },
};
