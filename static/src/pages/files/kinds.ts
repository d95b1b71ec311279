/** What the files page knows about files: their addresses, and how each kind is shown. */
import { at } from "../../app/boot";
import { withQuery } from "../../api/client";

export interface Entry {
  name: string;
  type: "file" | "directory";
  size: number;
  modified_at: string;
  is_broken: boolean;
}
export interface Info {
  path: string;
  type: "file" | "directory";
  size: number;
  modified_at: string;
  mime_type: string;
  is_text: boolean;
}

export type Preview = "picture" | "sound" | "film" | "frame" | "markdown" | "text" | "none";
const MOST_TEXT = 1_500_000;

export function previewOf({ mime_type: type, is_text, size }: Info): Preview {
  if (/^image\/(?!svg)/.test(type)) return "picture";
  if (type.startsWith("audio/")) return "sound";
  if (type.startsWith("video/") && !is_text) return "film"; // .ts is a film to some lists of types
  if (!is_text || size > MOST_TEXT) return "none";
  if (/^(text\/html|image\/svg)/.test(type)) return "frame";
  return type === "text/markdown" ? "markdown" : "text";
}

export const rawUrl = (path: string, download = false): string => at(withQuery("api/files/raw", { path, download: download || null }));
export const address = (path: string, isFolder: boolean): string => (path ? `files/${path.split("/").map(encodeURIComponent).join("/")}${isFolder ? "/" : ""}` : "files");
export const join = (folder: string, name: string): string => (folder ? `${folder}/${name}` : name);
export const parentOf = (path: string): string => path.split("/").slice(0, -1).join("/");
export const nameOf = (path: string): string => path.split("/").at(-1)!;
