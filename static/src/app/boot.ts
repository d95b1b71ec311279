/** What the server wrote into the page: configuration, sign-in state, newest sessions. */
import { signal } from "@preact/signals";
import type { Session, User } from "../api/types";

export interface Boot {
  greeting: string | null;
  prompts: string[];
  models: string[];
  agent_name: string;
  attachments: { enabled: boolean; max_file_size: number; allowed_extensions: string[] };
  base: string;
  version: string;
  /** The gateway's time when it wrote this. */
  now: string;
  auth: { authenticated: boolean; auth_disabled: boolean; user: User | null };
  sessions: Session[];
}

declare global {
  interface Window {
    __STARPOD__: Boot;
  }
}

export const boot: Boot = window.__STARPOD__;

/** The models that may be chosen, the gateway's own choice first; they change with the settings. */
export const models = signal<string[]>(boot?.models ?? []);

/** An address below the page's base, which is `/` or `/i/<id>/`. */
export const at = (path: string): string => boot.base + path.replace(/^\//, "");
