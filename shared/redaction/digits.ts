/**
 * Digits as they are written, spoken and mixed: `07700`, `double oh`, `nine hundred`, `fifty-five`.
 *
 * @module
 */

import { isMeasured } from "./labels.ts";
import { Mark, type Range, type ReadText, type Token } from "./text.ts";

/**
 * What stands between two pieces, from what is typed inside a number (space, hyphen, dot, slash,
 * parentheses) over what dictation leaves to what ends a number.
 */
export const Gap = { tight: 0, comma: 1, filler: 2, stop: 3, none: 9 } as const;

/** One piece of a number: a run of digits or a spoken part such as `double oh`. */
export interface Piece extends Range {
  /** ASCII digits. */
  readonly digits: string;
  /** `nine hundred` before `twelve` is 9 of 912, or 900 and then 12; `twenty two` may be 20 and 2. */
  readonly longer?: string;
  /** Whether it was words. */
  readonly isSpoken: boolean;
  /** First token and the one after the last. */
  readonly firstToken: number;
  readonly endToken: number;
  /** How it hangs on the piece before it, one of `Gap`. */
  readonly gap: number;
  /** A date, a price, part of a word: never part of a personal number. */
  readonly isBlocked: boolean;
}

const dictionary = (words: string) =>
  new Map(
    words.trim().split(/\s+/).map((entry) => {
      const [word = "", value = ""] = entry.split("=");
      return [word, value] as const;
    }),
  );

const units = dictionary(
  `zero=0 oh=0 o=0 nought=0 naught=0 ought=0 nil=0 one=1 two=2 three=3 four=4 five=5 six=6 seven=7
  eight=8 nine=9 niner=9`,
);
const teens = dictionary(
  `ten=10 eleven=11 twelve=12 thirteen=13 fourteen=14 fifteen=15 sixteen=16 seventeen=17 eighteen=18
  nineteen=19`,
);
const tens = dictionary(
  "twenty=2 thirty=3 forty=4 fourty=4 fifty=5 sixty=6 seventy=7 eighty=8 ninety=9",
);
const repeats = dictionary("double=2 triple=3 treble=3 quadruple=4");
const plurals = dictionary(
  `zeros=0 zeroes=0 ohs=0 os=0 noughts=0 naughts=0 ones=1 twos=2 threes=3 fours=4 fives=5 sixes=6
  sevens=7 eights=8 nines=9`,
);
/** What people say between the digits of a number. */
const fillers = new Set(
  `um uh er erm uhm umm ah hmm mm mhm like and then okay ok yeah yes so right dash hyphen space dot
  comma well let me see sorry its it s is that hang hold on wait now next again followed by`
    .split(/\s+/),
);
const fillerLimit = 3;
const gapLimit = 40;

/** Finds all pieces of numbers, in order; `blocked` sorted and not overlapping. */
export function readPieces(read: ReadText, blocked: readonly Range[]): Piece[] {
  const pieces: Piece[] = [];
  let nextBlock = 0;
  for (let at = 0; at < read.tokens.length;) {
    const part = readPart(read.tokens, at);
    if (part === undefined) {
      at++;
      continue;
    }
    const endToken = at + part.tokens;
    const start = read.tokens[at]?.start ?? 0;
    const end = read.tokens[endToken - 1]?.end ?? start;
    while ((blocked[nextBlock]?.end ?? Infinity) <= start) nextBlock++;
    const isInBlock = (blocked[nextBlock]?.start ?? Infinity) < end;
    const isDose = /^[1-9]\d{0,3}$/.test(part.digits) && isMeasured(read, endToken);
    const isListed = /^[1-9]\d?$/.test(part.digits) && isListMark(read, at);
    pieces.push({
      ...part,
      start,
      end,
      firstToken: at,
      endToken,
      gap: gapBetween(read, pieces.at(-1), { ...part, start, firstToken: at }),
      isBlocked: isInBlock || isDose || isListed ||
        (!part.isSpoken && isGlued(read.text, start, end)),
    });
    at = endToken;
  }
  return pieces;
}

