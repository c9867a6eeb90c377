/**
 * Personal numbers among the digits of a text: cards, NHS and social security numbers, passcodes,
 * phone numbers.
 *
 * Every kind goes over the same pieces: a window of pieces is a candidate, its digits and its
 * grouping are checked, the words around it can speak for it or against it, the best window wins.
 * Windows are at most 20 pieces, so the time is linear.
 *
 * @module
 */

import { isPossibleE164 } from "./calling_codes.ts";
import { type Gap, isFiller, type Piece } from "./digits.ts";
import { isMeasured, type Label, labelAfter, labelBefore } from "./labels.ts";
import type { Range, ReadText } from "./text.ts";

/** The kinds of personal data that are numbers. */
export type NumberType = "CARD" | "NHS" | "SSN" | "OTP" | "PHONE";

/** A number that was found. */
export interface FoundNumber extends Range {
  readonly type: NumberType;
}

/** Consecutive pieces that may be one number. */
interface Window {
  readonly pieces: readonly Piece[];
  readonly digits: string;
  /** The loosest gap inside. */
  readonly gap: number;
  readonly isSpoken: boolean;
  /** Digits of each piece, as in `3-3-4`. */
  readonly shape: string;
  readonly text: string;
  /** What stands between the pieces, without spaces. */
  readonly separators: string;
  readonly prefix: "" | "+" | "plus";
  readonly label: Label | undefined;
  /** What follows, from the token after the last. */
  readonly endToken: number;
  /** How the next piece hangs on. */
  readonly nextGap: Gap;
}

const gapRank: Readonly<Record<Gap, number>> = { tight: 0, comma: 1, filler: 2, stop: 3, none: 9 };
const windowLimit = 20;
const digitLimit = 20;

/** Finds all personal numbers; `pieces` in order, as `readPieces` gives them. */
export function findNumbers(read: ReadText, pieces: readonly Piece[]): FoundNumber[] {
  const search = new Search(read, pieces);
  search.take("CARD", rankCard);
  search.take("NHS", rankNhs);
  search.take("SSN", rankSsn);
  search.takeDictated();
  search.take("OTP", rankPasscode);
  search.take("PHONE", rankPhone);
  search.takeRepeated();
  return search.found;
}

/** How sure a window is of being the kind; 0 is not at all. */
type Rank = (window: Window, read: ReadText) => number;

class Search {
  readonly found: FoundNumber[] = [];
  readonly #digitsFound = new Map<string, NumberType>();
  readonly #isTaken: Uint8Array;
  readonly #labels = new Map<number, Label | undefined>();

  constructor(readonly read: ReadText, readonly pieces: readonly Piece[]) {
    this.#isTaken = new Uint8Array(pieces.length);
    pieces.forEach((piece, index) => {
      if (piece.isBlocked) this.#isTaken[index] = 1;
    });
  }

  /** Marks all windows of a kind, the surest first, then the longest. */
  take(type: NumberType, rank: Rank): void {
    for (let first = 0; first < this.pieces.length;) {
      const end = this.#bestEnd(first, rank);
      if (end === undefined) first++;
      else {
        this.#mark(type, first, end);
        first = end;
      }
    }
  }

  #bestEnd(first: number, rank: Rank): number | undefined {
    let best = 0;
    let bestEnd: number | undefined;
    for (let end = first + 1; end <= this.#chainEnd(first); end++) {
      const sureness = rank(this.#window(first, end), this.read);
      if (sureness > 0 && sureness >= best) [best, bestEnd] = [sureness, end];
    }
    return bestEnd;
  }

  /** The end of the pieces that hang together, at most 20 pieces and 20 digits. */
  #chainEnd(first: number): number {
    let digits = 0;
    let end = first;
    for (; end < this.pieces.length && end - first < windowLimit; end++) {
      const piece = this.pieces[end];
      if (piece === undefined || this.#isTaken[end] === 1) break;
      if (end > first && piece.gap === "none") break;
      digits += piece.digits.length;
      if (digits > digitLimit) break;
    }
    return end;
  }

