/** What an uploader says about a video, as the forms hold it. Pure. */

/** API value and the key of its words. */
export const VISIBILITIES = [["public", "public"], ["followers", "followersOnly"], ["unlisted", "unlisted"], ["private", "private"]] as const;

/** Pure: "#A, b c" -> ["a", "b", "c"], without doubles, at most 30. */
export function hashtagsIn(text: string): string[] {
  const words = text.split(/[\s,#]+/).map((word) => word.trim().toLowerCase().replace(/[^\p{L}\p{N}_]/gu, ""));
  return [...new Set(words.filter(Boolean))].slice(0, 30);
}
