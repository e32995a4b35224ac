/** What the player needs of a feed item, and the pure decisions about how to start and warm it. */
import type { FeedItem } from "../api/types";

export type Clip = {
  id: string;
  masterUrl: string;
  mp4Url: string;
  firstRung: string;
  /** Inlined media playlist of the first rung; "" when the item carried none. */
  playlist: string;
  /** Bytes from 0 that hold the first fragment. */
  prefixBytes: number;
  /** RFC 6381 string of the first rung; "" when not known. */
  codecs: string;
  durationMs: number;
  /** Short edge of the source: the most the ladder can offer. */
  shortEdge: number;
};

export function clipOf(item: FeedItem): Clip {
  return {
    id: item.id,
    masterUrl: item.urls.master ?? "",
    mp4Url: item.start?.mp4Url || item.urls.mp4 || "",
    firstRung: item.start?.rendition ?? "",
    playlist: item.start?.playlist ?? "",
    prefixBytes: item.start?.prefixBytes ?? 0,
    codecs: item.start?.codecs ?? "",
    durationMs: item.durationMs,
    shortEdge: Math.min(item.width, item.height),
  };
}

export type Start = "opening" | "progressive" | "stream" | "native";
export type StartFacts = { canOpen: boolean; hasMp4: boolean; canStream: boolean; nativeHls: boolean };

/**
 * How to show the first frame soonest, and be able to adapt afterwards. Bytes given to the decoder as they arrive win;
 * without media sources the browser's own HLS; the progressive file and hls.js for items that lack what an opening needs.
 */
export function chooseStart(facts: StartFacts): Start {
  if (facts.canOpen) return "opening";
  if (facts.canStream) return facts.hasMp4 ? "progressive" : "stream";
  return facts.nativeHls ? "native" : "progressive";
}

/** Less than this ahead is too little for any link. */
const LEAST_AHEAD_S = 0.4;
const MOST_ASKED_S = 1.5;

/**
 * Seconds the active clip must have ahead before a neighbour's first bytes may use the line: time to fetch them twice
 * over. Half of it is where warming stops again.
 */
export function spareAheadS(prefixBytes: number, bandwidthBps: number): number {
  return Math.min(MOST_ASKED_S, LEAST_AHEAD_S + (2 * prefixBytes * 8) / bandwidthBps);
}

export type Warmth = "cold" | "prefix" | "buffered";

export type WarmthFacts = {
  /** The active clip can spare the line. */
  healthy: boolean;
  savingData: boolean;
  savingPower: boolean;
  returning: boolean;
  /** The next clip's first bytes are here. */
  nextReady: boolean;
};

/**
 * What each mounted slide should hold, by distance from the active one (positive = further down the feed).
 * Nothing is warmed until the active clip has `healthy` buffer: a neighbour never competes with what is being watched.
 * The one after next is prepared once the next is ready. Behind the viewer only first bytes are kept.
 */
export function warmthFor(distance: number, facts: WarmthFacts): Warmth {
  if (!facts.healthy || distance === 0) return "cold";
  const ahead = facts.returning ? -distance : distance;
  if (facts.savingData) return ahead === 1 ? "prefix" : "cold";
  if (ahead === 1) return "buffered";
  if (!facts.nextReady || facts.savingPower) return "cold";
  if (ahead === 2) return "buffered";
  return ahead === -1 ? "prefix" : "cold";
}

/** Seconds of media after `at` that are buffered without a gap. */
export function bufferedAhead(ranges: TimeRanges, at: number): number {
  for (let index = 0; index < ranges.length; index += 1) {
    if (ranges.start(index) <= at + 0.15 && at < ranges.end(index)) return ranges.end(index) - at;
  }
  return 0;
}