  #window(first: number, end: number): Window {
    const pieces = this.pieces.slice(first, end);
    const start = pieces[0]?.start ?? 0;
    const text = this.read.text.slice(start, pieces.at(-1)?.end);
    const next = this.pieces[end];
    return {
      pieces,
      digits: pieces.map((piece) => piece.digits).join(""),
      gap: Math.max(0, ...pieces.slice(1).map((piece) => gapRank[piece.gap])),
      isSpoken: pieces.some((piece) => piece.isSpoken),
      shape: pieces.map((piece) => piece.digits.length).join("-"),
      text,
      separators: pieces.slice(1).map((piece, index) =>
        this.read.text.slice(pieces[index]?.end, piece.start).replace(/\s/g, "")
      ).join(""),
      prefix: prefixOf(this.read, pieces[0]),
      label: this.#labelOf(first, end),
      endToken: pieces.at(-1)?.endToken ?? 0,
      nextGap: next === undefined || this.#isTaken[end] === 1 ? "none" : next.gap,
    };
  }

  #labelOf(first: number, end: number): Label | undefined {
    const after = labelAfter(this.read, this.pieces[end - 1]?.endToken ?? 0);
    if (after === "code") return "code";
    if (!this.#labels.has(first)) {
      this.#labels.set(first, labelBefore(this.read, this.pieces[first]?.firstToken ?? 0));
    }
    return this.#labels.get(first) ?? after;
  }

  #mark(type: NumberType, first: number, end: number): void {
    const pieces = this.pieces.slice(first, end);
    this.#isTaken.fill(1, first, end);
    this.#digitsFound.set(pieces.map((piece) => piece.digits).join(""), type);
    this.found.push({ ...spanOf(this.read, pieces, type), type });
  }

  /**
   * Numbers dictated over several turns: `User: oh seven seven double oh`, `AI: okay`,
   * `User: nine hundred one two three`. Each part is marked on its own, what was said between stays.
   */
  takeDictated(): void {
    if (this.read.turns.length < 3) return;
    const parts = readDictation(this.read, this.pieces, this.#isTaken);
    for (let first = 0; first < parts.length;) {
      const end = this.#takeParts(parts, first);
      first = end ?? first + 1;
    }
  }

  #takeParts(parts: readonly Dictated[], first: number): number | undefined {
    const opening = parts[first];
    if (opening === undefined) return undefined;
    const label = labelBefore(this.read, opening.firstToken);
    let digits = "";
    let best: { end: number; type: NumberType } | undefined;
    for (let end = first; end < parts.length && end - first < dictationLimit; end++) {
      const part = parts[end];
      if (part === undefined || part.speaker !== opening.speaker) break;
      if (end > first && !part.continues) break;
      if (isComplete(part.digits)) break;
      digits += part.digits;
      if (end === first) continue;
      const type = typeOfDictated(digits, label);
      if (type !== undefined) best = { end: end + 1, type };
    }
    if (best === undefined) return undefined;
    this.#markParts(parts.slice(first, best.end), best.type);
    return best.end;
  }

  #markParts(parts: readonly Dictated[], type: NumberType): void {
    const digits = parts.map((part) => part.digits).join("");
    for (const part of parts) this.#mark(type, part.firstPiece, part.endPiece);
    this.#digitsFound.set(digits, type);
    const last = parts.at(-1);
    if (last !== undefined) {
      this.#takeEchoes(digits, type, parts[0]?.firstPiece ?? 0, last.endPiece);
    }
  }

  /** What the other side repeated of it: `AI: oh seven seven double oh, go on`. */
  #takeEchoes(digits: string, type: NumberType, from: number, until: number): void {
    for (let first = from; first < Math.min(until + windowLimit, this.pieces.length);) {
      const end = this.#chainEnd(first);
      const said = this.pieces.slice(first, end).map((piece) => piece.digits).join("");
      if (end > first && said.length >= 3 && digits.includes(said)) this.#mark(type, first, end);
      first = Math.max(end, first + 1);
    }
  }

  /** A number that was found once is taken wherever its digits come again. */
  takeRepeated(): void {
    if (this.#digitsFound.size === 0) return;
    const known = new Map(this.#digitsFound);
    for (let first = 0; first < this.pieces.length; first++) {
      if (first > 0 && this.pieces[first]?.gap !== "none") continue;
      const end = this.#chainEnd(first);
      const said = this.pieces.slice(first, end).map((piece) => piece.digits).join("");
      const type = known.get(said);
      if (type !== undefined && said.length >= 6) this.#mark(type, first, end);
    }
  }
}

/** The digits of one turn that consists of little else. */
interface Dictated {
  readonly speaker: string;
  readonly digits: string;
  readonly firstPiece: number;
  readonly endPiece: number;
  readonly firstToken: number;
  /** Whether what was said since the part before only asks for more. */
  readonly continues: boolean;
}

const dictationLimit = 12;
/** Words beside the digits: `yes it is ... I think`. */
const otherWordLimit = 6;
const betweenLimit = 14;

function readDictation(read: ReadText, pieces: readonly Piece[], isTaken: Uint8Array): Dictated[] {
  const parts: Dictated[] = [];
  let piece = 0;
  let lastTurn = -9;
  read.turns.forEach((turn, index) => {
    while ((pieces[piece]?.firstToken ?? Infinity) < turn.firstToken) piece++;
    const firstPiece = piece;
    while ((pieces[piece]?.firstToken ?? Infinity) < turn.endToken) piece++;
    const inTurn = pieces.slice(firstPiece, piece);
    const first = inTurn[0];
    if (first === undefined || inTurn.length > windowLimit) return;
    if (
      inTurn.some((each, at) => isTaken[firstPiece + at] === 1 || (at > 0 && each.gap === "none"))
    ) {
      return;
    }
    const counted = inTurn.reduce((sum, each) => sum + each.endToken - each.firstToken, 0);
    const words = read.tokens.slice(turn.firstToken, turn.endToken).filter((token) =>
      !isFiller(token)
    );
    if (words.length - counted > otherWordLimit || isMeasured(read, inTurn.at(-1)?.endToken ?? 0)) {
      return;
    }
    const isOther = parts.at(-1)?.speaker !== turn.speaker;
    const previous = read.turns[index - 1];
    parts.push({
      speaker: turn.speaker,
      digits: inTurn.map((each) => each.digits).join(""),
      firstPiece,
      endPiece: piece,
      firstToken: first.firstToken,
      continues: !isOther && index - lastTurn === 2 && previous !== undefined &&
        previous.endToken - previous.firstToken <= betweenLimit &&
        !asksElse(read, previous.firstToken, previous.endToken),
    });
    lastTurn = index;
  });
  return withoutEchoes(parts);
}

/** Drops the other side's repetitions between two parts, so that the parts follow each other. */
function withoutEchoes(parts: readonly Dictated[]): Dictated[] {
  const kept: Dictated[] = [];
  for (const part of parts) {
    const last = kept.at(-1);
    const isEcho = last !== undefined && last.speaker !== part.speaker && part.digits.length >= 2 &&
      last.digits.endsWith(part.digits);
    if (isEcho) continue;
    const joins = last?.speaker === part.speaker;
    kept.push(joins ? { ...part, continues: true } : part);
  }
  return kept;
}

const otherQuestions = new Set(
  "when time day date birth born age old how many tablets zip postcode address room name pain score"
    .split(" "),
);

function asksElse(read: ReadText, from: number, until: number): boolean {
  return read.tokens.slice(from, until).some((token) => otherQuestions.has(token.value));
}

function typeOfDictated(digits: string, label: Label | undefined): NumberType | undefined {
  if (label === "other") return undefined;
  if ((label === "code" || label === "passcode") && digits.length === 6) return "OTP";
  if (digits.length === 10 && label === "nhs" && isNhs(digits)) return "NHS";
  if (digits.length === 9 && label === "ssn") return "SSN";
  if (label === "card" && isCard(digits)) return "CARD";
  if (label === "phone" && digits.length >= 7 && digits.length <= 15) return "PHONE";
  return label === undefined && isComplete(digits) ? "PHONE" : undefined;
}

function isComplete(digits: string): boolean {
  return /^0[1-9]\d{9}$/.test(digits) || /^1?[2-9][0-8]\d[2-9]\d{6}$/.test(digits);
}

/** The pieces with their plus, parenthesis and extension. */
function spanOf(read: ReadText, pieces: readonly Piece[], type: NumberType): Range {
  let start = pieces[0]?.start ?? 0;
  let end = pieces.at(-1)?.end ?? start;
  if (type !== "PHONE") return { start, end };
  const { text } = read;
  const prefix = prefixOf(read, pieces[0]);
  if (prefix === "+") {
    start = text[start - 1] === " " || text[start - 1] === "(" ? start - 2 : start - 1;
  }
  if (prefix === "plus") start = read.tokens[(pieces[0]?.firstToken ?? 1) - 1]?.start ?? start;
  if (text[start - 1] === "(" && text.slice(start, end).includes(")")) start--;
  end += /^[ ,]{0,2}(?:x|ext\.?|extension)[ .]{0,2}\d{1,6}(?![\p{L}\d])/iu.exec(
    text.slice(end, end + 20),
  )?.[0].length ?? 0;
  return { start, end };
}

function prefixOf(read: ReadText, piece: Piece | undefined): "" | "+" | "plus" {
  if (piece === undefined) return "";
  const before = read.text.slice(Math.max(0, piece.start - 3), piece.start);
  if (/(?:^|[^\p{N}])[+＋][ (]?$/u.test(before)) return "+";
  if (/%2B$/i.test(before)) return "+";
  const token = read.tokens[piece.firstToken - 1];
  const isNext = token !== undefined && token.value === "plus" && piece.start - token.end <= 2;
  return isNext ? "plus" : "";
}

/** ISO/IEC 7812-1: issuers' first digits, 13 to 19 digits, Luhn. */
function rankCard(window: Window): number {
  const { digits, label, shape } = window;
  if (digits.length < 13 || digits.length > 19 || label === "other" || window.gap > 2) return 0;
  if (isDanglingPlus(window) || !/^(?:[3456]|2[2-7])/.test(digits)) return 0;
  const isGrouped = /^(?:\d\d|4-4-4-[1-4]|4-6-[45]|4-4-4-4-[1-3]|6-[78]|8-8)$/.test(shape);
  if (!isGrouped && !window.isSpoken && !isSingles(window)) return 0;
  if (isCard(digits)) return 2;
  const isMisheard = window.isSpoken && label === "card" &&
    (digits.length === 16 || digits.length === 15);
  return isMisheard ? 1 : 0;
}

function isCard(digits: string): boolean {
  if (!/^(?:[3456]|2[2-7])\d{12,18}$/.test(digits) || /^(\d)\1+$/.test(digits)) return false;
  let sum = 0;
  for (let at = 0; at < digits.length; at++) {
    const digit = Number(digits[digits.length - 1 - at]);
    sum += at % 2 === 0 ? digit : digit < 5 ? digit * 2 : digit * 2 - 9;
  }
  return sum % 10 === 0;
}

/** NHS Data Dictionary, "NHS NUMBER": ten digits, the last a check digit modulo 11. */
function rankNhs(window: Window): number {
  const { digits, label, shape } = window;
  if (digits.length !== 10 || window.prefix !== "") return 0;
  const isMisheard = label === "nhs" && window.isSpoken;
  if (!isNhs(digits)) return isMisheard ? 1 : 0;
  if (label === "nhs") return 2;
  if (label !== undefined || !/^[4679]/.test(digits) || isAmerican(digits)) return 0;
  return shape === "3-3-4" || shape === "10" ? 1 : 0;
}

function isNhs(digits: string): boolean {
  let sum = 0;
  for (let at = 0; at < 9; at++) sum += Number(digits[at]) * (10 - at);
  return (11 - sum % 11) % 11 === Number(digits[9]);
}

/** Social Security Administration, POMS RM 10201.030: no area 000, 666 or 9xx, no zero part. */
function rankSsn(window: Window): number {
  const { digits, label, shape } = window;
  if (digits.length !== 9 || window.prefix !== "" || label === "other") return 0;
  if (/^(?:000|666)|^...00|0000$/.test(digits)) return 0;
  if (label === "ssn") return 2;
  const isPlain = shape === "3-2-4" &&
    /^(?:-|\.|\p{Pd}|)(?:-|\.|\p{Pd}|)$/u.test(window.separators);
  return isPlain && !digits.startsWith("9") && label !== "nhs" && window.gap === 0 ? 1 : 0;
}

/** A passcode is only one because somebody says so. */
function rankPasscode(window: Window): number {
  const { digits, label } = window;
  if (label !== "code" && label !== "passcode") return 0;
  if (window.prefix !== "" || gapRank[window.nextGap] === 0) return 0;
  if (isCounting(window)) return 0;
  if (digits.length === 6) return 2;
  return label === "passcode" && digits.length >= 4 && digits.length <= 8 &&
      window.nextGap === "none"
    ? 1
    : 0;
}

/** Phone numbers: the plan of the UK, of North America, of the world; anything 7 to 15 digits long when asked for. */
function rankPhone(window: Window, read: ReadText): number {
  const { digits, label, prefix } = window;
  if (digits.length < 7 || digits.length > 18 || isCounting(window)) return 0;
  if (prefix !== "") {
    const number = digits.replace(/^440/, "44");
    if (isPossibleE164(number) && (label !== "other" || !window.text.includes("."))) return 100;
  }
  if (label === "other" || isOtherwiseMarked(window, read)) return 0;
  if (prefix === "+" && window.label !== "phone") return 0;
  const structure = rankStructure(window);
  if (structure > 0) return structure;
  if (label !== "phone" || isMeasured(read, window.endToken)) return 0;
  if (/\//.test(window.separators) || digits.length > 15) return 0;
  const dots = window.separators.match(/\./g)?.length ?? 0;
  return dots === 1 && window.pieces.length === 2 && !window.isSpoken ? 0 : 50;
}

function rankStructure(window: Window): number {
  const { digits, label, shape, pieces } = window;
  const isAsked = label === "phone";
  const isSingle = pieces.length === 1;
  const isLoose = window.gap >= 1 && !isAsked && !window.isSpoken && !isSingles(window);
  const abroad = /^(?:00|011)([1-9]\d+)$/.exec(digits)?.[1];
  if (abroad !== undefined && !isLoose && isPossibleE164(abroad.replace(/^440/, "44"))) return 95;
  if (/^0[1-9]\d{9}$/.test(digits) && (!isLoose || (pieces[0]?.digits.length ?? 0) >= 3)) return 90;
  if (isLoose) return 0;
  if (isAmerican(digits) && digits.length === 11 && (!isSingle || isAsked)) return 88;
  if (isAmerican(digits) && digits.length === 10 && (isAmericanShape(window) || isAsked)) return 87;
  if (/^0[1-9]\d{8}$/.test(digits) && (!isSingle || isAsked)) return 80;
  const isGrouped = /^(?:1-)?3-3-4$/.test(shape) &&
    /^[-.()/\p{Pd}\u2212]{2,5}$/u.test(window.separators);
  return isGrouped && window.gap === 0 ? 70 : 0;
}

/** NANP: area code and exchange start with 2 to 9; an area code has no 9 in the middle. */
function isAmerican(digits: string): boolean {
  return /^1?[2-9][0-8]\d[2-9]\d{6}$/.test(digits);
}

function isAmericanShape(window: Window): boolean {
  return window.isSpoken || isSingles(window) ||
    /^(?:10|3-3-4|3-7|6-4|3-3-2-2)$/.test(window.shape);
}

function isSingles(window: Window): boolean {
  return window.pieces.length > 1 && window.pieces.every((piece) => piece.digits.length === 1);
}

function isDanglingPlus(window: Window): boolean {
  return window.prefix !== "";
}

/** In a path or behind a hyphenated word (`orders/4155550101`, `INV-4155550101`) digits are an id. */
function isOtherwiseMarked(window: Window, read: ReadText): boolean {
  const start = window.pieces[0]?.start ?? 0;
  const before = read.text.slice(Math.max(0, start - 14), start);
  if (/wa\.me\/$|phone\/$/i.test(before)) return false;
  return /[\p{L}\p{N}_]\/$/u.test(before) && !/\d\/$/.test(before) ||
    (/\p{L}-$/u.test(before) && !window.isSpoken) || /\d[-.,/:^]$/.test(before);
}

/** `one two three four ...`, `ten, twenty, thirty`: equal steps from the first piece to the last. */
function isCounting(window: Window): boolean {
  const numbers = window.pieces.map((piece) => Number(piece.digits));
  if (numbers.length < 4) return false;
  const step = (numbers[1] ?? 0) - (numbers[0] ?? 0);
  if (step === 0) return false;
  return numbers.every((value, at) => at === 0 || value - (numbers[at - 1] ?? 0) === step);
}
