/** One way to the API: token, device id, JSON, and errors as `Problem` values a screen can show. */
import { accessToken, renew } from "../session/session";
import { deviceId } from "../session/device";

/** An RFC 9457 answer, or the lack of any (`status` 0: the network). */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly retryAfterS: number | null = null,
  ) {
    super(message);
    this.name = "Problem";
  }

  get retryable(): boolean {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
  }
}

export type Query = Record<string, string | number | boolean | null | undefined>;
type Options = { query?: Query; body?: unknown; raw?: BodyInit; contentType?: string; signal?: AbortSignal; anonymous?: boolean };

export async function call<T>(method: string, path: string, options: Options = {}): Promise<T> {
  let response = await send(method, path, options, options.anonymous ? null : await accessToken());
  if (response.status === 401 && !options.anonymous) {
    const spent = await accessToken();
    const fresh = spent ? await renew(spent) : null;
    if (fresh) response = await send(method, path, options, fresh);
  }
  if (!response.ok) throw await problemOf(response);
  const text = await response.text();
  return (text === "" ? undefined : JSON.parse(text)) as T;
}

/** The bytes of a file that needs the caller's token. */
export async function download(path: string): Promise<Blob> {
  const response = await send("GET", path, {}, await accessToken());
  if (!response.ok) throw await problemOf(response);
  return response.blob();
}

async function send(method: string, path: string, options: Options, token: string | null): Promise<Response> {
  const headers: Record<string, string> = { Accept: "application/json", "X-Device-Id": deviceId() };
  if (token) headers.Authorization = `Bearer ${token}`;
  let body = options.raw;
  if (options.contentType) headers["Content-Type"] = options.contentType;
  if (options.body !== undefined) {
    headers["Content-Type"] = "application/json";
    body = JSON.stringify(options.body);
  }
  try {
    return await fetch(withQuery(path, options.query), { method, headers, body: body ?? null, signal: options.signal ?? null });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Problem(0, "offline", "The network did not answer.");
  }
}

function withQuery(path: string, query: Query = {}): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== "") search.set(key, String(value));
  }
  const text = search.toString();
  return text ? `${path}${path.includes("?") ? "&" : "?"}${text}` : path;
}

async function problemOf(response: Response): Promise<Problem> {
  const retryAfter = Number(response.headers.get("Retry-After"));
  const retryAfterS = Number.isFinite(retryAfter) && retryAfter > 0 ? retryAfter : null;
  try {
    const body = (await response.json()) as { code?: string; detail?: string; title?: string };
    return new Problem(response.status, body.code ?? "error", body.detail || body.title || response.statusText, retryAfterS);
  } catch {
    return new Problem(response.status, "error", response.statusText || `HTTP ${response.status}`, retryAfterS);
  }
}
