/** The one way to the HTTP API: addresses below the base path, JSON both ways, errors with words and fields. */
import { at } from "../app/boot";
import { t } from "../i18n";

export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly fields: Record<string, string> = {},
  ) {
    super(message);
  }
}

/** What went wrong, by field; what belongs to none goes to `place`. */
export function wrongFields(error: unknown, place: string): Record<string, string> {
  const fields = error instanceof ApiError ? error.fields : {};
  return Object.keys(fields).length ? fields : { [place]: (error as Error).message };
}

let whenSignedOut = () => {};
/** `then` is called when the server says that the sign-in has ended. */
export function onSignedOut(then: () => void): void {
  whenSignedOut = then;
}

async function call<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const init: RequestInit = { method, signal: signal ?? null };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers = { "Content-Type": "application/json" };
  }
  let answer: Response;
  let text: string;
  try {
    answer = await fetch(at(path), init);
    // A gateway that dies while it answers is out of reach, too.
    text = await answer.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, t("error.unreachable"));
  }
  let data: unknown = null;
  try {
    data = text ? JSON.parse(text) : null;
  } catch {
    data = null;
  }
  if (answer.ok) return data as T;
  const said = (data ?? {}) as { error?: string; fields?: Record<string, string> };
  if (answer.status === 401 && !path.includes("auth/")) whenSignedOut();
  throw new ApiError(answer.status, said.error ?? t("error.status", { status: answer.status }), said.fields);
}

type Query = Record<string, string | number | boolean | null | undefined>;

/** `path?a=1`, without what is null or undefined. */
export function withQuery(path: string, query: Query): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== null && value !== undefined) search.set(name, String(value));
  const text = search.toString();
  return text ? `${path}?${text}` : path;
}

/** `await api.get<Session[]>("api/sessions", { limit: 20 })`; paths have no leading slash. Throws ApiError. */
export const api = {
  get: <T>(path: string, query: Query = {}, signal?: AbortSignal) => call<T>("GET", withQuery(path, query), undefined, signal),
  post: <T = unknown>(path: string, body: unknown = {}) => call<T>("POST", path, body),
  put: <T = unknown>(path: string, body: unknown) => call<T>("PUT", path, body),
  patch: <T = unknown>(path: string, body: unknown) => call<T>("PATCH", path, body),
  delete: (path: string) => call<null>("DELETE", path),
};

export const enc = encodeURIComponent;
