/** Colours for code, fetched when the first block is complete. */
import type { Element, Root, Text } from "hast";
import bash from "highlight.js/lib/languages/bash";
import c from "highlight.js/lib/languages/c";
import cpp from "highlight.js/lib/languages/cpp";
import css from "highlight.js/lib/languages/css";
import diff from "highlight.js/lib/languages/diff";
import dockerfile from "highlight.js/lib/languages/dockerfile";
import go from "highlight.js/lib/languages/go";
import ini from "highlight.js/lib/languages/ini";
import java from "highlight.js/lib/languages/java";
import javascript from "highlight.js/lib/languages/javascript";
import json from "highlight.js/lib/languages/json";
import python from "highlight.js/lib/languages/python";
import ruby from "highlight.js/lib/languages/ruby";
import rust from "highlight.js/lib/languages/rust";
import sql from "highlight.js/lib/languages/sql";
import typescript from "highlight.js/lib/languages/typescript";
import xml from "highlight.js/lib/languages/xml";
import yaml from "highlight.js/lib/languages/yaml";
import { createLowlight } from "lowlight";

const lowlight = createLowlight({
  bash, c, cpp, css, diff, dockerfile, go, ini, java, javascript, json, python, ruby, rust, sql, typescript, xml, yaml,
});
lowlight.registerAlias({ ini: ["toml"], bash: ["shell", "console", "zsh"], javascript: ["jsx"], typescript: ["tsx"] });
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
