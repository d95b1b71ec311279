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

/** Writes `assets/licenses.txt`: the notices of every package of which something stands in the bundles, fonts included. */
function licenses(): Plugin {
  const folders = new Set<string>();
  const note = (id: string): void => {
    const found = /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(id.replace(/^\0/, ""));
    if (found) folders.add(found[1]!);
  };
  return {
    name: "licenses",
    apply: "build",
    generateBundle(_options, bundle) {
      for (const item of Object.values(bundle)) {
        if (item.type === "chunk") Object.keys(item.modules).forEach(note);
        else item.originalFileNames.forEach((name) => note(join(import.meta.dirname, name)));
      }
      const notices = [...folders].sort().map((folder) => {
        const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
        const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
        if (!file) this.error(`${name} has no licence file; see what it asks for`);
        return `${name} ${version} (${license})\n\n${readFileSync(join(folder, file), "utf8").trim()}\n`;
      });
      this.emitFile({ type: "asset", fileName: "assets/licenses.txt", source: notices.join(`\n${"-".repeat(80)}\n\n`) });
    },
  };
}

/** The first screen comes in one script; what is opened later comes later. */
const LATER = /\/src\/(overlay\/|pages\/(?!Login)|markdown\/(highlight|render|stream)|i18n\/de)|node_modules\/(marked|lowlight|highlight\.js|devlop)\//;
const isNeededAtOnce = (id: string): boolean => /\/(src|node_modules)\/.*\.(m?js|tsx?)$/.test(id) && !LATER.test(id);

// Everything is relative: the same files serve `/` and `/i/<id>/`; the page's <base> says which.
export default defineConfig({
  base: "./",
  plugins: [compressed(), licenses()],
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
