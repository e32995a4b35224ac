/** What can be said of a caption file before it is sent. Pure. */

/** As the origin takes them. */
export const MAX_CAPTION_BYTES = 512 * 1024;
const TAG = /^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$/;

/** Whether the text begins as WebVTT must (WebVTT section 4.1): the word, then a space, a tab or the end of the line. */
export function isWebVtt(text: string): boolean {
  return /^\uFEFF?WEBVTT(?:[ \t\n\r]|$)/.test(text);
}

/** SubRip to WebVTT: another head, and points where SubRip has commas. Other text comes back as it is. */
export function toWebVtt(text: string): string {
  const plain = text.replace(/^\uFEFF/, "").replace(/\r\n?/g, "\n");
  if (isWebVtt(plain) || !/^\d{2}:\d{2}:\d{2},\d{3} --> /m.test(plain)) return plain;
  return `WEBVTT\n\n${plain.replace(/(\d{2}:\d{2}:\d{2}),(\d{3})/g, "$1.$2")}`;
}

/** The language a file's name ends in ("talk.pt-BR.vtt" -> "pt-BR"); "" when it names none. */
export function languageInName(name: string): string {
  const parts = name.split(".");
  const tag = parts.length > 2 ? (parts.at(-2) ?? "") : "";
  return TAG.test(tag) ? tag : "";
}
