/** Sending files to a folder, one after the other, with progress. */
import { signal } from "@preact/signals";
import { ApiError, withQuery } from "../../api/client";
import { at } from "../../app/boot";
import { bytes, t } from "../../i18n";
import { confirm } from "../../ui/dialog";
import { toast } from "../../ui/toast";
import { join } from "./kinds";

const MOST_BYTES = 50 * 1024 * 1024;
/** What is on its way: its name and how much of it has been sent, from 0 to 1. */
export const sending = signal<{ name: string; share: number } | null>(null);

function send(path: string, file: File, replace: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", at(withQuery("api/files/raw", { path, replace: replace || null })));
    request.upload.onprogress = (event) => (sending.value = { name: file.name, share: event.total ? event.loaded / event.total : 0 });
    request.onerror = () => reject(new ApiError(0, t("error.unreachable")));
    request.onload = () => {
      if (request.status < 300) return resolve();
      let words = t("error.status", { status: request.status });
      try {
        words = (JSON.parse(request.responseText) as { error: string }).error;
      } catch {
        // No words from the gateway, e.g. from a proxy before it.
      }
      reject(new ApiError(request.status, words));
    };
    request.send(file);
  });
}

async function put(folder: string, file: File, isReplacing: boolean): Promise<void> {
  if (file.size > MOST_BYTES) throw new ApiError(413, t("files.over", { name: file.name, size: bytes(file.size), most: bytes(MOST_BYTES) }));
  sending.value = { name: file.name, share: 0 };
  await send(join(folder, file.name), file, isReplacing);
}

/** Sends them all; one that fails is told and does not hold up the others. `isThere` says whether a name is taken. */
export async function upload(folder: string, files: File[], isThere: (name: string) => boolean): Promise<void> {
  let count = 0;
  for (const file of files) {
    const isTaken = isThere(file.name);
    if (isTaken && !(await confirm({ title: t("files.replace_title", { name: file.name }), text: t("files.replace_text"), action: t("files.replace"), isDanger: true }))) continue;
    try {
      await put(folder, file, isTaken);
      count++;
    } catch (error) {
      toast(t("files.not_uploaded", { name: file.name }), { kind: "error", text: (error as Error).message });
    }
  }
  sending.value = null;
  if (count) toast(t("files.uploaded", { n: count }));
}
