/**
 * The digits that begin at a token, in every way they can be read.
 *
 * @module
 */

import { Mark, type Token } from "../tokens.ts";
import {
  echoes,
  germanDigits,
  germanHomographs,
  hesitations,
  homophones,
  plurals,
  pronounEndings,
  pronounOpenings,
  repeats,
  sentenceOpenings,
  teens,
  tens,
  units,
} from "./vocabulary.ts";

/** One way to read the tokens from a place on. */
export interface Reading {
  /** ASCII; empty where the words may not be digits. */
  readonly digits: string;
  /** How many tokens it takes. */
  readonly length: number;
}

const magnitudes = new Set(["hundred", "thousand"]);
const ends = new Set([...magnitudes, ...plurals.keys(), ...echoes.keys()]);
const openings = new Set(
  [units, teens, tens, repeats, homophones, germanHomographs].flatMap((words) => [...words.keys()]),
);

/**
 * Every way to read the digits at a token, likeliest first: `twenty one` is 21, or 20 and then
 * something else. Empty where no digits begin.
 */
export function readingsAt(tokens: readonly Token[], at: number): readonly Reading[] {
  const token = tokens[at];
  if (token === undefined || !mayBegin(token)) return [];
  const counted = writtenThousandsAt(tokens, at);
  if (counted.length > 0) return counted;
  const written = writtenAt(tokens, at);
  if (written !== undefined) return [written];
  if (isPronoun(tokens, at)) return pronounAt(tokens, at);
  if (isExclamation(tokens, at)) return exclamationAt(tokens, at);
  if (germanHomographs.has(token.value)) return germanHomographAt(tokens, at);
  if (isPlain(tokens, at)) return [{ digits: digitOf(token.value) ?? "", length: 1 }];
  const repeated = repeatedAt(tokens, at);
  if (repeated !== undefined) return [repeated];
  if (homophones.has(token.value)) return homophoneAt(tokens, at);
  return withEchoes(tokens, at, cardinalsAt(tokens, at));
}

/** One lookup in a set rules out most words of a text. */
function mayBegin({ kind, value }: Token): boolean {
  return kind === "digits" || kind === "word" && (openings.has(value) || value.startsWith("oo"));
}

const isZeros = ({ kind, value }: Token) => kind === "word" && /^o+$/.test(value);

/** Digits written without a gap, possibly with the letter O for zero: `O77OO`. */
function writtenAt(tokens: readonly Token[], at: number): Reading | undefined {
  let digits = "";
  let end = at;
  let hasDigits = false;
  for (let token = tokens[at]; token !== undefined; token = tokens[++end]) {
    const isAttached = end === at || token.start === tokens[end - 1]?.end;
    if (!isAttached || token.kind !== "digits" && !isZeros(token)) break;
    hasDigits ||= token.kind === "digits";
    digits += token.kind === "digits" ? token.value : "0".repeat(token.value.length);
  }
  return hasDigits && (end - at > 1 || digits.length > 1)
    ? { digits, length: end - at }
    : undefined;
}

/** `482 thousand 913`. Without the rest it is a quantity. */
function writtenThousandsAt(tokens: readonly Token[], at: number): readonly Reading[] {
  if (tokens[at]?.kind !== "digits" || nextWord(tokens, at) !== "thousand") return [];
  return thousandsAt(tokens, at).filter(({ length }) => length > 2)
    .map(({ value, length }) => ({ digits: String(value), length }));
}

/** `the usual one`, `one moment` */
function isPronoun(tokens: readonly Token[], at: number): boolean {
  const token = tokens[at];
  if (token?.value !== "one") return false;
  const isOpened = token.marks === Mark.space && pronounOpenings.has(tokens[at - 1]?.value ?? "");
  return isOpened || pronounEndings.has(nextWord(tokens, at));
}

/**
 * Directly after digits, `one` may be a digit (`... three one that's it`) or not (`... three one sec`).
 * After single digits it does not begin a sentence.
 */
