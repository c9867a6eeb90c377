/**
 * Digits as they are written, spoken and mixed: `07700`, `double oh`, `nine hundred`, `fifty-five`.
 *
 * @module
 */

import type { Range, ReadText, Token } from "./text.ts";

/** One piece of a number: a run of digits or a spoken part such as `double oh`. */
export interface Piece extends Range {
  /** ASCII digits. */
  readonly digits: string;
  /** Whether it was words. */
  readonly isSpoken: boolean;
  /** First token and the one after the last. */
  readonly firstToken: number;
  readonly endToken: number;
  /** How loosely it hangs on the piece before it. */
  readonly gap: Gap;
  /** A date, a price, part of a word: never part of a personal number. */
  readonly isBlocked: boolean;
}

/**
 * What stands between two pieces: `tight` is what is typed inside a number (space, hyphen, dot,
 * slash, parentheses), `comma` and `filler` what dictation leaves, `stop` a full stop, and `none`
 * anything else, which ends a number.
 */
export type Gap = "tight" | "comma" | "filler" | "stop" | "none";

const units = new Map([
  ["zero", "0"],
  ["oh", "0"],
  ["o", "0"],
  ["nought", "0"],
  ["naught", "0"],
  ["ought", "0"],
  ["nil", "0"],
  ["one", "1"],
  ["two", "2"],
  ["three", "3"],
  ["four", "4"],
  ["five", "5"],
  ["six", "6"],
  ["seven", "7"],
  ["eight", "8"],
  ["nine", "9"],
  ["niner", "9"],
]);
const teens = new Map([
  ["ten", "10"],
  ["eleven", "11"],
  ["twelve", "12"],
  ["thirteen", "13"],
  ["fourteen", "14"],
  ["fifteen", "15"],
  ["sixteen", "16"],
  ["seventeen", "17"],
  ["eighteen", "18"],
  ["nineteen", "19"],
]);
const tens = new Map([
  ["twenty", "2"],
  ["thirty", "3"],
  ["forty", "4"],
  ["fourty", "4"],
  ["fifty", "5"],
  ["sixty", "6"],
  ["seventy", "7"],
  ["eighty", "8"],
  ["ninety", "9"],
]);
const repeats = new Map([["double", 2], ["triple", 3], ["treble", 3], ["quadruple", 4]]);
const fillers = new Set(
  ("um uh er erm uhm umm ah hmm mm mhm like and then okay ok yeah yes so right dash hyphen space " +
    "dot comma well let me see sorry its it s is that").split(" "),
);
/** Inside a number three fillers may follow each other: `um, and then`. */
const fillerLimit = 3;

/** Finds all pieces of numbers, in order. */
export function readPieces(read: ReadText, blocked: readonly Range[]): Piece[] {
  const pieces: Piece[] = [];
  const { tokens } = read;
  let nextBlock = 0;
  for (let at = 0; at < tokens.length;) {
    const part = readPart(read, at);
    if (part === undefined) {
      at++;
      continue;
    }
    const start = tokens[at]?.start ?? 0;
    const end = tokens[at + part.tokens - 1]?.end ?? start;
    while ((blocked[nextBlock]?.end ?? Infinity) <= start) nextBlock++;
    const isInBlock = (blocked[nextBlock]?.start ?? Infinity) < end;
    const piece = {
      digits: part.digits,
      isSpoken: part.isSpoken,
      start,
      end,
      firstToken: at,
      endToken: at + part.tokens,
      isBlocked: isInBlock || (!part.isSpoken && isGlued(read.text, start, end)),
    };
    pieces.push({ ...piece, gap: gapBetween(read, pieces.at(-1), piece) });
    at += part.tokens;
  }
  return pieces;
}

interface Part {
  readonly digits: string;
  readonly isSpoken: boolean;
  readonly tokens: number;
}

function readPart(read: ReadText, at: number): Part | undefined {
  const token = read.tokens[at];
  if (token === undefined || token.kind === "marker") return undefined;
  if (token.kind === "digits") return { digits: token.value, isSpoken: false, tokens: 1 };
  const next = follows(read, at) ? read.tokens[at + 1]?.value ?? "" : "";
  const unit = units.get(token.value);
  if (unit !== undefined) return withHundreds(read, at, unit, 1);
  const repeat = repeats.get(token.value);
  if (repeat !== undefined) {
    const repeated = units.get(next) ?? (/^\d$/.test(next) ? next : undefined);
    if (repeated === undefined) return undefined;
    return { digits: repeated.repeat(repeat), isSpoken: true, tokens: 2 };
  }
  const teen = teens.get(token.value);
  if (teen !== undefined) return withHundreds(read, at, teen, 1);
  const ten = tens.get(token.value);
  if (ten === undefined) return undefined;
  const joined = units.get(next);
  if (joined === undefined || joined === "0") return withHundreds(read, at, `${ten}0`, 1);
  return withHundreds(read, at, `${ten}${joined}`, 2);
}

