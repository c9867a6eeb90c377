/**
 * Six digits with punctuation between them, such as `482,913` and `4/8/2/9/1/3`: amounts and lists
 * anywhere else, and the code where one was texted.
 *
 * @module
 */

import type { Range, Token } from "../tokens.ts";
import { isMeasured } from "../spoken_digits.ts";
import { isDate } from "./figures.ts";
import type { ReadText } from "./text.ts";

const codeLength = 6;

/**
 * Finds all of them. Dates, times, blood pressures, prices and what a unit follows are none, and
 * neither are digits that are part of a word.
 */
export function findWrittenCodes(read: ReadText): Range[] {
  return [isJoint, isListJoint].flatMap((joins) =>
    runsOf(read, joins)
      .filter((run) => isCode(read, run))
      .map(({ first, end }) => ({
        start: read.tokens[first]?.start ?? 0,
        end: read.tokens[end - 1]?.end ?? 0,
      }))
  );
}

/** Indexes of tokens: the first, and the one after the last. */
interface Run {
  readonly first: number;
  readonly end: number;
}

/** Whether a run of digits goes on: what stands between two tokens, and what stood there first. */
type Joins = (between: string, opening: string, before: Token, after: Token) => boolean;

/** One character: `482,913`, `4,829.13`. */
const isJoint: Joins = (between) => /^[^\p{L}\p{M}\p{N}\s]$/u.test(between);

/** Groups of one length behind the same sign, perhaps with spaces: `4,8,2, 9,1,3`. */
const isListJoint: Joins = (between, opening, before, after) =>
  /^[ \t]{0,2}[^\p{L}\p{M}\p{N}\s][ \t]{0,2}$/u.test(between) &&
  between.trim() === opening.trim() && before.value.length === after.value.length;

function runsOf({ text, tokens }: ReadText, joins: Joins): Run[] {
  const runs: Run[] = [];
  for (let first = 0; first < tokens.length;) {
    let end = first + 1;
    let opening: string | undefined;
    for (; tokens[end - 1]?.kind === "digits" && tokens[end]?.kind === "digits"; end++) {
      const [before, after] = [tokens[end - 1], tokens[end]];
      if (before === undefined || after === undefined) break;
      const between = text.slice(before.end, after.start);
      if (!joins(between, opening ??= between, before, after)) break;
    }
    if (tokens[first]?.kind === "digits") runs.push({ first, end });
    first = end;
  }
  return runs;
}

function isCode(read: ReadText, { first, end }: Run): boolean {
  const tokens = read.tokens.slice(first, Math.min(end, first + codeLength + 1));
  if (tokens.reduce((sum, { value }) => sum + value.length, 0) !== codeLength) return false;
  const [start, last] = [tokens[0]?.start ?? 0, tokens.at(-1)?.end ?? 0];
  const before = read.text.slice(Math.max(0, start - 2), start);
  const isPart = /[\p{L}\p{M}]$/u.test(before) || /^[\p{L}\p{M}]/u.test(read.text[last] ?? "");
  const isPrice = /\p{Sc} ?$/u.test(before) ||
    /^ ?[\p{Sc}%]/u.test(read.text.slice(last, last + 2));
  // A single run is a number like any other, unless a sign stands before it.
  if (tokens.length === 1 && !before.endsWith("#")) return false;
  return !isPart && !isPrice && !isMeasured(read.tokens, end) && !isDateOrTime(read, tokens) &&
    !isPressure(read, first, tokens);
}

function isDateOrTime({ text }: ReadText, tokens: readonly Token[]): boolean {
  const [a, b, c] = tokens;
  if (tokens.length !== 3 || a === undefined || b === undefined || c === undefined) return false;
  const joints = text.slice(a.end, b.start) + text.slice(b.end, c.start);
  if (joints === "::") return Number(a.value) < 24 && /^[0-5]\d[0-5]\d$/.test(b.value + c.value);
  return /^(?:--|\/\/|\.\.)$/.test(joints) && isDate(a.value, b.value, c.value);
}

/** Words before a blood pressure among which it is called one. */
const pressureReach = 4;

/** `BP 140/100` */
function isPressure(read: ReadText, first: number, tokens: readonly Token[]): boolean {
  const [upper, lower] = tokens.map(({ value }) => Number(value));
  if (tokens.length !== 2 || upper === undefined || lower === undefined) return false;
  return read.text[tokens[0]?.end ?? 0] === "/" && upper < 300 && lower < upper &&
    read.tokens.slice(Math.max(0, first - pressureReach), first)
      .some(({ value }) => /^(?:bp|pressure)$/.test(value));
}
