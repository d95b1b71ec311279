/** Who is signed in on this page. */
import { signal } from "@preact/signals";
import { api, onSignedOut } from "../api/client";
import type { User } from "../api/types";
import { disconnect } from "../socket/socket";
import { boot } from "./boot";

export const isSignedIn = signal(boot.auth.authenticated);
export const user: User | null = boot.auth.user;
/** With no users at all everybody is an admin. */
export const isAdmin = boot.auth.auth_disabled || user?.role === "admin";
export const hasFiles = boot.auth.auth_disabled || Boolean(user?.filesystem_enabled);
/** Whether this page showed somebody's things before the sign-in ended. */
export const hasEnded = signal(false);

export function endSession(): void {
  if (!isSignedIn.value) return;
  hasEnded.value = true;
  isSignedIn.value = false;
  disconnect();
}
onSignedOut(endSession);

/** Windows of one browser share one sign-in: when it becomes somebody else's, no window goes on showing what was the other's. */
const windows = "BroadcastChannel" in globalThis ? new BroadcastChannel(`starpod.who ${boot.base}`) : null;
if (windows && isSignedIn.value) {
  windows.onmessage = (event: MessageEvent<string | null>) => event.data !== (user?.id ?? "") && location.reload();
  windows.postMessage(user?.id ?? "");
}

/** Trade a key, or the code of a sign-in link, for a cookie; then the page is loaded anew with everything of that person. */
export async function signIn(credential: { key: string } | { code: string }): Promise<void> {
  await api.post("api/auth/login", credential);
  location.reload();
}

export async function signOut(): Promise<void> {
  await api.post("api/auth/logout").catch(() => null);
  windows?.postMessage(null);
  disconnect();
  location.assign(boot.base);
}

/** A sign-in link ends in `#code=…`; the code is taken out of the address before anything else sees it. */
export async function useLinkCode(): Promise<string | null> {
  const code = new URLSearchParams(location.hash.slice(1)).get("code");
  if (!code) return null;
  history.replaceState(null, "", location.pathname + location.search);
  try {
    await signIn({ code });
  } catch (error) {
    return (error as Error).message;
  }
  return null;
}