/** `nine hundred` is 900, `eight hundred and twelve` 812, `twelve hundred` 1200, `two thousand` 2000. */
function withHundreds(read: ReadText, at: number, digits: string, tokens: number): Part {
  const last = at + tokens - 1;
  const next = follows(read, last) ? read.tokens[last + 1]?.value : undefined;
  if (next !== "hundred" && next !== "thousand") return { digits, isSpoken: true, tokens };
  const zeros = next === "hundred" ? "00" : "000";
  if (next === "hundred" && digits.length === 1) {
    const and = read.tokens[last + 2]?.value === "and" ? 1 : 0;
    const rest = read.tokens[last + 2 + and]?.value ?? "";
    const joins = teens.has(rest) || tens.has(rest);
    if (joins && follows(read, last + 1)) {
      return { digits, isSpoken: true, tokens: tokens + 1 + and };
    }
  }
  return { digits: digits + zeros, isSpoken: true, tokens: tokens + 1 };
}

/** Whether the next token follows after nothing but spaces or a hyphen. */
function follows(read: ReadText, at: number): boolean {
  const token = read.tokens[at];
  const next = read.tokens[at + 1];
  if (token === undefined || next === undefined || next.start - token.end > 3) return false;
  return /^[\s\p{Pd}]*$/u.test(read.text.slice(token.end, next.start));
}

const letterBefore = /[\p{L}\p{M}_\\#№£$€¥₹&]/u;
const letterAfter = /[\p{L}_%]/u;
/** Abbreviations written straight against a number, as in `Tel07700 900123`. */
const attached = /(?:^|[^\p{L}])(?:tel|phone|mobile|mob|cell|fax|ph)#?$/iu;

function isGlued(text: string, start: number, end: number): boolean {
  const before = text[start - 1] ?? "";
  if (before >= "\udc00" && before <= "\udfff" && isAstralLetter(text, start)) return true;
  if (letterBefore.test(before)) {
    return !isEscape(text, start) && !attached.test(text.slice(Math.max(0, start - 8), start));
  }
  if (/[£$€¥₹]\s$/.test(text.slice(Math.max(0, start - 2), start))) return true;
  const after = text[end] ?? "";
  if (!letterAfter.test(after)) return false;
  return !/^(?:x|ext)[. ]?\d/i.test(text.slice(end, end + 6)) &&
    !/^%(?:20|2B)/i.test(text.slice(end, end + 3));
}

function isAstralLetter(text: string, start: number): boolean {
  return /\p{L}/u.test(String.fromCodePoint(text.codePointAt(start - 2) ?? 0x20));
}

/** `\n07700 900123` in JSON, and `%2B447700900123` in a form. */
function isEscape(text: string, start: number): boolean {
  return /\\[nrt]$/.test(text.slice(Math.max(0, start - 2), start)) ||
    /%(?:2B|20)$/i.test(text.slice(Math.max(0, start - 3), start));
}

const tight = /^(?:[\s\p{Pd}\u2212.()/·•\u200b-\u200f\ufeff]|%20){0,5}$/u;
const comma = /^[\s,;:\p{Pd}\u200b]*$/u;
const stop = /^[\s,.…\p{Pd}"']*$/u;

function gapBetween(
  read: ReadText,
  before: Piece | undefined,
  piece: Range & { firstToken: number; isSpoken: boolean },
): Gap {
  if (before === undefined || before.isBlocked) return "none";
  const length = piece.start - before.end;
  if (length === 0) return before.isSpoken || piece.isSpoken ? "none" : "tight";
  if (length > 40) return "none";
  const between = read.text.slice(before.end, piece.start);
  if (between.includes("\n") || between.includes("\r")) return "none";
  const words = piece.firstToken - before.endToken;
  if (words === 0) {
    if (length <= 9 && tight.test(between) && !/\. /.test(between)) return "tight";
    if (!between.includes(" ") && !before.isSpoken && !piece.isSpoken) return "none";
    if (between.includes(":") || between.includes(";")) return "none";
    if (comma.test(between)) return "comma";
    return stop.test(between) ? "stop" : "none";
  }
  if (words > fillerLimit || !/^[\s\p{L}'’,.…\p{Pd}]*$/u.test(between)) return "none";
  return read.tokens.slice(before.endToken, piece.firstToken).every(isFiller) ? "filler" : "none";
}

/** Whether a word may stand inside a dictated number. */
export function isFiller(token: Token): boolean {
  return token.kind === "word" && fillers.has(token.value);
}
