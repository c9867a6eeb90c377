/**
 * The pieces of numbers in a text, and which of them are never part of a personal number.
 *
 * @module
 */

import { Gap, type Piece as AnyPiece, readPieces as readAnyPieces } from "../spoken_digits.ts";
import { Mark, type Range } from "../tokens.ts";
import type { ReadText } from "./text.ts";
import { numberWords, phoneNouns, phoneOwners, phoneVerbs } from "./vocabulary.ts";

export { Gap } from "../spoken_digits.ts";

/** One piece of a number. */
export interface Piece extends AnyPiece {
  /** Whether it is a date, a price or part of a word, and so never part of a personal number. */
  readonly isBlocked: boolean;
  /** The lowest and the highest number of digits among its readings. */
  readonly shortest: number;
  readonly longest: number;
}

/** Finds all pieces of numbers, in order. `blocked` is sorted and has no overlaps. */
export function readPieces(read: ReadText, blocked: readonly Range[]): Piece[] {
  let nextBlock = 0;
  let isAfterBlocked = false;
  return readAnyPieces(read.text, read.tokens).map((piece) => {
    const { start, end, firstToken } = piece;
    while ((blocked[nextBlock]?.end ?? Infinity) <= start) nextBlock++;
    const isBlocked = (blocked[nextBlock]?.start ?? Infinity) < end || piece.isMeasured ||
      /^[1-9]\d?$/.test(piece.digits) && isListMark(read, firstToken) ||
      !piece.isSpoken && isGlued(read.text, start, end) && !isPhones(read, firstToken);
    // Neither the items of a list nor what follows an interruption form one number.
    const gap = isAfterBlocked || piece.gap >= Gap.list ? Gap.none : piece.gap;
    isAfterBlocked = isBlocked;
    const lengths = piece.readings.map((parts) => parts.join("").length);
    const [shortest, longest] = [Math.min(...lengths), Math.max(...lengths)];
    return { ...piece, gap, isBlocked, shortest, longest };
  });
}

/**
 * Whether a number sign belongs to a phone: in `cell # 212-555-0199`, but not in `order #2125550199`.
 * After `number #` the label decides.
 */
function isPhones({ text, tokens }: ReadText, firstToken: number): boolean {
  const [before, token] = [tokens[firstToken - 1], tokens[firstToken]];
  if (before?.kind !== "word" || token === undefined) return false;
  const isNumber = numberWords.has(before.value) || /^n(?:o|r|os)$/.test(before.value);
  const sign = isNumber ? /^[.:]? ?# ?:? ?$/ : /^ ?# ?:? ?$/;
  return sign.test(text.slice(before.end, token.start)) &&
    (isNumber || [phoneNouns, phoneVerbs, phoneOwners].some((words) => words.has(before.value)));
}

/** `2. Call the patient` at the start of a line. */
function isListMark({ text, tokens }: ReadText, at: number): boolean {
  const token = tokens[at];
  if (token?.kind !== "digits" || !/^[.)]\s$/.test(text.slice(token.end, token.end + 2))) {
    return false;
  }
  return at === 0 ? token.marks === 0 : (token.marks & Mark.newline) !== 0;
}

/** Scripts without spaces between words, whose words are never attached to digits. */
const isSpaced = /^(?![\p{scx=Han}\p{scx=Hiragana}\p{scx=Katakana}\p{scx=Hangul}\p{scx=Thai}])/u;
const letterBefore = /[\p{L}\u0300-\u036f_\\#№£$€¥₹&]/u;
const letterAfter = /[\p{L}_%]/u;
/** Abbreviations that are written directly before a number, as in `Tel07700 900123`. */
const attached = /(?:^|[^\p{L}])(?:tel|phone|mobile|mob|mobil|cell|fax|ph)[#_]?$/iu;
/** `_07700 900123_`: emphasis, not a name. */
const emphasis = /(?:^|[^\p{L}\p{N}_])_{1,2}$/u;
/** `\n07700 900123` in JSON, and `%2B447700900123` in a form. */
const escaped = /\\[nrt]$|\\u[\da-f]{4}$|%[\da-f]{2}$/i;

/** Whether the digits are part of a word or a price, or follow a number sign. */
function isGlued(text: string, start: number, end: number): boolean {
  if (isGluedBefore(text, start)) return true;
  const after = text[end] ?? "";
  if (!letterAfter.test(after) || !isSpaced.test(after)) return false;
  // `07700%20900123`, `_07700 900123_`
  if (/^(?:%[\da-f]{2}|_{1,2}(?![\p{L}\p{N}_]))/iu.test(text.slice(end, end + 3))) return false;
  return !/^(?:x|ext)[. ]?\d/i.test(text.slice(end, end + 6));
}

function isGluedBefore(text: string, start: number): boolean {
  const before = text[start - 1] ?? "";
  if (before === " ") return /[£$€¥₹№#]/.test(text[start - 2] ?? "");
  const isLowSurrogate = before >= "\udc00" && before <= "\udfff";
  const character = isLowSurrogate ? text.slice(start - 2, start) : before;
  if (!letterBefore.test(character) || !isSpaced.test(character)) return false;
  const word = text.slice(Math.max(0, start - 8), start);
  return !escaped.test(word) && !attached.test(word) && !emphasis.test(word);
}
