/**
 * Pieces that hang together, and the numbers they can be.
 *
 * @module
 */

import { Gap, type Parts, type Piece } from "./pieces.ts";

/** Ways to read one number that are looked at, and with what a correction makes of each. */
const wayLimit = 36;
const correctedLimit = 48;

/** What a reader of numbers looks for. */
export interface Lengths {
  /** Digits, at least and at most. */
  readonly shortest: number;
  readonly longest: number;
}

/**
 * The numbers that consecutive pieces can be, likeliest first. Behind a correction the last digits
 * may be said again: `four eight two, nine one, sorry, nine three one` is 48291931 or 482931. What
 * would be left of the part after the correction alone is not among them.
 */
export function readingsOf(pieces: readonly Piece[], lengths: Lengths): string[] {
  const fits = ({ length }: string) => length >= lengths.shortest && length <= lengths.longest;
  const segments = segmentsOf(pieces);
  const [only] = segments;
  if (segments.length === 1 && only !== undefined) {
    return only.reduce<readonly string[]>(continued, [""]).filter(fits);
  }
  let ways = waysOf(segments[0] ?? []);
  for (const again of segments.slice(1).map(waysOf)) {
    ways = ways.flatMap((before) => again.flatMap((after) => replacements(before, after)))
      .filter((way) => way.join("").length <= lengths.longest)
      .slice(0, correctedLimit);
  }
  return [...new Set(ways.map((way) => way.join("")))].filter(fits);
}

/** All ways to go on from what was said before with a piece; the likeliest stays first. */
export function continued(said: readonly string[], piece: Piece): readonly string[] {
  const { readings } = piece;
  if (readings.length === 1) return said.map((digits) => digits + piece.digits);
  // Of too many ways only the likeliest is followed.
  const open = said.length * readings.length > wayLimit ? readings.slice(0, 1) : readings;
  return said.flatMap((digits) => open.map((parts) => digits + parts.join("")));
}

/** The pieces between corrections. */
export function segmentsOf(pieces: readonly Piece[]): Piece[][] {
  const segments: Piece[][] = [];
  pieces.forEach((piece, index) => {
    if (index === 0 || piece.gap === Gap.correction) segments.push([piece]);
    else segments.at(-1)?.push(piece);
  });
  return segments;
}

/** Every way to read pieces one after the other; all of them likeliest comes first. */
function waysOf(pieces: readonly Piece[]): Parts[] {
  let ways: Parts[] = [[]];
  for (const { readings } of pieces) {
    // Of too many ways only the likeliest is followed.
    const open = ways.length * readings.length > wayLimit ? readings.slice(0, 1) : readings;
    ways = ways.flatMap((way) => open.map((parts) => [...way, ...parts]));
  }
  return ways;
}

/**
 * What a correction can make of the parts before it: none taken back, or some from the end, or of a
 * written part the digits from where it is said again. Never all: that is a number of its own.
 */
function replacements(before: Parts, after: Parts): Parts[] {
  const kept = before.map((_, index) => before.slice(0, before.length - index));
  const last = before.at(-1) ?? "";
  const [first = ""] = after.join("");
  const within = Array.from(last).flatMap((digit, at) =>
    at > 0 && digit === first ? [[...before.slice(0, -1), last.slice(0, at)]] : []
  );
  return [...kept, ...within].map((parts) => [...parts, ...after]);
}

/**
 * Pieces that nothing but pauses, fillers and corrections separates. A measured one ends them: said
 * without a pause, as in `... two three minutes ago`, it may be the last of them.
 */
export function chainsOf(pieces: readonly Piece[]): Piece[][] {
  const chains: Piece[][] = [];
  let isOpen = false;
  for (const piece of pieces) {
    const isLast = piece.isMeasured && piece.isSpoken && piece.gap === Gap.tight;
    if (isOpen && isLast) chains.at(-1)?.push({ ...piece, readings: [...piece.readings, []] });
    else if (isOpen && piece.gap !== Gap.none && !piece.isMeasured) chains.at(-1)?.push(piece);
    else if (!piece.isMeasured) chains.push([piece]);
    isOpen = !piece.isMeasured;
  }
  return chains;
}
