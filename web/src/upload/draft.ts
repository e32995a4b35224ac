/** An upload under way, remembered so that a reload can go on with it. */
import { readJson, writeJson } from "../session/storage";

export type Draft = {
  videoId: string;
  uploadUrl: string;
  chunkSize: number;
  name: string;
  size: number;
  lastModified: number;
  share: number;
};

const KEY = "popreel.upload";
const isDraft = (value: unknown): value is Draft | null =>
  value === null || (typeof value === "object" && "videoId" in value && "uploadUrl" in value && "size" in value);

export function readDraft(): Draft | null {
  return readJson<Draft | null>(KEY, isDraft, null);
}

export function keepDraft(draft: Draft | null): void {
  writeJson(KEY, draft);
}

/** Whether `file` is the one the draft was started with: the parts already sent must be its parts. */
export function matches(draft: Draft, file: File): boolean {
  return draft.name === file.name && draft.size === file.size && draft.lastModified === file.lastModified;
}
