/**
 * The pieces of numbers in a text, with their offsets and the gaps between them.
 *
 * @module
 */

import { Mark, type Range, type Token, withoutEscapes } from "../tokens.ts";
import { readingsAt } from "./readings.ts";
import { corrections, fillers, interruptions, measures } from "./vocabulary.ts";

/**
 * What separates two pieces, from tight to loose: what is typed inside a number (space, hyphen, dot,
 * slash, parentheses), what dictation leaves, what takes digits back, and what ends a number.
 */
export const Gap = {
  tight: 0,
  comma: 1,
  filler: 2,
  stop: 3,
  /** `sorry`, `no, I mean`: what follows may replace what was said before. */
  correction: 4,
  /** A comma without a space, a semicolon, a new line: a pause, or the next item of a list. */
  list: 5,
  /** `hang on, let me just look`: the same speaker continues, or says something else. */
  interruption: 6,
  none: 9,
} as const;

/** One reading of a piece: its digits as they are grouped, `["900", "1"]` or `["901"]`. */
export type Parts = readonly string[];

/** Consecutive tokens that are digits: a written run, or words such as `double oh`. */
export interface Piece extends Range {
  /** ASCII digits in the likeliest reading. */
  readonly digits: string;
  /** Every reading, the likeliest first: `twenty two` is 22, or 20 and 2. */
  readonly readings: readonly Parts[];
  /** Whether it was written in words. */
  readonly isSpoken: boolean;
  /** First token, and the one after the last. */
  readonly firstToken: number;
  readonly endToken: number;
  /** How it is connected to the piece before, one of `Gap`. */
  readonly gap: number;
  /** Whether it counts what follows, as in `5 minutes`, or tells the time, as in `14:30`. */
  readonly isMeasured: boolean;
}

/** Finds all pieces, in order and in time proportional to the text. */
export function readPieces(text: string, tokens: readonly Token[]): Piece[] {
  const pieces: Piece[] = [];
  for (let at = 0; at < tokens.length;) {
    const cluster = clusterAt(tokens, at);
    if (cluster === undefined) {
      at++;
      continue;
    }
    const piece = pieceOf(tokens, at, cluster);
    pieces.push({ ...piece, gap: gapBetween(text, tokens, pieces.at(-1), piece) });
    at = piece.endToken;
  }
  return pieces;
}

interface Cluster {
  readonly readings: readonly Parts[];
  readonly length: number;
}

/** Limits of what is read in several ways at once: tokens, and ways. */
const clusterLimit = 10;
const readingLimit = 12;

/**
 * Consecutive tokens whose end no reading crosses, so that what follows is read the same in every
 * case: all of `nine hundred twenty one`.
 */
function clusterAt(tokens: readonly Token[], first: number): Cluster | undefined {
  const [likeliest, other] = readingsAt(tokens, first);
  if (likeliest === undefined) return undefined;
  const end = other === undefined ? undefined : endOfCluster(tokens, first);
  if (end === undefined) return { readings: [[likeliest.digits]], length: likeliest.length };
  const readings = [];
  for (const parts of waysThrough(tokens, first, end)) {
    if (readings.push(parts) === readingLimit) break;
  }
  return { readings, length: end - first };
}

function endOfCluster(tokens: readonly Token[], first: number): number | undefined {
  const reached = new Set([first]);
  let end = first + 1;
  for (let at = first; at < end; at++) {
    if (!reached.has(at)) continue;
    for (const { length } of readingsAt(tokens, at)) {
      reached.add(at + length);
      end = Math.max(end, at + length);
    }
    if (end - first > clusterLimit) return undefined;
  }
  return end;
}

/** The parts of every way from a token to the end. A word without digits is skipped. */
function* waysThrough(tokens: readonly Token[], at: number, end: number): Generator<Parts> {
  if (at === end) yield [];
  else {
    const readings = readingsAt(tokens, at);
    for (const { digits, length } of readings.length > 0 ? readings : [{ digits: "", length: 1 }]) {
      for (const rest of waysThrough(tokens, at + length, end)) {
        yield digits === "" ? rest : [digits, ...rest];
      }
    }
  }
}

function pieceOf(
  tokens: readonly Token[],
  firstToken: number,
  { readings, length }: Cluster,
): Omit<Piece, "gap"> {
  const endToken = firstToken + length;
  const digits = readings[0]?.join("") ?? "";
  return {
    start: tokens[firstToken]?.start ?? 0,
    end: tokens[endToken - 1]?.end ?? 0,
    firstToken,
    endToken,
    digits,
    readings,
    isSpoken: !isWritten(tokens.slice(firstToken, endToken)),
    isMeasured: /^[1-9]\d{0,3}$/.test(digits) && isMeasured(tokens, endToken) ||
      isJoinedByColon(tokens, firstToken) || isJoinedByColon(tokens, endToken),
  };
}

