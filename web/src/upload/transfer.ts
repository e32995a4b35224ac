/** A file to the origin in parts: a few at a time, each retried, and what arrived before a reload not sent again. */
import { api } from "../api/calls";
import { Problem } from "../api/http";
import { accessToken } from "../session/session";
import { deviceId } from "../session/device";

const PARALLEL = 3;
const TRIES = 5;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 8_000;

export type Part = { part: number; start: number; end: number };

/** Pure: the parts of a file of `size` bytes. Parts count from 1; the last may be short. */
function partsOf(size: number, chunkSize: number): Part[] {
  const count = Math.ceil(size / chunkSize);
  return Array.from({ length: count }, (_, index) => ({
    part: index + 1,
    start: index * chunkSize,
    end: Math.min(size, (index + 1) * chunkSize),
  }));
}

/** Pure: the parts still to send. A part that arrived short (a broken connection) goes again. */
function missingParts(parts: Part[], received: { part: number; size: number }[]): Part[] {
  const sizes = new Map(received.map(({ part, size }) => [part, size]));
  return parts.filter(({ part, start, end }) => sizes.get(part) !== end - start);
}

export type Transfer = { uploadUrl: string; chunkSize: number; file: File; signal: AbortSignal; onProgress: (share: number) => void };

export async function sendFile({ uploadUrl, chunkSize, file, signal, onProgress }: Transfer): Promise<void> {
  const parts = partsOf(file.size, chunkSize);
  const received = await api.uploadParts(uploadUrl).then(({ parts: known }) => known, () => []);
  const queue = missingParts(parts, received);
  const sent = new Map<number, number>();
  const before = parts.filter((part) => !queue.includes(part)).reduce((sum, { start, end }) => sum + end - start, 0);
  const tell = (): void => onProgress((before + [...sent.values()].reduce((sum, bytes) => sum + bytes, 0)) / Math.max(1, file.size));
  tell();
  const worker = async (): Promise<void> => {
    for (let part = queue.shift(); part; part = queue.shift()) {
      const { part: number, start, end } = part;
      const progress = (bytes: number): void => {
        sent.set(number, bytes);
        tell();
      };
      await sendPart(`${uploadUrl}?part=${number}`, file.slice(start, end), signal, progress);
      progress(end - start);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
}

async function sendPart(url: string, bytes: Blob, signal: AbortSignal, onProgress: (bytes: number) => void): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await put(url, bytes, signal, onProgress);
    } catch (error) {
      const retryable = error instanceof Problem && error.retryable && attempt < TRIES;
      if (!retryable) throw error;
      await pause(error.retryAfterS ? error.retryAfterS * 1000 : Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** attempt), signal);
    }
  }
}

/** XMLHttpRequest, because fetch does not tell how much of a body has left. */
async function put(url: string, bytes: Blob, signal: AbortSignal, onProgress: (bytes: number) => void): Promise<void> {
  const token = await accessToken();
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", url);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.setRequestHeader("X-Device-Id", deviceId());
    if (token) request.setRequestHeader("Authorization", `Bearer ${token}`);
    request.upload.onprogress = ({ loaded }) => onProgress(Math.min(loaded, bytes.size));
    request.onload = () => (request.status < 300 ? resolve() : reject(problemFrom(request)));
    request.onerror = () => reject(new Problem(0, "offline", "The network did not answer."));
    request.onabort = () => reject(new DOMException("Cancelled", "AbortError"));
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(bytes);
  });
}

function problemFrom(request: XMLHttpRequest): Problem {
  const retryAfterS = Number(request.getResponseHeader("Retry-After")) || null;
  try {
    const body = JSON.parse(request.responseText) as { code?: string; detail?: string; title?: string };
    return new Problem(request.status, body.code ?? "error", body.detail || body.title || `HTTP ${request.status}`, retryAfterS);
  } catch {
    return new Problem(request.status, "error", `HTTP ${request.status}`, retryAfterS);
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), reject(new DOMException("Cancelled", "AbortError"))), { once: true });
  });
}
