import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";

// One file, the same bytes for the same sources: scripts and styles together, no hashes, no dates.
export default defineConfig({
  plugins: [svelte({ compilerOptions: { css: "external" } })],
  build: {
    target: "es2022",
    outDir: "../src/codeclens/pages/static",
    emptyOutDir: true,
    cssCodeSplit: false,
    sourcemap: false,
    reportCompressedSize: false,
    lib: { entry: "src/main.ts", formats: ["es"], fileName: () => "explorer.js" },
  },
  test: { include: ["src/**/*.test.ts"] },
});