function pronounAt(tokens: readonly Token[], at: number): readonly Reading[] {
  const [before, token] = [tokens[at - 1], tokens[at]];
  if (before === undefined || token === undefined || !isBehindDigit(tokens, at)) return [];
  const isAmongSingles = isJoined(token) && (before.kind === "word" || before.value.length === 1);
  return isAmongSingles && sentenceOpenings.has(nextWord(tokens, at))
    ? [{ digits: "1", length: 1 }]
    : [{ digits: "1", length: 1 }, { digits: "", length: 1 }];
}

/** Whether a digit precedes, in the same sentence. The `oh` of `Oh one sec` is not one. */
function isBehindDigit(tokens: readonly Token[], at: number): boolean {
  const [before, token] = [tokens[at - 1], tokens[at]];
  if (before === undefined || token === undefined || !isJoined(token, Mark.comma)) return false;
  if (before.value === "oh" && opensUtterance(tokens, at - 1)) return false;
  return before.kind === "digits" || ends.has(before.value) ||
    [units, teens, tens].some((words) => words.has(before.value));
}

const utterance = Mark.stop | Mark.newline | Mark.colon;

function opensUtterance(tokens: readonly Token[], at: number): boolean {
  return at === 0 || ((tokens[at]?.marks ?? 0) & utterance) !== 0;
}

/**
 * After digits, `oh` may be another digit, or an exclamation: `... nine one three. Oh, that's it.`
 * Before a zero it may also be a digit.
 */
function exclamationAt(tokens: readonly Token[], at: number): readonly Reading[] {
  const before = tokens[at - 1];
  const isBehindDigits = before !== undefined && (mayBegin(before) || ends.has(before.value));
  return isBehindDigits || isBeforeZero(tokens, at)
    ? [{ digits: "0", length: 1 }, { digits: "", length: 1 }]
    : [];
}

/** `null` and `elf` next to a German digit, with others of them between: `null null sieben`. */
function germanHomographAt(tokens: readonly Token[], at: number): readonly Reading[] {
  const digits = germanHomographs.get(tokens[at]?.value ?? "");
  const isGerman = ([-1, 1] as const).some((step) => {
    for (let next = at + step; Math.abs(next - at) <= nearby; next += step) {
      const later = tokens[Math.max(next, next - step)];
      const { value = "" } = tokens[next] ?? {};
      if (later === undefined || !isJoined(later, Mark.comma)) return false;
      if (!germanHomographs.has(value)) return germanDigits.has(value);
    }
    return false;
  });
  return isGerman && digits !== undefined ? [{ digits, length: 1 }] : [];
}

/** `Oh, it's four eight ...` and perhaps `Oh, oh seven ...`, but `oh, um, seven seven ...` */
function isExclamation(tokens: readonly Token[], at: number): boolean {
  const next = tokens[at + 1];
  if (tokens[at]?.value !== "oh" || next === undefined || !opensUtterance(tokens, at)) return false;
  if (isBeforeZero(tokens, at)) return true;
  return next.kind === "word" && !hesitations.has(next.value) &&
    readingsAt(tokens, at + 1).length === 0;
}

/** `oh`, `zero`, `double oh`, `07700` */
function isBeforeZero(tokens: readonly Token[], at: number): boolean {
  const next = tokens[at + 1];
  const zero = repeats.has(next?.value ?? "") ? tokens[at + 2] : next;
  return zero?.kind === "digits" ? zero.value.startsWith("0") : digitOf(zero?.value ?? "") === "0";
}

/** A digit that the words after it cannot change. Nearly all are like this. */
function isPlain(tokens: readonly Token[], at: number): boolean {
  const next = nextWord(tokens, at);
  return digitOf(tokens[at]?.value ?? "") !== undefined && !magnitudes.has(next) &&
    !plurals.has(next) && !echoes.has(next);
}

