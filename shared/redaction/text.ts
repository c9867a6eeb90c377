/**
 * A text cut into words, runs of digits and turns, by offsets, without rewriting anything.
 *
 * @module
 */

/** A word (lower case, camelCase split), a run of digits (as ASCII), or an earlier marker. */
export interface Token {
  readonly kind: "word" | "digits" | "marker";
  readonly value: string;
  /** UTF-16 offsets into the text. */
  readonly start: number;
  readonly end: number;
}

/** What one speaker said: `User: ...` up to the next speaker's line. */
export interface Turn {
  readonly speaker: string;
  /** First token after the speaker's name, and the one after the last. */
  readonly firstToken: number;
  readonly endToken: number;
}

/** A range of UTF-16 offsets. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** The text with what was read from it once for all kinds of personal data. */
export interface ReadText {
  readonly text: string;
  readonly tokens: readonly Token[];
  readonly turns: readonly Turn[];
  /** Index into `turns` for each token; -1 before the first turn. */
  readonly turnOf: Int32Array;
}

/** Anything the marker of an earlier pass can be. */
const marker = String.raw`\[REDACTED(?:: [A-Z]{2,5})?\]`;
const asciiTokens = new RegExp(`${marker}|\\d+|[A-Z]{2,}(?![a-z])|[A-Za-z][a-z]*`, "g");
const anyTokens = new RegExp(
  `${marker}|\\p{Nd}+|\\p{Lu}{2,}(?!\\p{Ll})|\\p{L}(?:(?!\\p{Lu})[\\p{L}\\p{M}])*`,
  "gu",
);
// deno-lint-ignore no-control-regex -- all of ASCII is meant, and it is four times as fast
const ascii = /^[\x00-\x7f]*$/;

/** Reads a text in one pass. */
export function readText(text: string): ReadText {
  const tokens: Token[] = [];
  for (const match of text.matchAll(ascii.test(text) ? asciiTokens : anyTokens)) {
    tokens.push(readToken(match[0], match.index));
  }
  const turns = readTurns(text, tokens);
  const turnOf = new Int32Array(tokens.length).fill(-1);
  turns.forEach((turn, index) => turnOf.fill(index, turn.firstToken, turn.endToken));
  return { text, tokens, turns, turnOf };
}

function readToken(found: string, start: number): Token {
  const end = start + found.length;
  const code = found.charCodeAt(0);
  if (code >= 0x30 && code <= 0x39) return { kind: "digits", value: found, start, end };
  if (code === 0x5b) return { kind: "marker", value: "", start, end };
  if (code > 0x7f && /^\p{Nd}/u.test(found)) {
    return { kind: "digits", value: asciiDigits(found), start, end };
  }
  return { kind: "word", value: found.toLowerCase(), start, end };
}

/**
 * Decimal digits of any script as ASCII. Unicode gives them in consecutive tens (core
 * specification, 4.6), so the value is the distance to the zero of the script.
 */
function asciiDigits(digits: string): string {
  let value = "";
  for (const digit of digits) value += digitValue(digit.codePointAt(0) ?? 0x30);
  return value;
}

const mathematicalZero = 0x1d7ce;
const decimal = /^\p{Nd}$/u;

function digitValue(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  if (code >= mathematicalZero && code < mathematicalZero + 50) {
    return (code - mathematicalZero) % 10;
  }
  let zero = code;
  while (code - zero < 9 && decimal.test(String.fromCodePoint(zero - 1))) zero--;
  return code - zero;
}

const lineStart =
  /(?:^|\n)[ \t>*-]{0,4}(?:\[[\d:. ]{1,12}\] ?)?([\p{L}][\p{L}\d ]{0,20}?)[ \t]?:/gu;
const speakers =
  /^(?:ai|assistant|bot|agent|user|customer|caller|patient|human|client|receptionist|reception|operator|clinic|staff|nurse|doctor|dr|system|tool|me|you|them|person|speaker ?\w?|[ap])$/i;

function readTurns(text: string, tokens: readonly Token[]): Turn[] {
  if (!text.includes(":")) return [];
  const turns: Turn[] = [];
  let token = 0;
  for (const match of text.matchAll(lineStart)) {
    const speaker = match[1] ?? "";
    if (!speakers.test(speaker)) continue;
    const nameEnd = match.index + match[0].length;
    const nameStart = nameEnd - 1 - speaker.length;
    const before = token;
    while ((tokens[token]?.start ?? Infinity) < nameStart - 1) token++;
    const last = turns.pop();
    if (last) turns.push({ ...last, endToken: Math.max(before, token) });
    while ((tokens[token]?.start ?? Infinity) < nameEnd) token++;
    turns.push({ speaker: speaker.toLowerCase(), firstToken: token, endToken: tokens.length });
  }
  return turns;
}
