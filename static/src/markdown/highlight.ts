/** Colours for code, fetched when the first block is complete. */
import type { Element, Root, Text } from "hast";
import bash from "highlight.js/lib/languages/bash";
import cpp from "highlight.js/lib/languages/cpp";
import diff from "highlight.js/lib/languages/diff";
import dockerfile from "highlight.js/lib/languages/dockerfile";
import go from "highlight.js/lib/languages/go";
import ini from "highlight.js/lib/languages/ini";
import java from "highlight.js/lib/languages/java";
import json from "highlight.js/lib/languages/json";
import python from "highlight.js/lib/languages/python";
import ruby from "highlight.js/lib/languages/ruby";
import rust from "highlight.js/lib/languages/rust";
import sql from "highlight.js/lib/languages/sql";
import typescript from "highlight.js/lib/languages/typescript";
import xml from "highlight.js/lib/languages/xml";
import yaml from "highlight.js/lib/languages/yaml";
import { createLowlight, type LanguageFn } from "lowlight";

/** The library's own grammar of CSS lists every property and colour there is: 4 kB for what a pattern sees as well. */
const css: LanguageFn = (library) => ({
  name: "CSS",
  contains: [
    library.C_BLOCK_COMMENT_MODE, library.APOS_STRING_MODE, library.QUOTE_STRING_MODE,
    { scope: "keyword", match: /@[\w-]+|!important\b/ },
    { scope: "attr", match: /--?[\w-]+(?=\s*:)|[a-z][\w-]*(?=\s*:[^{};]*[;}])/ },
    { scope: "number", match: /#[\da-f]{3,8}\b|-?(?:\d*\.)?\d+(?:%|[a-z]+)?\b/i },
    { scope: "selector-tag", match: /[.#]-?[a-z_][\w-]*|\b[a-z][\w-]*(?=[^;{}()]*\{)/i },
  ],
});

const lowlight = createLowlight({
  bash, cpp, css, diff, dockerfile, go, ini, java, json, python, ruby, rust, sql, typescript, xml, yaml,
});
lowlight.registerAlias({ ini: ["toml"], cpp: ["c", "h"], bash: ["shell", "console", "zsh"], typescript: ["tsx", "javascript", "js", "jsx", "mjs", "cjs"] });
const MOST_CHARACTERS = 60_000;

function draw(node: Root | Element | Text): Node {
  if (node.type === "text") return document.createTextNode(node.value);
  const made = node.type === "root" ? document.createDocumentFragment() : document.createElement("span");
  if (node.type === "element") (made as HTMLElement).className = ((node.properties.className as string[] | undefined) ?? []).join(" ");
  for (const child of node.children) made.appendChild(draw(child as Element | Text));
  return made;
}

export function highlight(code: HTMLElement, language: string): void {
  const text = code.textContent ?? "";
  if (!lowlight.registered(language) || text.length > MOST_CHARACTERS) return;
  code.replaceChildren(draw(lowlight.highlight(language, text)));
}
