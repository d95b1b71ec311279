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
import rust from "highlight.js/lib/languages/rust";
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

/** The library's own grammar of SQL knows the reserved words and functions of every dialect: 2 kB for what these do as well. */
const sql: LanguageFn = (library) => ({
  name: "SQL",
  case_insensitive: true,
  keywords: {
    keyword:
      "add all alter analyze and any as asc begin between by cascade case check collate column commit conflict constraint create cross " +
      "database default delete desc distinct do drop else end except exists explain fetch filter first for foreign from full function " +
      "grant group having if ilike in index inner insert intersect into is join key last lateral left like limit materialized natural " +
      "not nothing nulls of offset on or order outer over partition pragma primary procedure recursive references replace returning " +
      "revoke right rollback row rows schema select set table temporary then to transaction trigger truncate union unique update using " +
      "vacuum values view when where window with",
    literal: "true false null",
    type: "bigint blob boolean bytea char date datetime decimal double float int integer interval json jsonb numeric real serial smallint text time timestamp timestamptz uuid varchar",
    built_in: "abs avg cast coalesce concat count current_date current_timestamp greatest least length lower max min now nullif rank round row_number substr substring sum trim upper",
  },
  contains: [
    library.COMMENT("--", "$"), library.C_BLOCK_COMMENT_MODE, library.NUMBER_MODE,
    { scope: "string", begin: /'/, end: /'/, contains: [{ match: /''/ }] },
    { begin: /"/, end: /"/, contains: [{ match: /""/ }] },
  ],
});

const lowlight = createLowlight({
  bash, cpp, css, diff, dockerfile, go, ini, java, json, python, rust, sql, typescript, xml, yaml,
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
