/** Addresses and history. `path` is what stands after the base, without a leading slash. */
import { signal } from "@preact/signals";
import { at, boot } from "./boot";

const current = () => location.pathname.slice(boot.base.length);

export const path = signal(current());

/** A page with unsaved input sets this; it returns whether one may leave. */
export const leaveGuard: { ask: (() => boolean | Promise<boolean>) | null } = { ask: null };

export async function go(to: string, options: { replace?: boolean } = {}): Promise<void> {
  const target = to.replace(/^\//, "");
  if (target === current() + location.search) return;
  if (leaveGuard.ask && !(await leaveGuard.ask())) return;
  leaveGuard.ask = null;
  history[options.replace ? "replaceState" : "pushState"](null, "", at(target));
  path.value = current();
}

/** Change the address without leaving the page that is shown. */
export function rename(to: string): void {
  history.replaceState(null, "", at(to));
  path.value = current();
}

addEventListener("popstate", async () => {
  if (leaveGuard.ask) {
    // The browser is there already: back to where something is not saved, and on when the person says so.
    history.pushState(null, "", at(path.peek()));
    if (!(await leaveGuard.ask())) return;
    leaveGuard.ask = null;
    return history.back();
  }
  path.value = current();
});
addEventListener("beforeunload", (event) => {
  if (leaveGuard.ask) event.preventDefault();
});

/** Props of a link inside the app: a real address, opened without loading the page anew. */
export function link(to: string): { href: string; onClick: (event: MouseEvent) => void } {
  return {
    href: at(to),
    onClick: (event) => {
      if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
      event.preventDefault();
      void go(to);
    },
  };
}