/** `2. Call the patient` at the start of a line. */
function isListMark({ text, tokens }: ReadText, at: number): boolean {
  const token = tokens[at];
  if (token?.kind !== "digits" || !/^[.)]\s$/.test(text.slice(token.end, token.end + 2))) {
    return false;
  }
  return at === 0 ? token.marks === 0 : (token.marks & Mark.newline) !== 0;
}

/** Digits and how many tokens they take. */
export interface Part {
  readonly digits: string;
  readonly longer?: string;
  readonly isSpoken: boolean;
  readonly tokens: number;
}

/** Reads the digits that begin at a token, or undefined when none do. */
export function readPart(tokens: readonly Token[], at: number): Part | undefined {
  const token = tokens[at];
  if (token === undefined || token.kind === "marker") return undefined;
  if (token.kind === "digits") return { digits: token.value, isSpoken: false, tokens: 1 };
  const next = nextWord(tokens, at);
  const unit = isPronoun(tokens, at) ? undefined : units.get(token.value);
  const plural = plurals.get(next);
  if (unit !== undefined && plural !== undefined && "234".includes(unit)) {
    return { digits: plural.repeat(Number(unit)), isSpoken: true, tokens: 2 };
  }
  if (unit !== undefined) return withHundreds(tokens, at, unit, 1);
  const repeat = repeats.get(token.value);
  if (repeat !== undefined) {
    const repeated = units.get(next) ?? (/^\d$/.test(next) ? next : undefined);
    if (repeated === undefined) return undefined;
    return { digits: repeated.repeat(Number(repeat)), isSpoken: true, tokens: 2 };
  }
  const teen = teens.get(token.value);
  if (teen !== undefined) return withHundreds(tokens, at, teen, 1);
  const ten = tens.get(token.value);
  if (ten === undefined) return undefined;
  const joined = units.get(next);
  if (joined === undefined || joined === "0") return withHundreds(tokens, at, `${ten}0`, 1);
  const part = withHundreds(tokens, at, `${ten}${joined}`, 2);
  return part.tokens === 2 ? { ...part, longer: `${ten}0${joined}` } : part;
}

const pronounsBefore = new Set(
  "the this that which usual same other another old new first last right wrong only no any every each"
    .split(" "),
);

/** `the usual one` is no digit. */
function isPronoun(tokens: readonly Token[], at: number): boolean {
  const token = tokens[at];
  return token?.value === "one" && token.marks === Mark.space &&
    pronounsBefore.has(tokens[at - 1]?.value ?? "");
}

/** `nine hundred` is 900, `eight hundred and twelve` 812, `twelve hundred` 1200, `two thousand` 2000. */
function withHundreds(tokens: readonly Token[], at: number, digits: string, count: number): Part {
  const last = at + count - 1;
  const scale = nextWord(tokens, last);
  const zeros = scale === "hundred" ? "00" : scale === "thousand" ? "000" : undefined;
  if (zeros === undefined) return { digits, isSpoken: true, tokens: count };
  const round = { digits: digits + zeros, isSpoken: true, tokens: count + 1 };
  if (scale !== "hundred" || digits.length !== 1) return round;
  const after = nextWord(tokens, last + 1);
  const and = after === "and" ? 1 : 0;
  const rest = and === 1 ? nextWord(tokens, last + 2) : after;
  if (!teens.has(rest) && !tens.has(rest)) return round;
  const joined = { digits, isSpoken: true, tokens: count + 1 + and };
  return and === 1 ? joined : { ...joined, longer: round.digits };
}

/** The next token's value if nothing but spaces or a hyphen is between. */
function nextWord(tokens: readonly Token[], at: number): string {
  const token = tokens[at];
  const next = tokens[at + 1];
  if (token === undefined || next === undefined || next.start - token.end > 3) return "";
  return hasOnly(next.marks, Mark.space | Mark.other) ? next.value : "";
}