/** `14:30` */
function isJoinedByColon(tokens: readonly Token[], at: number): boolean {
  const [before, token] = [tokens[at - 1], tokens[at]];
  return before?.kind === "digits" && token?.kind === "digits" && token.marks === Mark.colon &&
    token.start - before.end === 1;
}

/** Digits, possibly with the letter O for zero. */
function isWritten(tokens: readonly Token[]): boolean {
  return tokens.some(({ kind }) => kind === "digits") &&
    tokens.every(({ kind, value }) => kind === "digits" || /^o+$/.test(value));
}

/** Whether a unit follows: `1234567 rows`, `500 mg`. */
export function isMeasured(tokens: readonly Token[], end: number): boolean {
  const token = tokens[end];
  if (token === undefined || !measures.has(token.value)) return false;
  if (token.value === "am" && tokens[end + 1]?.value === "i") return false;
  return [0, Mark.space, Mark.other].includes(token.marks) &&
    token.start - (tokens[end - 1]?.end ?? 0) <= 1;
}

/** How many words and characters may be between two pieces. */
const fillerLimit = 3;
const gapLimit = 40;
/** `No, sorry, hang on, let me start again`: a correction may be longer. */
const correctionLimit = 12;
const correctionGapLimit = 80;

const tight = /^[\s\p{Pd}\p{Cf}\u2212().[\]/·•~\ufe0f\u20e3]{0,9}$/u;
const loose = Mark.space | Mark.comma | Mark.stop | Mark.aside | Mark.other;

function gapBetween(
  text: string,
  tokens: readonly Token[],
  before: Piece | undefined,
  piece: Omit<Piece, "gap">,
): number {
  if (before === undefined || piece.start - before.end > correctionGapLimit) return Gap.none;
  if (piece.firstToken > before.endToken) return gapOfWords(tokens, before, piece);
  const marks = tokens[piece.firstToken]?.marks ?? 0;
  const between = withoutEscapes(text.slice(before.end, piece.start));
  if (between === "") return before.isSpoken || piece.isSpoken ? Gap.none : Gap.tight;
  if (
    between.length > gapLimit || (marks & (Mark.colon | Mark.quote)) !== 0 || between.includes("#")
  ) return Gap.none;
  if ((marks & ~loose) !== 0) return Gap.list;
  if ((marks & Mark.stop) !== 0) return Gap.stop;
  if ((marks & Mark.comma) === 0) {
    return between === " " || tight.test(between) ? Gap.tight : Gap.list;
  }
  // Some speech recognition writes a number as `07,700,900,123`.
  const isList = (marks & Mark.space) === 0 && !before.isSpoken && !piece.isSpoken &&
    piece.digits.length !== 3;
  return isList ? Gap.list : Gap.comma;
}

function gapOfWords(
  tokens: readonly Token[],
  { endToken }: Piece,
  { firstToken, start }: Omit<Piece, "gap">,
): number {
  const words = tokens.slice(endToken, firstToken);
  const marks = [...words, tokens[firstToken]].reduce((all, token) => all | (token?.marks ?? 0), 0);
  if (words.length > correctionLimit || (marks & ~loose) !== 0) return Gap.none;
  let [isCorrected, isInterrupted] = [false, false];
  for (let at = endToken; at < firstToken;) {
    const correction = lengthOfCorrection(tokens, at);
    isCorrected ||= correction > 0;
    isInterrupted ||= correction === 0 && !isFiller(tokens[at]);
    if (isInterrupted && !interruptions.has(tokens[at]?.value ?? "")) return Gap.none;
    at += correction || 1;
  }
  if (isInterrupted) return isCorrected ? Gap.none : Gap.interruption;
  if (isCorrected) return Gap.correction;
  const isShort = words.length <= fillerLimit &&
    start - (tokens[endToken - 1]?.end ?? 0) <= gapLimit;
  return isShort ? Gap.filler : Gap.interruption;
}

/** How many tokens from a place on are a correction; 0 when they are none. */
export function lengthOfCorrection(tokens: readonly Token[], at: number): number {
  const value = tokens[at]?.value ?? "";
  const phrase = corrections.find((words) =>
    words[0] === value && words.every((word, index) => tokens[at + index]?.value === word)
  );
  return phrase?.length ?? 0;
}

/** Whether a word may occur inside a dictated number. */
export function isFiller(token: Token | undefined): boolean {
  return token?.kind === "word" && fillers.has(token.value);
}
