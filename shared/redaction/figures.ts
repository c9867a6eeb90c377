/**
 * Dates, times, decimals, prices and versions: digits joined by punctuation that are not a personal
 * number. Also finds dotted numbers that are IP addresses.
 *
 * @module
 */

import { Mark, type Range, type Token } from "../tokens.ts";
import type { ReadText } from "./text.ts";

/** What is known of the digits that punctuation joins. */
export interface Figures {
  /** Sorted, not overlapping. */
  readonly harmless: readonly Range[];
  readonly ips: readonly Range[];
}

/** Runs of digits separated by exactly one of `- / . : ,`, such as `2026-03-03` and `10.0.0.1`. */
interface Figure {
  readonly tokens: readonly Token[];
  /** Index of the first token in the text. */
  readonly first: number;
  /** The separators, one character each. */
  readonly joints: string;
}

/** Longer runs are read in parts, so that the time stays linear. */
const figureLimit = 24;

/** Reads all figures of a text, in order. */
export function readFigures(read: ReadText): Figures {
  const harmless: Range[] = [];
  const ips: Range[] = [];
  for (let first = 0; first < read.tokens.length;) {
    const figure = figureAt(read, first);
    if (figure === undefined) {
      first++;
      continue;
    }
    const isIp = isIpv4(read, figure);
    if (isIp) ips.push(rangeOf(figure.tokens.slice(0, 4)));
    else harmless.push(...harmlessParts(read, figure));
    // A port or the next address may follow an address.
    first += isIp ? 4 : figure.tokens.length;
  }
  return { harmless, ips };
}

function figureAt(read: ReadText, first: number): Figure | undefined {
  const { text, tokens } = read;
  if (tokens[first]?.kind !== "digits") return undefined;
  let joints = "";
  let end = first + 1;
  for (; tokens[end]?.kind === "digits" && end - first < figureLimit; end++) {
    const from = tokens[end - 1]?.end ?? 0;
    const joint = text[from] ?? "";
    if (tokens[end]?.start !== from + 1 || !"-/.:,".includes(joint)) break;
    joints += joint;
  }
  return { tokens: tokens.slice(first, end), first, joints };
}

/** Reads known forms from the left. What is left over may be part of a number. */
function harmlessParts(read: ReadText, figure: Figure): Range[] {
  const parts: Range[] = [];
  const { tokens, joints } = figure;
  if (joints.includes(":")) return [rangeOf(tokens)];
  const hours = tokens.length <= 2 ? lengthOfHours(read, figure.first) : 0;
  if (hours > 0) return [rangeOf(read.tokens.slice(figure.first, figure.first + hours))];
  for (let at = 0; at < tokens.length;) {
    const length = lengthOfDate(figure, at) ?? lengthOfAmount(figure, at) ??
      (isZip(read, figure) ? 2 : undefined);
    if (length !== undefined) parts.push(rangeOf(tokens.slice(at, at + length)));
    at += length ?? 1;
  }
  const [only] = tokens;
  if (tokens.length === 1 && only !== undefined) {
    if (isYear(only.value) && isInParentheses(read, only)) return [rangeOf(tokens)];
    const length = lengthOfWordyDate(read, figure.first);
    const last = read.tokens[figure.first + length - 1];
    if (length > 0 && last !== undefined) parts.push({ start: only.start, end: last.end });
  }
  return parts;
}

const isYear = (digits: string) => /^(?:19|20)\d\d$/.test(digits);
const isMonth = (digits: string) => /^(?:0?[1-9]|1[0-2])$/.test(digits);
const isDay = (digits: string) => /^(?:0?[1-9]|[12]\d|3[01])$/.test(digits);

/** `2026-03-14`, `14/03/1984`, `3.14.84`: one separator throughout, and not part of something longer. */
function lengthOfDate({ tokens, joints }: Figure, at: number): number | undefined {
  const [a = "", b = "", c = ""] = tokens.slice(at, at + 3).map(({ value }) => value);
  const joint = joints[at];
  if (joint === undefined || joint !== joints[at + 1] || !"-/.".includes(joint)) return undefined;
  if (joints[at - 1] === joint || joints[at + 2] === joint) return undefined;
  return isDate(a, b, c) ? 3 : undefined;
}

/** Whether three runs of digits are a date, with the year first or last. */
export function isDate(a: string, b: string, c: string): boolean {
  const isYearFirst = isYear(a) && isMonth(b) && isDay(c);
  const isYearLast = (isDay(a) && isMonth(b) || isMonth(a) && isDay(b)) &&
    (isYear(c) || /^\d\d$/.test(c));
  return isYearFirst || isYearLast;
}

/** Decimals, thousands, fractions, a ZIP+4 code, a range of years. */
function lengthOfAmount({ tokens, joints }: Figure, at: number): number | undefined {
  const [a = "", b = ""] = tokens.slice(at, at + 2).map(({ value }) => value);
  const joint = joints[at];
  const next = joints[at + 1];
  if (joint === undefined || joints[at - 1] === joint) return undefined;
  if (joint === ",") return lengthOfThousands({ tokens, joints, first: 0 }, at);
  if (next === joint) return undefined;
  if (joint === ".") {
    // Some people write a local number as `555.0130`.
    const isLocal = a.length === 3 && b.length === 4;
    return a === "0" || !a.startsWith("0") && !isLocal ? 2 : undefined;
  }
  if (joint === "/") return a.length <= 3 && b.length <= 3 && next === undefined ? 2 : undefined;
  return isYear(a) && isYear(b) ? 2 : undefined;
}

