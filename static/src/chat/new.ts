/** A new conversation, and the way to it. */
import { go } from "../app/router";
import { forgetNew } from "./conversation";

export function newChat(): void {
  forgetNew();
  void go("");
  requestAnimationFrame(() => document.querySelector<HTMLElement>(".composer textarea")?.focus());
}