const hasOnly = (marks: number, allowed: number) => (marks & ~allowed) === 0;

/** Scripts without spaces between words are never glued to digits. */
const isSpaced = /^(?![\p{scx=Han}\p{scx=Hiragana}\p{scx=Katakana}\p{scx=Hangul}\p{scx=Thai}])/u;
const letterBefore = /[\p{L}\u0300-\u036f_\\#№£$€¥₹&]/u;
const letterAfter = /[\p{L}_%]/u;
/** Abbreviations written straight against a number, as in `Tel07700 900123`. */
const attached = /(?:^|[^\p{L}])(?:tel|phone|mobile|mob|cell|fax|ph)#?$/iu;
/** `\n07700 900123` in JSON, and `%2B447700900123` in a form. */
const escaped = /\\[nrt]$|%2B$/i;

/** Whether the digits are part of a word, of a price or behind a number sign. */
function isGlued(text: string, start: number, end: number): boolean {
  if (isGluedBefore(text, start)) return true;
  const after = text[end] ?? "";
  if (!letterAfter.test(after) || !isSpaced.test(after)) return false;
  return !/^(?:x|ext)[. ]?\d/i.test(text.slice(end, end + 6));
}

function isGluedBefore(text: string, start: number): boolean {
  const before = text[start - 1] ?? "";
  if (before === " ") return /[£$€¥₹№#]/.test(text[start - 2] ?? "");
  const isLowSurrogate = before >= "\udc00" && before <= "\udfff";
  const character = isLowSurrogate ? text.slice(start - 2, start) : before;
  if (!letterBefore.test(character) || !isSpaced.test(character)) return false;
  const word = text.slice(Math.max(0, start - 8), start);
  return !escaped.test(word) && !attached.test(word);
}

const tight = /^[\s\p{Pd}\p{Cf}\u2212().[\]/·•~\ufe0f\u20e3]{0,9}$/u;

function gapBetween(
  read: ReadText,
  before: Piece | undefined,
  piece: Part & { readonly start: number; readonly firstToken: number },
): number {
  if (before === undefined || before.isBlocked) return Gap.none;
  const between = piece.start - before.end;
  if (between > gapLimit) return Gap.none;
  const tokens = read.tokens.slice(before.endToken, piece.firstToken);
  if (tokens.length > 0) {
    return isFilled(tokens, read.tokens[piece.firstToken]) ? Gap.filler : Gap.none;
  }
  const marks = read.tokens[piece.firstToken]?.marks ?? 0;
  if (between === 0) return before.isSpoken || piece.isSpoken ? Gap.none : Gap.tight;
  if (!hasOnly(marks, Mark.space | Mark.comma | Mark.aside | Mark.stop | Mark.other)) {
    return Gap.none;
  }
  const isTight = between === 1 && (marks & Mark.space) !== 0 ||
    tight.test(read.text.slice(before.end, piece.start));
  if ((marks & Mark.stop) !== 0) return Gap.stop;
  if ((marks & Mark.comma) === 0) return isTight ? Gap.tight : Gap.none;
  // `07,700,900,123` is how some speech recognition writes a number.
  const isList = (marks & Mark.space) === 0 && !before.isSpoken && !piece.isSpoken &&
    piece.digits.length !== 3;
  return isList ? Gap.none : Gap.comma;
}

function isFilled(words: readonly Token[], next: Token | undefined): boolean {
  if (words.length > fillerLimit || !words.every(isFiller)) return false;
  const allowed = Mark.space | Mark.comma | Mark.stop | Mark.aside | Mark.other;
  return [...words, next].every((token) => hasOnly(token?.marks ?? 0, allowed));
}

/** Whether a word may stand inside a dictated number. */
export function isFiller(token: Token): boolean {
  return token.kind === "word" && fillers.has(token.value);
}
