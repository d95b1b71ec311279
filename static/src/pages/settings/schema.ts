/** The settings' JSON schema as forms read it: one field at a time, with references followed. */
import { api } from "../../api/client";
import { locale, t } from "../../i18n";

/** What a setting is called in another language, by its place in agent.toml (a secret by its name): label, help, and words of a choice. */
type Words = Record<string, [label: string, help?: string, choices?: Record<string, string>]>;
const CATALOGUES = import.meta.glob<string>("../../i18n/*/settings.json", { query: "?url", import: "default", eager: true });
const words = new Map<string, Promise<Words>>();

/** Without a file for the language, or when it cannot be fetched, the schema's own words stand. */
function wordsFor(language: string): Promise<Words> {
  const address = CATALOGUES[`../../i18n/${language}/settings.json`];
  if (!address) return Promise.resolve({});
  const known = words.get(language);
  if (known) return known;
  const asked = fetch(address).then((answer) => (answer.ok ? (answer.json() as Promise<Words>) : Promise.reject(new Error(address))));
  words.set(language, asked);
  return asked.catch(() => { words.delete(language); return {}; });
}

interface Node {
  $ref?: string;
  type?: string;
  anyOf?: Node[];
  enum?: string[];
  items?: Node;
  title?: string;
  description?: string;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  properties?: Record<string, Node>;
}
interface Schema extends Node {
  $defs: Record<string, Node>;
  "x-sections": Record<string, { field: string; key: string; required: boolean }[]>;
  "x-secrets": Record<string, { field: string; name: string }>;
  "x-restart": string[];
}

export interface FieldSpec {
  /** Its place in the body, e.g. `telegram.enabled`. */
  field: string;
  label: string;
  help: string;
  kind: "switch" | "choice" | "number" | "list" | "text" | "secret";
  choices: { value: string; label: string }[];
  isNullable: boolean;
  isInteger: boolean;
  least: number | undefined;
  most: number | undefined;
  needsRestart: boolean;
}

let schema: Promise<Schema> | null = null;
const fetchSchema = (): Promise<Schema> => (schema ??= api.get<Schema>("api/settings/schema").catch((error: unknown) => { schema = null; throw error; }));

function follow(root: Schema, node: Node | undefined): Node {
  return node?.$ref ? { ...root.$defs[node.$ref.split("/").at(-1)!]!, ...(node.description ? { description: node.description } : {}) } : (node ?? {});
}

function find(root: Schema, key: string): Node {
  let node: Node = root;
  for (const part of key.split(".")) node = follow(root, node.properties?.[part]);
  return node;
}

/** `Shell Timeout Secs` as people write: "Shell timeout (seconds)". */
function named(title: string): string {
  const words = title.toLowerCase().replace(/ secs$/, " (seconds)").replace(/ ms$/, " (ms)").replace(/ mb$/, " (MB)").replace(/ usd$/, " (USD)").replace(/ pct$/, " (%)").replace(/\bapi\b/, "API").replace(/\burl\b/, "URL").replace(/\bid\b/, "ID");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** The fields of a settings page, in its order. Throws ApiError. */
export async function fieldsOf(section: string): Promise<FieldSpec[]> {
  const [root, own] = await Promise.all([fetchSchema(), wordsFor(locale.peek())]);
  const secret = root["x-secrets"][section];
  const hidden: FieldSpec[] = secret
    ? [{ field: secret.field, label: own[secret.name]?.[0] ?? named(secret.field.split(".").at(-1)!.replaceAll("_", " ")), help: t("settings.secret_help", { name: secret.name }), kind: "secret", choices: [], isNullable: false, isInteger: false, least: undefined, most: undefined, needsRestart: false }]
    : [];
  const shown = (root["x-sections"][section] ?? []).map(({ field, key }): FieldSpec => {
    const node = find(root, key);
    const options = node.anyOf?.map((each) => follow(root, each)) ?? [node];
    const real = options.find((each) => each.type !== "null") ?? {};
    const type = real.type;
    const [label, help, choices] = own[key] ?? [];
    return {
      field,
      label: label ?? named(node.title ?? field.split(".").at(-1)!.replaceAll("_", " ")),
      help: help ?? node.description ?? "",
      kind: type === "boolean" ? "switch" : real.enum ? "choice" : type === "integer" || type === "number" ? "number" : type === "array" ? "list" : "text",
      choices: (real.enum ?? []).map((value) => ({ value, label: choices?.[value] ?? value })),
      isNullable: options.some((each) => each.type === "null"),
      isInteger: type === "integer",
      least: real.minimum ?? (real.exclusiveMinimum === undefined ? undefined : type === "integer" ? real.exclusiveMinimum + 1 : real.exclusiveMinimum),
      most: real.maximum,
      needsRestart: root["x-restart"].includes(key),
    };
  });
  return [...shown.slice(0, 1), ...hidden, ...shown.slice(1)];
}
