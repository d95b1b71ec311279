/** The conversation on the screen, for what acts on it from elsewhere. */
import { signal } from "@preact/signals";
import type { Conversation } from "./conversation";

export const current = signal<Conversation | null>(null);
