/**
 * Connected pieces, and the numbers they can mean.
 *
 * @module
 */

import { Gap, type Parts, type Piece } from "./pieces.ts";

/** How many readings of a number are considered, and how many with corrections applied. */
const wayLimit = 36;
const correctedLimit = 48;

/** The lengths that a reader of numbers looks for. */
export interface Lengths {
  /** The lowest and the highest number of digits. */
  readonly shortest: number;
  readonly longest: number;
}

/**
 * The numbers that consecutive pieces can mean, likeliest first. After a correction the last digits
 * may be repeated: `four eight two, nine one, sorry, nine three one` is 48291931 or 482931. It never
 * means only what follows the correction.
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
    ways = correctedWays(ways, again, lengths.longest);
  }
  return [...new Set(ways.map((way) => way.join("")))].filter(fits);
}

/** The likeliest ways after a correction. It stops at the limit, because each way costs work. */
function correctedWays(
  before: readonly Parts[],
  again: readonly Parts[],
  longest: number,
): Parts[] {
  const ways: Parts[] = [];
  for (const said of before) {
    for (const repeated of again) {
      for (const way of replacements(said, repeated)) {
        const isShort = way.reduce((sum, { length }) => sum + length, 0) <= longest;
        if (isShort && ways.push(way) === correctedLimit) return ways;
      }
    }
  }
  return ways;
}

/** All ways to continue what was said before with a piece, the likeliest first. */
export function continued(said: readonly string[], piece: Piece): readonly string[] {
  const { readings } = piece;
  if (readings.length === 1) return said.map((digits) => digits + piece.digits);
  // If there are too many ways, only the likeliest reading is followed.
  const open = said.length * readings.length > wayLimit ? readings.slice(0, 1) : readings;
  return said.flatMap((digits) => open.map((parts) => digits + parts.join("")));
}

/** Splits pieces at corrections. */
export function segmentsOf(pieces: readonly Piece[]): Piece[][] {
  const segments: Piece[][] = [];
  pieces.forEach((piece, index) => {
    if (index === 0 || piece.gap === Gap.correction) segments.push([piece]);
    else segments.at(-1)?.push(piece);
  });
  return segments;
}

/** Every way to read consecutive pieces. The likeliest reading of all comes first. */
function waysOf(pieces: readonly Piece[]): Parts[] {
  let ways: Parts[] = [[]];
  for (const { readings } of pieces) {
    // If there are too many ways, only the likeliest reading is followed.
    const open = ways.length * readings.length > wayLimit ? readings.slice(0, 1) : readings;
    ways = ways.flatMap((way) => open.map((parts) => [...way, ...parts]));
  }
  return ways;
}

/**
 * What a correction can do to the parts before it: replace none, some from the end, or the digits of a
 * written part from the place where it is repeated. Never all of them: that would be a new number.
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
 * Groups pieces that only pauses, fillers and corrections separate. A measured piece ends a group,
 * because its number can be the last digit: `... two three minutes ago`.
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