/** `double five`, `zweimal die null`, `two fives` */
function repeatedAt(tokens: readonly Token[], at: number): Reading | undefined {
  const value = tokens[at]?.value ?? "";
  const next = nextWord(tokens, at);
  const times = repeats.get(value);
  if (times !== undefined) {
    const article = next === "die" ? 1 : 0;
    const word = nextWord(tokens, at + article);
    const digit = word === "null" ? "0" : digitOf(word);
    return digit === undefined
      ? undefined
      : { digits: digit.repeat(Number(times)), length: 2 + article };
  }
  const plural = plurals.get(next);
  const count = Number(digitOf(value) ?? 0);
  return plural !== undefined && count >= 2 && count <= 6
    ? { digits: plural.repeat(count), length: 2 }
    : undefined;
}

/** `five twice` is 55. */
function withEchoes(
  tokens: readonly Token[],
  at: number,
  readings: readonly Reading[],
): readonly Reading[] {
  const digit = digitOf(tokens[at]?.value ?? "");
  const times = echoes.get(nextWord(tokens, at));
  if (digit === undefined || times === undefined) return readings;
  return [{ digits: digit.repeat(Number(times)), length: 2 }];
}

/** Among single digits, `for` is 4 or nothing. */
function homophoneAt(tokens: readonly Token[], at: number): readonly Reading[] {
  const digit = homophones.get(tokens[at]?.value ?? "");
  const before = countSingles(tokens, at, -1);
  const after = countSingles(tokens, at, 1);
  const isLast = before >= 2 && endsSentence(tokens, at);
  const isRare = /^(?:won|ate)$/.test(tokens[at]?.value ?? "");
  const isAmong = before > 0 && after > 0 && (isRare || before + after > 2);
  const isFirst = (isRare ? after >= 4 : beginsCode(tokens, at)) &&
    (at === 0 || ((tokens[at]?.marks ?? 0) & utterance) !== 0);
  return digit !== undefined && (isAmong || isFirst || isLast)
    ? [{ digits: digit, length: 1 }, { digits: "", length: 1 }]
    : [];
}

/** Whether exactly five single digits follow: with this one they are a passcode. */
function beginsCode(tokens: readonly Token[], at: number): boolean {
  const rest = tokens.slice(at + 1, at + 6);
  const next = tokens[at + 6];
  return rest.length === 5 &&
    rest.every((token) => isJoined(token) && digitOf(token.value) !== undefined) &&
    (next === undefined || !mayBegin(next));
}

const nearby = 6;

/** Counts single digits next to a token, in one direction, said without a pause. */
function countSingles(tokens: readonly Token[], at: number, step: 1 | -1): number {
  let count = 0;
  for (let next = at + step; Math.abs(next - at) <= nearby; next += step) {
    const later = tokens[Math.max(next, next - step)];
    const { value = "" } = tokens[next] ?? {};
    if (later === undefined || !isJoined(later)) break;
    if (digitOf(value) !== undefined) count++;
    else if (!homophones.has(value) && !repeats.has(value) && value !== "hundred") break;
  }
  return count;
}

/** Whether nothing follows in the sentence but other homophones. */
function endsSentence(tokens: readonly Token[], at: number): boolean {
  let end = at + 1;
  while (homophones.has(tokens[end]?.value ?? "") && end < at + nearby) end++;
  const next = tokens[end];
  return next === undefined || (next.marks & (Mark.stop | Mark.newline)) !== 0;
}

interface Cardinal {
  readonly value: number;
  readonly length: number;
}

function cardinalsAt(tokens: readonly Token[], at: number): readonly Reading[] {
  return [thousandsAt, hundredsAt, belowHundred].flatMap((read) => read(tokens, at))
    .filter(({ length }) => !magnitudes.has(nextWord(tokens, at + length - 1)))
    .map(({ value, length }) => ({ digits: String(value), length }));
}

/** `forty-eight`, `forty`, `thirteen`, `five`. A hyphen always joins, a pause never does. */
function belowHundred(tokens: readonly Token[], at: number): Cardinal[] {
  const { value = "" } = tokens[at] ?? {};
  const ten = tens.get(value);
  if (ten === undefined) {
    const single = teens.get(value) ?? digitOf(value);
    return single === undefined ? [] : [{ value: Number(single), length: 1 }];
  }
  const alone = { value: Number(ten), length: 1 };
  const unit = units.get(nextWord(tokens, at)) ?? "0";
  if (unit === "0") return [alone];
  const joined = { value: Number(ten) + Number(unit), length: 2 };
  return tokens[at + 1]?.marks === Mark.other ? [joined] : [joined, alone];
}

