/**
 * The six digits that a call was texted, as callers read them out: at once, with corrections, or over
 * several turns.
 *
 * @module
 */

import { codesIn, type Piece as AnyPiece, readingsOf, segmentsOf } from "../spoken_digits.ts";
import type { Range } from "../tokens.ts";
import { type DictatedPart, isHolding, readParts } from "./dictation.ts";
import { labelBefore } from "./labels.ts";
import type { Piece } from "./pieces.ts";
import type { ReadText } from "./text.ts";

const codeLength = 6;
const lengths = { shortest: codeLength, longest: codeLength };
/** How many parts, of both sides, are searched for a code. */
const partLimit = 6;
/** The shortest repetition of a part of a code; shorter ones may count something. */
const shortestEcho = 2;

/** Finds all of them. Ranges may overlap. `chains` are connected pieces. */
export function findTextedCodes(
  read: ReadText,
  pieces: readonly Piece[],
  chains: readonly (readonly AnyPiece[])[],
): Range[] {
  return [...chains.flatMap(codesOfChain), ...findDictatedCodes(read, pieces)].map(rangeOf);
}

const rangeOf = (parts: readonly Range[]): Range => ({
  start: parts[0]?.start ?? 0,
  end: parts.at(-1)?.end ?? 0,
});

/** A chain that has a corrected code, as a whole; otherwise the codes between pauses. */
function codesOfChain(chain: readonly AnyPiece[]): (readonly AnyPiece[])[] {
  const hasCode = codesIn(chain).length > 0;
  const isCorrected = segmentsOf(chain).length > 1;
  if (readingsOf(chain, lengths).length > 0 || isCorrected && hasCode) return [chain];
  const codes = groupsOf(chain).filter((group) => codesIn(group).length > 0);
  return codes.length === 0 && hasCode ? [chain] : codes;
}

/** The pieces between two pauses. */
function groupsOf(chain: readonly AnyPiece[]): AnyPiece[][] {
  const groups: AnyPiece[][] = [];
  for (const piece of chain) {
    if (piece.gap === 0 && groups.length > 0) groups.at(-1)?.push(piece);
    else groups.push([piece]);
  }
  return groups;
}

/** Parts of codes that one speaker read out in several turns, and repetitions of them. */
function findDictatedCodes(read: ReadText, pieces: readonly Piece[]): (readonly Piece[])[] {
  if (read.turns.length < 2) return [];
  const parts = readParts(read, pieces, pieces.map(({ isBlocked }) => isBlocked));
  return parts.flatMap((_, first) =>
    dictatedFrom(read, pieces, parts.slice(first, first + partLimit))
  )
    .map(({ first, end }) => pieces.slice(first, end));
}

/** The parts of a code, from its first part. */
function dictatedFrom(
  read: ReadText,
  pieces: readonly Piece[],
  [opening, ...others]: readonly DictatedPart[],
): readonly DictatedPart[] {
  if (opening === undefined || !mayBeCode(read, pieces, opening)) return [];
  const said = [...pieces.slice(opening.first, opening.end)];
  const parts = [opening];
  let { turn } = opening;
  for (const part of others) {
    parts.push(part);
    // What the other side says in between is a repetition.
    if (part.speaker !== opening.speaker) continue;
    if (!isHolding(read, read.turns.slice(turn + 1, part.turn))) return [];
    turn = part.turn;
    said.push(...pieces.slice(part.first, part.end));
    if (readingsOf(said, lengths).length > 0) return withoutOthers(parts, opening.speaker);
    if (said.length >= codeLength) return [];
  }
  return [];
}

/** A speaker's parts, and what others repeated of them. */
function withoutOthers(parts: readonly DictatedPart[], speaker: string): DictatedPart[] {
  const own = parts.filter((part) => part.speaker === speaker);
  const code = own.map(({ digits }) => digits).join("");
  const isEcho = ({ digits }: DictatedPart) =>
    digits.length >= shortestEcho && code.includes(digits);
  return parts.filter((part) => part.speaker === speaker || isEcho(part));
}

/** Whether digits are not the answer to a question for something else. */
function mayBeCode(
  read: ReadText,
  pieces: readonly Piece[],
  { first, turn }: DictatedPart,
): boolean {
  return labelBefore(read, pieces[first]?.firstToken ?? 0) !== "other" &&
    isHolding(read, read.turns.slice(Math.max(0, turn - 1), turn), Infinity);
}
