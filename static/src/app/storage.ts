/** localStorage that may be switched off: then values live as long as the page. */
const memory = new Map<string, string>();
const name = (key: string) => `starpod.${key}`;

export function load(key: string): string | null {
  try {
    return localStorage.getItem(name(key)) ?? memory.get(key) ?? null;
  } catch {
    return memory.get(key) ?? null;
  }
}

export function save(key: string, value: string | null): void {
  if (value === null) memory.delete(key);
  else memory.set(key, value);
  try {
    if (value === null) localStorage.removeItem(name(key));
    else localStorage.setItem(name(key), value);
  } catch {
    // Storage is full or forbidden: the page works without it.
  }
}
