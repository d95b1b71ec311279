import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

/** Writes `.br` and `.gz` beside every asset that gets smaller by it, so that the server never compresses. */
function compressed(): Plugin {
  return {
    name: "compressed",
    apply: "build",
    closeBundle() {
      const folder = join(import.meta.dirname, "dist", "assets");
      for (const name of readdirSync(folder)) {
        if (!/\.(js|css|svg|json)$/.test(name)) continue;
        const data = readFileSync(join(folder, name));
        const brotli = brotliCompressSync(data, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } });
        if (brotli.length < data.length) writeFileSync(join(folder, `${name}.br`), brotli);
        const gzip = gzipSync(data, { level: 9 });
        if (gzip.length < data.length) writeFileSync(join(folder, `${name}.gz`), gzip);
      }
    },
  };
}

/** The first screen comes in one script; what is opened later comes later. */
const LATER = /\/src\/(overlay\/|pages\/(?!Login)|markdown\/(highlight|render|stream)|i18n\/de)|node_modules\/(marked|lowlight|highlight\.js|devlop)\//;
const isNeededAtOnce = (id: string): boolean => /\/(src|node_modules)\/.*\.(m?js|tsx?)$/.test(id) && !LATER.test(id);

// Everything is relative: the same files serve `/` and `/i/<id>/`; the page's <base> says which.
export default defineConfig({
  base: "./",
  plugins: [compressed()],
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    target: "es2023",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    chunkSizeWarningLimit: 300,
    rolldownOptions: { output: { codeSplitting: { groups: [{ name: "app", test: isNeededAtOnce }] } } },
  },
});
