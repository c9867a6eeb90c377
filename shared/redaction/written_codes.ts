/**
 * Six digits with punctuation, such as `482,913` and `4/8/2/9/1/3`. Elsewhere they are amounts or lists;
 * in a call that was texted a code they may be that code.
 *
 * @module
 */

import type { Range, Token } from "../tokens.ts";
import { isMeasured } from "../spoken_digits.ts";
import { isDate } from "./figures.ts";
import type { ReadText } from "./text.ts";

const codeLength = 6;

/**
 * Finds all of them. Dates, times, blood pressures, prices, amounts with a unit and digits inside words
 * do not count.
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

/** Indexes of tokens: the first one, and the one after the last. */
interface Run {
  readonly first: number;
  readonly end: number;
}

/** Whether a run of digits continues, judged by its first separator and the one that comes next. */
type Joins = (between: string, opening: string, before: Token, after: Token) => boolean;

/** One character: `482,913`, `4,829.13`. */
const isJoint: Joins = (between) => /^[^\p{L}\p{M}\p{N}\s]$/u.test(between);

/** Groups of equal length after the same separator, possibly with spaces: `4,8,2, 9,1,3`. */
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
  // A single run is an ordinary number, unless a number sign precedes it.
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

/** How many words before a blood pressure may name it. */
const pressureReach = 4;

/** `BP 140/100` */
function isPressure(read: ReadText, first: number, tokens: readonly Token[]): boolean {
  const [upper, lower] = tokens.map(({ value }) => Number(value));
  if (tokens.length !== 2 || upper === undefined || lower === undefined) return false;
  return read.text[tokens[0]?.end ?? 0] === "/" && upper < 300 && lower < upper &&
    read.tokens.slice(Math.max(0, first - pressureReach), first)
      .some(({ value }) => /^(?:bp|pressure)$/.test(value));
}
