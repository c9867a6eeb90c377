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
/** Parts of both sides among which a code is put together. */
const partLimit = 6;
/** What is repeated of a code in between; a shorter one may count something. */
const shortestEcho = 2;

/** Finds all of them; ranges may overlap. `chains` are the pieces that hang together. */
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

/** A chain with a code in it that was corrected, as a whole; or the codes between two pauses. */
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

/** The parts of codes that one speaker read out in several turns, and what was repeated of them. */
function findDictatedCodes(read: ReadText, pieces: readonly Piece[]): (readonly Piece[])[] {
  if (read.turns.length < 2) return [];
  const parts = readParts(read, pieces, pieces.map(({ isBlocked }) => isBlocked));
  return parts.flatMap((_, first) =>
    dictatedFrom(read, pieces, parts.slice(first, first + partLimit))
  )
    .map(({ first, end }) => pieces.slice(first, end));
}

/** The parts of a code that begins with the first of them. */
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
    // What the other side says between is what it heard.
    if (part.speaker !== opening.speaker) continue;
    if (!isHolding(read, read.turns.slice(turn + 1, part.turn))) return [];
    turn = part.turn;
    said.push(...pieces.slice(part.first, part.end));
    if (readingsOf(said, lengths).length > 0) return withoutOthers(parts, opening.speaker);
    if (said.length >= codeLength) return [];
  }
  return [];
}

/** The parts of a speaker, and what others repeated of them. */
function withoutOthers(parts: readonly DictatedPart[], speaker: string): DictatedPart[] {
  const own = parts.filter((part) => part.speaker === speaker);
  const code = own.map(({ digits }) => digits).join("");
  const isEcho = ({ digits }: DictatedPart) =>
    digits.length >= shortestEcho && code.includes(digits);
  return parts.filter((part) => part.speaker === speaker || isEcho(part));
}

/** Whether digits are no answer to a question for something else. */
function mayBeCode(
  read: ReadText,
  pieces: readonly Piece[],
  { first, turn }: DictatedPart,
): boolean {
  return labelBefore(read, pieces[first]?.firstToken ?? 0) !== "other" &&
    isHolding(read, read.turns.slice(Math.max(0, turn - 1), turn), Infinity);
}
