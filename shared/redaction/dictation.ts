/**
 * Numbers dictated over several turns: `User: oh seven seven double oh`, `AI: okay`,
 * `User: nine hundred one two three`.
 *
 * @module
 */

import { isFiller, isMeasured } from "../spoken_digits.ts";
import { Gap, type Piece } from "./pieces.ts";
import { isWhole, kindOfDictated, type NumberType } from "./kinds.ts";
import { labelBefore } from "./labels.ts";
import type { ReadText, Turn } from "./text.ts";

/** A dictated number, in parts. */
export interface Dictation {
  readonly type: NumberType;
  readonly digits: string;
  readonly parts: readonly DictatedPart[];
}

/** The digits of a turn that has little else: the pieces from `first` up to, not including, `end`. */
export interface DictatedPart {
  readonly first: number;
  readonly end: number;
  readonly digits: string;
  readonly turn: number;
  readonly speaker: string;
}

const pieceLimit = 20;
const partLimit = 12;
/** How many other words such a turn may have: `yes it is ... I think`. */
const otherWordLimit = 6;
/** How many turns may separate two parts, and how many words each of them may have. */
const turnLimit = 4;
const wordLimit = 14;

/** Finds numbers that one speaker dictated in two turns or more. */
export function readDictations(
  read: ReadText,
  pieces: readonly Piece[],
  isTaken: readonly boolean[],
): Dictation[] {
  if (read.turns.length < 2) return [];
  const parts = readParts(read, pieces, isTaken);
  const found: Dictation[] = [];
  for (let first = 0; first < parts.length;) {
    const dictation = dictationFrom(read, pieces, parts.slice(first, first + partLimit));
    const last = dictation?.parts.at(-1);
    if (dictation !== undefined) found.push(dictation);
    first = last === undefined ? first + 1 : parts.indexOf(last, first) + 1;
  }
  return found;
}

/** Finds the turns that have little but digits. */
export function readParts(
  read: ReadText,
  pieces: readonly Piece[],
  isTaken: readonly boolean[],
): DictatedPart[] {
  const parts: DictatedPart[] = [];
  let piece = 0;
  read.turns.forEach(({ speaker, firstToken, endToken }, turn) => {
    while ((pieces[piece]?.firstToken ?? Infinity) < firstToken) piece++;
    const first = piece;
    while ((pieces[piece]?.firstToken ?? Infinity) < endToken) piece++;
    const said = pieces.slice(first, piece);
    if (said.length === 0 || said.length > pieceLimit) return;
    if (isTaken.slice(first, piece).includes(true)) return;
    if (said.slice(1).some(({ gap }) => gap === Gap.none)) return;
    if (countOtherWords(read, firstToken, endToken, said) > otherWordLimit) return;
    if (isMeasured(read.tokens, said.at(-1)?.endToken ?? 0)) return;
    const digits = said.map((each) => each.digits).join("");
    parts.push({ first, end: piece, digits, turn, speaker });
  });
  return parts;
}

function countOtherWords(
  read: ReadText,
  firstToken: number,
  endToken: number,
  said: readonly Piece[],
): number {
  const words = read.tokens.slice(firstToken, endToken).filter((token) => !isFiller(token)).length;
  return words - said.reduce((sum, each) => sum + each.endToken - each.firstToken, 0);
}

/** The longest number that begins with the first of these parts. */
function dictationFrom(
  read: ReadText,
  pieces: readonly Piece[],
  [opening, ...others]: readonly DictatedPart[],
): Dictation | undefined {
  if (opening === undefined || isWhole(opening.digits)) return undefined;
  const label = labelBefore(read, pieces[opening.first]?.firstToken ?? 0);
  let best: Dictation | undefined;
  let parts = [opening];
  let { digits, turn } = opening;
  for (const part of others) {
    // What the other side says in between can have digits too: `one moment`, or what it heard.
    if (part.speaker !== opening.speaker) continue;
    const between = read.turns.slice(turn + 1, part.turn);
    if (!isHolding(read, between) || isWhole(part.digits)) break;
    parts = [...parts, part];
    digits += part.digits;
    turn = part.turn;
    const type = kindOfDictated(digits, label);
    if (type !== undefined) best = { type, digits, parts };
  }
  return best;
}

const otherQuestions = new Set(
  `when time day date birth born age old how many tablets zip postcode address room name pain score
  order reference`.split(/\s+/),
);

/** Whether everything said between two parts only asks for more. */
export function isHolding(
  read: ReadText,
  turns: readonly Turn[],
  longest = wordLimit,
): boolean {
  return turns.length <= turnLimit &&
    turns.every(({ firstToken, endToken }) =>
      endToken - firstToken <= longest &&
      !read.tokens.slice(firstToken, endToken).some(({ value }) => otherQuestions.has(value))
    );
}
