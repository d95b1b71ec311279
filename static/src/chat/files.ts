/** Files that go with a message: read, checked against the gateway's limits, and told apart as pictures. */
import type { Attachment } from "../api/types";
import { enc } from "../api/client";
import { at, boot } from "../app/boot";
import { bytes, t } from "../i18n";
import type { ShownFile } from "./turns";

const PICTURES = /^image\/(png|jpeg|gif|webp)$/;
export const isPicture = (file: ShownFile): boolean => PICTURES.test(file.mime_type);
const dataUrl = (file: Attachment): string => `data:${file.mime_type};base64,${file.data}`;
export const sizeOf = (file: ShownFile): number => ("id" in file ? file.size_bytes : Math.floor((file.data.length * 3) / 4));
/** Where the browser finds a file: within the page, or at the gateway. */
export const sourceOf = (file: ShownFile, sessionId: string | null): string =>
  "id" in file ? at(`api/sessions/${enc(sessionId ?? "")}/files/${enc(file.id)}`) : dataUrl(file);

/** Why a file cannot be sent, in words; null when it can. */
export function objection(file: File): string | null {
  const { enabled, max_file_size: most, allowed_extensions: allowed } = boot.attachments;
  if (!enabled) return t("files.disabled");
  if (file.size > most) return t("files.too_large", { name: file.name, size: bytes(file.size), most: bytes(most) });
  const ending = file.name.includes(".") ? file.name.split(".").at(-1)!.toLowerCase() : "";
  if (allowed.length && !allowed.some((each) => each.replace(/^\./, "").toLowerCase() === ending)) return t("files.wrong_type", { name: file.name, allowed: allowed.join(", ") });
  return null;
}

export const read = (file: File): Promise<Attachment> =>
  new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve({ file_name: file.name || t("files.unnamed"), mime_type: file.type || "application/octet-stream", data: (reader.result as string).split(",", 2)[1] ?? "" });
    reader.onerror = () => reject(new Error(t("files.unreadable", { name: file.name })));
    reader.readAsDataURL(file);
  });

/** Hand a file to the browser's download. Never opened in this origin. */
export function save(file: ShownFile, sessionId: string | null): void {
  if ("id" in file) return download(sourceOf(file, sessionId), file.file_name);
  const raw = Uint8Array.from(atob(file.data), (character) => character.charCodeAt(0));
  const url = URL.createObjectURL(new Blob([raw], { type: "application/octet-stream" }));
  download(url, file.file_name);
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** Save a text as a file. */
export function saveText(text: string, name: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  download(url, name);
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

function download(url: string, name: string): void {
  const anchor = document.createElement("a");
  anchor.href = url;
  anchor.download = name;
  anchor.click();
}
