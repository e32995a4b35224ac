/** Where the fragments of a rung lie in its file, from its media playlist (RFC 8216 with byte ranges). Pure. */

/** Bytes [start, end) of the file and the seconds of media they hold. */
export type Fragment = { start: number; end: number; seconds: number };

const RANGE = /^#EXT-X-BYTERANGE:(\d+)(?:@(\d+))?/;

/** The fragments in order; none if the playlist does not give every one's byte range. */
export function fragmentsOf(playlist: string): Fragment[] {
  const found: Fragment[] = [];
  let seconds = 0;
  let next = 0;
  let range: RegExpExecArray | null = null;
  for (const line of playlist.split("\n")) {
    if (line.startsWith("#EXTINF:")) seconds = Number.parseFloat(line.slice(8));
    else if (line.startsWith("#EXT-X-BYTERANGE")) range = RANGE.exec(line);
    else if (line !== "" && !line.startsWith("#")) {
      if (!range) return [];
      const start = range[2] === undefined ? next : Number(range[2]);
      next = start + Number(range[1]);
      found.push({ start, end: next, seconds });
      range = null;
    }
  }
  return found;
}
