/**
 * Cuts a text into words, runs of digits and what separates them, by offsets. The text is not
 * changed.
 *
 * @module
 */

/** A range of UTF-16 offsets. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** A word (lowercase, camelCase split), a run of digits (as ASCII), or an earlier marker. */
export interface Token extends Range {
  readonly kind: "word" | "digits" | "marker";
  readonly value: string;
  /** What separates the token from the one before it, as bits of `Mark`. */
  readonly marks: number;
}

/** What can separate two tokens. */
export const Mark = {
  space: 1,
  /** A full stop, question mark or exclamation mark, followed by a space. */
  stop: 2,
  newline: 4,
  colon: 8,
  comma: 16,
  quote: 32,
  /** Separators of records' fields: `{ } ; | &`. */
  record: 64,
  /** A parenthesis, or a dash between spaces. */
  aside: 128,
  /** A dot or hyphen inside a word, or any other character. */
  other: 256,
} as const;

const marker = /\[REDACTED(?:: [A-Z]{2,7})?\]/y;
const asciiMarks = new Map<string, number>([
  ...[..." \t\v\f"].map((space) => [space, Mark.space] as const),
  ...[..."\r\n"].map((newline) => [newline, Mark.newline] as const),
  ...[...":="].map((colon) => [colon, Mark.colon] as const),
  ...[..."{};|&"].map((record) => [record, Mark.record] as const),
  ...[..."()"].map((parenthesis) => [parenthesis, Mark.aside] as const),
  [",", Mark.comma],
  ['"', Mark.quote],
]);
const markOf = Uint16Array.from(
  { length: 128 },
  (_, code) => asciiMarks.get(String.fromCharCode(code)) ?? Mark.other,
);

/** Cuts a text in one pass, in time proportional to its length. */
export function readTokens(text: string): Token[] {
  const tokens: Token[] = [];
  let marks = 0;
  for (let at = 0; at < text.length;) {
    const escape = escapeAt(text, at);
    const token = escape === "" ? readToken(text, at, marks) : undefined;
    if (escape !== "") {
      marks |= readMark(withoutEscapes(escape), 0);
      at += escape.length;
    } else if (token === undefined) {
      marks |= readMark(text, at);
      at++;
    } else {
      tokens.push(token);
      marks = 0;
      at = token.end;
    }
  }
  return tokens;
}

const escaped = /%[\da-f]{2}|\\u[\da-f]{4}|\\[nrt]/gi;
const escapedHere = new RegExp(escaped.source, "iy");
const backslash = 0x5c;
const percent = 0x25;

/** The escaped character at a place: `%20` of a URL, `\\n` and `\\u002b` of JSON in a text. */
function escapeAt(text: string, at: number): string {
  const code = text.charCodeAt(at);
  if (code !== backslash && code !== percent) return "";
  escapedHere.lastIndex = at;
  return escapedHere.exec(text)?.[0] ?? "";
}

const escapedSpaces = new Map([["\\n", "\n"], ["\\r", "\r"], ["\\t", "\t"]]);

/** Replaces escaped characters. */
export function withoutEscapes(text: string): string {
  return text.replace(escaped, (found) =>
    escapedSpaces.get(found.toLowerCase()) ??
      String.fromCharCode(parseInt(found.replace(/^\W+u?/, ""), 16)));
}

function readToken(text: string, start: number, marks: number): Token | undefined {
  const code = text.charCodeAt(start);
  if (isAsciiDigit(code)) {
    let end = start + 1;
    while (isAsciiDigit(text.charCodeAt(end))) end++;
    return { kind: "digits", value: text.slice(start, end), start, end, marks };
  }
  if (code === leftBracket) {
    marker.lastIndex = start;
    const length = marker.exec(text)?.[0].length;
    return length === undefined
      ? undefined
      : { kind: "marker", value: "", start, end: start + length, marks };
  }
  if (code < 128 ? isAsciiLetter(code) : isLetter.test(codePointAt(text, start))) {
    const end = endOfWord(text, start);
    return { kind: "word", value: text.slice(start, end).toLowerCase(), start, end, marks };
  }
  let value = "";
  let end = start;
  while (text.charCodeAt(end) >= 128 && isDecimal.test(codePointAt(text, end))) {
    value += digitValue(codePointAt(text, end));
    end += codePointAt(text, end).length;
  }
  return value === "" ? undefined : { kind: "digits", value, start, end, marks };
}

const leftBracket = 0x5b;
const isLetter = /^\p{L}$/u;
const isWordPart = /^[\p{L}\p{M}]$/u;
const isDecimal = /^\p{Nd}$/u;
const isAsciiDigit = (code: number) => code >= 0x30 && code <= 0x39;
const isUpper = (code: number) => code >= 0x41 && code <= 0x5a;
const isLower = (code: number) => code >= 0x61 && code <= 0x7a;
const isAsciiLetter = (code: number) => isUpper(code) || isLower(code);
const codePointAt = (text: string, at: number) => String.fromCodePoint(text.codePointAt(at) ?? 0);

/** `nhsNumber` and `NHSNumber` are two words, `NHS` is one. */
function endOfWord(text: string, start: number): number {
  let end = start + codePointAt(text, start).length;
  if (isUpper(text.charCodeAt(start)) && isUpper(text.charCodeAt(end))) {
    while (isUpper(text.charCodeAt(end))) end++;
    return isLower(text.charCodeAt(end)) ? end - 1 : end;
  }
  for (;;) {
    const code = text.charCodeAt(end);
    if (isLower(code)) end++;
    else if (code >= 128 && isWordPart.test(codePointAt(text, end))) {
      end += codePointAt(text, end).length;
    } else return end;
  }
}

const mathematicalZero = 0x1d7ce;

/**
 * Converts a decimal digit of any script to ASCII. In Unicode the ten digits of a script are
 * consecutive (core specification, 4.6), so the value is the distance to that script's zero.
 */
function digitValue(character: string): string {
  const code = character.codePointAt(0) ?? 0x30;
  if (code >= mathematicalZero && code < mathematicalZero + 50) {
    return String((code - mathematicalZero) % 10);
  }
  let zero = code;
  while (code - zero < 9 && isDecimal.test(String.fromCodePoint(zero - 1))) zero--;
  return String(code - zero);
}

function readMark(text: string, at: number): number {
  const code = text.charCodeAt(at);
  if (code >= 128) return readUnicodeMark(text, at);
  const mark = markOf[code] ?? Mark.other;
  if (mark !== Mark.other) return mark;
  const character = text[at] ?? "";
  const isLoose = isSpace(text[at + 1] ?? " ");
  if (/[.!?]/.test(character)) return isLoose ? Mark.stop : Mark.other;
  return character === "-" && isLoose && isSpace(text[at - 1] ?? " ") ? Mark.aside : Mark.other;
}

function readUnicodeMark(text: string, at: number): number {
  const character = text[at] ?? "";
  if (isSpace(character)) return Mark.space;
  if (/[–—]/.test(character) && isSpace(text[at + 1] ?? " ")) return Mark.aside;
  return character === "…" || character === "。" ? Mark.stop : Mark.other;
}

const isSpace = (character: string) => /\s/.test(character);
