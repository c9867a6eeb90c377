/**
 * The passcode in what a caller says when reading it from a text.
 *
 * @module
 */

import { readTokens, type Token } from "../tokens.ts";
import { chainsOf, readingsOf, segmentsOf } from "./chains.ts";
import { Gap, lengthOfCorrection, type Piece, readPieces } from "./pieces.ts";

const codeLength = 6;
/** How often a code may be repeated. */
const mostRepeats = 3;
const lengths = { shortest: codeLength, longest: codeLength };

/**
 * Reads a six-digit passcode from what the model passes on: a JSON number (padded, because it lost
 * leading zeros), `User's Keypad Entry: 482913`, the whole text read out, or words with pauses,
 * fillers and corrections, of which the last counts.
 *
 * It returns a passcode only when exactly one code of six digits can be meant, whatever other figures
 * are there. It never joins two figures into one.
 *
 * @returns Six digits, or undefined, which does not count as an attempt.
 */
export function readPasscode(given: string | number): string | undefined {
  if (typeof given === "number") {
    const isCode = Number.isInteger(given) && given >= 0 && given <= 999_999;
    return isCode ? String(given).padStart(codeLength, "0") : undefined;
  }
  const tokens = readTokens(given);
  const chains = chainsOf(readPieces(given, tokens));
  const said = chains.map((chain) => codesIn(chain));
  const codes = new Set(said.flat());
  const [code] = codes;
  const last = said.findLastIndex((each) => each.length > 0);
  return codes.size === 1 && !isTakenBack(tokens, chains, last) ? code : undefined;
}

/** The codes that connected pieces can mean; if something is corrected, only the last one said. */
export function codesIn(chain: readonly Piece[]): readonly string[] {
  const segments = segmentsOf(chain);
  const last = segments.at(-1) ?? [];
  const whole = codesOf(last);
  if (whole.length > 0 || segments.length === 1) return whole.length > 0 ? whole : loneCodes(last);
  return readingsOf(chain, lengths);
}

/** Six digits, or the same six digits repeated. */
function codesOf(pieces: readonly Piece[]): readonly string[] {
  for (let times = 1; times <= mostRepeats; times++) {
    const length = codeLength * times;
    const codes = readingsOf(pieces, { shortest: length, longest: length })
      .filter((digits) => digits === digits.slice(0, codeLength).repeat(times))
      .map((digits) => digits.slice(0, codeLength));
    if (codes.length > 0) return codes;
  }
  return [];
}

/**
 * One group of six digits between pauses that has no other reading, while everything else that is said
 * has fewer digits.
 */
function loneCodes(pieces: readonly Piece[]): readonly string[] {
  const groups: Piece[][] = [];
  for (const piece of pieces) {
    if (piece.gap === Gap.tight && groups.length > 0) groups.at(-1)?.push(piece);
    else groups.push([piece]);
  }
  const codes = groups.map((group) => {
    const isCertain = group.every(({ readings }) => readings.length === 1);
    return isCertain ? codesOf(group) : [];
  });
  const others = groups.filter((_, index) => codes[index]?.length === 0).flat();
  const count = others.reduce((sum, { digits }) => sum + digits.length, 0);
  return count < codeLength ? codes.flat() : [];
}

/** `482913 ... no, the three is a four`: the code is wrong, but not in a way that can be corrected. */
function isTakenBack(
  tokens: readonly Token[],
  chains: readonly (readonly Piece[])[],
  code: number,
): boolean {
  const from = chains[code]?.at(-1)?.endToken ?? tokens.length;
  const until = chains.at(-1)?.[0]?.firstToken ?? 0;
  for (let at = from; at < until; at++) if (lengthOfCorrection(tokens, at) > 0) return true;
  return false;
}
