/** Where a video is on its way to being live: server-sent events, or asking now and then where they do not get through. */
import { api } from "../api/calls";
import { Problem } from "../api/http";
import type { VideoStatus } from "../api/types";
import { accessToken } from "../session/session";
import { deviceId } from "../session/device";

const ASK_EVERY_MS = 2_000;
const FINAL = new Set(["ready", "review", "blocked", "failed", "deleted"]);

function isFinal(status: VideoStatus): boolean {
  return FINAL.has(status.status);
}

/** Calls `onStatus` with every change until the video has come to rest or `signal` aborts. */
export async function follow(id: string, onStatus: (status: VideoStatus) => void, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      if (await listen(id, onStatus, signal)) return;
      const status = await api.status(id, signal);
      onStatus(status);
      if (isFinal(status)) return;
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Problem && !error.retryable) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS));
  }
}

/** One event stream; true when it told the end. EventSource cannot send the token, so fetch reads the stream. */
async function listen(id: string, onStatus: (status: VideoStatus) => void, signal: AbortSignal): Promise<boolean> {
  const token = await accessToken();
  const response = await fetch(`/api/v1/videos/${encodeURIComponent(id)}/status`, {
    headers: { Accept: "text/event-stream", "X-Device-Id": deviceId(), ...(token ? { Authorization: `Bearer ${token}` } : {}) },
    signal,
  });
  if (!response.ok || !response.body || !response.headers.get("Content-Type")?.startsWith("text/event-stream")) {
    await response.body?.cancel();
    return false;
  }
  let rest = "";
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
    const blocks = (rest + chunk.value.replaceAll("\r", "")).split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const status = statusIn(block);
      if (!status) continue;
      onStatus(status);
      if (isFinal(status)) {
        await reader.cancel();
        return true;
      }
    }
  }
  return false;
}

/** Pure: the status in one event block; null for comments and keep-alives. */
function statusIn(block: string): VideoStatus | null {
  const data = block
    .split("\n")
    .filter((line) => line.startsWith("data:"))
    .map((line) => line.slice(5).trimStart())
    .join("\n");
  if (!data) return null;
  try {
    const value = JSON.parse(data) as VideoStatus;
    return typeof value.status === "string" ? value : null;
  } catch {
    return null;
  }
}
