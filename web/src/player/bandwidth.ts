/** The link's speed as last measured, kept so that the next visit starts at the right rung. */
import { readText, writeText } from "../session/storage";

const KEY = "popreel.bandwidth";
const FLOOR_BPS = 300_000;
/** A first guess that a 480p rung fits. */
const FIRST_GUESS_BPS = 1_500_000;

type Connection = { downlink?: number };

export function expectedBandwidthBps(): number {
  const kept = Number(readText(KEY));
  if (Number.isFinite(kept) && kept >= FLOOR_BPS) return kept;
  const downlink = (navigator as Navigator & { connection?: Connection }).connection?.downlink;
  return downlink ? Math.max(FLOOR_BPS, downlink * 1_000_000 * 0.7) : FIRST_GUESS_BPS;
}

export function learnBandwidth(bps: number): void {
  if (Number.isFinite(bps) && bps >= FLOOR_BPS) writeText(KEY, String(Math.round(bps)));
}