/** `pages 555-561 (2019)` */
const isInParentheses = ({ text }: ReadText, { start, end }: Range) =>
  text[start - 1] === "(" && text[end] === ")";

/** `94110-1234`, unless more digits precede it, as in `+55 11 91234-5678`. */
function isZip({ tokens: all }: ReadText, { tokens, joints, first }: Figure): boolean {
  const [zip, four] = tokens;
  const isBehindDigits = all[first - 1]?.kind === "digits" && isNear(all, first);
  return tokens.length === 2 && joints === "-" && zip?.value.length === 5 &&
    four?.value.length === 4 && !isBehindDigits;
}

function lengthOfThousands({ tokens, joints }: Figure, at: number): number | undefined {
  const head = tokens[at]?.value ?? "";
  let end = at + 1;
  while (joints[end - 1] === "," && tokens[end]?.value.length === 3) end++;
  if (end === at + 1 || head.length > 3 || head.startsWith("0") || joints[end - 1] === ",") {
    return undefined;
  }
  return joints[end - 1] === "." ? end + 1 - at : end - at;
}

const isClock = (digits: string) => /^(?:[01]\d|2[0-4])[0-5][05]$/.test(digits);

/** The number of tokens of hours on a clock: `0800 - 1700`, `0930 to 1645`. */
function lengthOfHours({ text, tokens }: ReadText, first: number): number {
  const last = first + (tokens[first + 1]?.value === "to" ? 2 : 1);
  const [from, until] = [tokens[first], tokens[last]];
  if (from === undefined || until?.kind !== "digits") return 0;
  if (!isClock(from.value) || !isClock(until.value) || from.value === until.value) return 0;
  if (!/^ ?(?:[-–—]|to) ?$/.test(text.slice(from.end, until.start))) return 0;
  const isPartOfNumber =
    /[+\d][ )-]{0,2}$/.test(text.slice(Math.max(0, from.start - 4), from.start)) ||
    /^[ -]?\d/.test(text.slice(until.end, until.end + 2));
  return isPartOfNumber ? 0 : last - first + 1;
}

const months = new Set(
  ("january february march april may june july august september october november december " +
    "jan feb mar apr jun jul aug sep sept oct nov dec").split(" "),
);

/** The number of tokens of a date in words: `3rd of March 2026`, `March 14, 1984`, `04 03 2026`. */
function lengthOfWordyDate({ tokens }: ReadText, first: number): number {
  const word = (at: number) => isNear(tokens, first + at) ? tokens[first + at]?.value ?? "" : "";
  const day = tokens[first]?.value ?? "";
  if (isCompactDate(day)) return 1;
  if (!isDay(day)) return 0;
  const isAlone = tokens[first - 1]?.kind !== "digits" || !isNear(tokens, first);
  if (isAlone && isMonth(word(1)) && isYear(word(2))) return 3;
  if (months.has(tokens[first - 1]?.value ?? "") && isNear(tokens, first)) {
    return isYear(word(1)) ? 2 : 1;
  }
  let at = /^(?:st|nd|rd|th)$/.test(word(1)) ? 2 : 1;
  if (word(at) === "of") at++;
  if (!months.has(word(at))) return 0;
  return isYear(word(at + 1)) ? at + 2 : at + 1;
}

function isNear(tokens: readonly Token[], at: number): boolean {
  const { start = Infinity, marks = 0 } = tokens[at] ?? {};
  return start - (tokens[at - 1]?.end ?? -Infinity) <= 2 && (marks & Mark.newline) === 0;
}

const isCompactDate = (digits: string) =>
  /^(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])$/.test(digits);

const versionWords = new Set(
  `version versions ver v release build firmware software section chapter clause paragraph figure
  table step oid appendix article rule item part`.split(/\s+/),
);
const hostWords = new Set(
  `ip ipv address addresses addr host hosts server client from dns gateway router ping login
  source remote proxy peer origin network subnet`.split(/\s+/),
);

/**
 * An address in the dotted form of RFC 791. Four single digits could also be a section number, so they
 * need a preceding word about hosts.
 */
function isIpv4(read: ReadText, { tokens, first, joints }: Figure): boolean {
  const [, , , last] = tokens;
  if (tokens.length < 4 || !/^\.{3}(?:$|[^.])/.test(joints) || last === undefined) return false;
  const parts = tokens.slice(0, 4).map(({ value }) => value);
  if (!parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255)) {
    return false;
  }
  const start = tokens[0]?.start ?? 0;
  if (
    /[\p{L}_.]/u.test(read.text[start - 1] ?? "") || /[\p{L}_]/u.test(read.text[last.end] ?? "")
  ) {
    return false;
  }
  const before = read.tokens[first - 1];
  if (before !== undefined && versionWords.has(before.value) && start - before.end <= 2) {
    return false;
  }
  if (read.text[start - 1] === "/" && read.text[start - 2] !== "/") return false;
  return parts.some((part) => part.length > 1) ||
    read.tokens.slice(Math.max(0, first - 4), first + 8).some(({ value }) => hostWords.has(value));
}

function rangeOf(tokens: readonly Token[]): Range {
  return { start: tokens[0]?.start ?? 0, end: tokens.at(-1)?.end ?? 0 };
}