/** `four hundred (and) eighty two`, `twelve hundred`. An "and" always joins. */
function hundredsAt(tokens: readonly Token[], at: number): Cardinal[] {
  return countsAt(belowHundred(tokens, at), "hundred", tokens, at).flatMap((hundreds) => {
    const { value, length, hasAnd } = hundreds;
    const alone = { value: value * 100, length };
    const rest = restAt(belowHundred, hundreds, tokens, at);
    const joined = rest.map((each) => ({ ...each, value: value * 100 + each.value }));
    const isBareUnit = rest.length === 1 && (rest[0]?.value ?? 0) < 10;
    // `nine hundred and one two three`: more digits follow, so the one may be a separate digit.
    const isOpen = isBareUnit && digitOf(nextWord(tokens, at + (rest[0]?.length ?? 0) - 1));
    if (hasAnd && joined.length > 0) return isOpen ? [...joined, alone] : joined;
    return isBareUnit ? [alone, ...joined] : [...joined, alone];
  });
}

/** `four hundred eighty two thousand (and) thirteen`, `482 thousand, 913`: the rest has three digits. */
function thousandsAt(tokens: readonly Token[], at: number): Cardinal[] {
  const belowThousand = (tokens: readonly Token[], at: number) => {
    const { kind, value = "" } = tokens[at] ?? {};
    return kind === "digits" && /^\d{2,3}$/.test(value)
      ? [{ value: Number(value), length: 1 }]
      : [...hundredsAt(tokens, at), ...belowHundred(tokens, at)].filter(({ value }) =>
        value < 1000
      );
  };
  return countsAt(belowThousand(tokens, at), "thousand", tokens, at).flatMap((thousands) => {
    const { value, length, hasAnd } = thousands;
    const joined = restAt(belowThousand, thousands, tokens, at, Mark.comma)
      .map((rest) => ({ ...rest, value: value * 1000 + rest.value }));
    return hasAnd && joined.length > 0 ? joined : [...joined, { value: value * 1000, length }];
  });
}

interface Count extends Cardinal {
  /** Whether an "and" precedes the rest. */
  readonly hasAnd: boolean;
}

/** The cardinals that say how many hundreds or thousands there are. */
function countsAt(
  counts: readonly Cardinal[],
  magnitude: "hundred" | "thousand",
  tokens: readonly Token[],
  at: number,
): Count[] {
  return counts
    .filter(({ value, length }) => value > 0 && nextWord(tokens, at + length - 1) === magnitude)
    .map(({ value, length }) => ({
      value,
      length: length + 1,
      hasAnd: nextWord(tokens, at + length) === "and",
    }));
}

/**
 * What can follow a "hundred" or "thousand", with the length of both; nothing after a pause.
 *
 * @param pause Marks that do not count as a pause.
 */
function restAt(
  read: (tokens: readonly Token[], at: number) => Cardinal[],
  { length, hasAnd }: Count,
  tokens: readonly Token[],
  at: number,
  pause = 0,
): Cardinal[] {
  const start = hasAnd ? length + 1 : length;
  if (nextWord(tokens, at + start - 1, pause) === "") return [];
  return read(tokens, at + start)
    .filter(({ value }) => value > 0)
    .map((rest) => ({ value: rest.value, length: start + rest.length }));
}

function digitOf(word: string): string | undefined {
  return /^\d$/.test(word) ? word : units.get(word);
}

/** Whether only spaces or a hyphen precede a token. */
const isJoined = ({ marks }: Token, pause = 0) =>
  (marks & ~(Mark.space | Mark.other | pause)) === 0;

/** The next token's value, if only spaces or a hyphen are in between. */
function nextWord(tokens: readonly Token[], at: number, pause = 0): string {
  const token = tokens[at];
  const next = tokens[at + 1];
  if (token === undefined || next === undefined || next.start - token.end > 3) return "";
  return isJoined(next, pause) ? next.value : "";
}
