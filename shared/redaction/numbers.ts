/**
 * Personal numbers among the pieces of a text.
 *
 * A window of pieces is a candidate; the kinds are tried one after the other, each over the whole
 * text, and what one took the next does not see. A kind says how many digits a window has at most,
 * so the time is linear.
 *
 * @module
 */

import { readDictations } from "./dictation.ts";
import { continued } from "../spoken_digits.ts";
import { Gap, type Piece } from "./pieces.ts";
import {
  askedPhone,
  card,
  type Kind,
  nhs,
  type NumberType,
  passcode,
  phone,
  ssn,
} from "./kinds.ts";
import { findSecurityCode, findSecurityCodeBefore } from "./security_codes.ts";
import type { Range } from "../tokens.ts";
import type { ReadText } from "./text.ts";
import { Candidates, Window } from "./window.ts";

/** A number that was found. */
export interface FoundNumber extends Range {
  readonly type: NumberType;
}

/** What a reading loses that is not the likeliest: a shorter window read as usual goes first. */
const unlikely = 0.5;
/** Corrections in one number, so that the time is linear. */
const correctionLimit = 1;
/** Pieces behind a dictated number in which it may be repeated. */
const echoLimit = 20;
/** Shorter ones are not looked for elsewhere: four digits are a year somewhere. */
const repeatedDigits = 6;
const echoedDigits = 3;
/** What is said again of a phone number; fewer digits may count something. */
const corrected = { shortest: 3, longest: 15 };

/** Finds all personal numbers; `pieces` in order, as `readPieces` gives them. */
export function findNumbers(read: ReadText, pieces: readonly Piece[]): FoundNumber[] {
  if (pieces.length === 0) return [];
  const search = new Search(read, pieces);
  search.take(card);
  search.takeSecurityCodes();
  search.take(nhs);
  search.take(ssn);
  search.takeDictated();
  search.take(passcode);
  search.take(phone);
  search.take(askedPhone);
  search.takeCorrections();
  search.takeRepeated();
  return search.found;
}

class Search {
  readonly found: FoundNumber[] = [];
  readonly #known = new Map<string, NumberType>();
  readonly #isTaken: boolean[];

  readonly #candidates: Candidates;

  constructor(readonly read: ReadText, readonly pieces: readonly Piece[]) {
    this.#candidates = new Candidates(read, pieces);
    this.#isTaken = pieces.map(({ isBlocked }) => isBlocked);
  }

  /** Marks what is of a kind, from the left; of the windows that begin at a piece the surest, then the longest. */
  take(kind: Kind): void {
    let chainEnd = 0;
    for (let first = 0; first < this.pieces.length;) {
      if (first >= chainEnd) chainEnd = this.#chainEnd(first);
      const window = this.#best(kind, first, chainEnd);
      if (window === undefined) first++;
      else {
        first = window.last + 1;
        this.#mark(kind.type, window);
      }
    }
  }

  #best(kind: Kind, first: number, chainEnd: number): Window | undefined {
    let best: { window: Window; rank: number } | undefined;
    let said: readonly string[] = [""];
    let [shortest, longest, corrections] = [0, 0, 0];
    // What is corrected is said from the beginning: digits in a row are looked at once.
    const isOpening = this.pieces[first]?.gap !== Gap.tight;
    const mostCorrections = isOpening ? correctionLimit : 0;
    for (let end = first + 1; end <= chainEnd; end++) {
      const piece = this.pieces[end - 1];
      if (piece === undefined) break;
      said = continued(said, piece);
      shortest += piece.shortest;
      longest += piece.longest;
      if (end - 1 > first && piece.gap === Gap.correction) corrections++;
      if (corrections > mostCorrections) break;
      const most = kind.longest * (corrections + 1);
      if (shortest > most || end - first > most) break;
      // ... and up to a pause.
      if (corrections > 0 && this.#gapBefore(end) === Gap.tight) continue;
      if (longest < kind.shortest || !this.#isLabelled(kind, first, end - 1)) continue;
      const window = this.#window(first, end, said[0]);
      const readings = corrections > 0
        ? window.readings(kind)
        : said.slice(0, kind.isReadFreely ? said.length : 1);
      const rank = rankBest(kind, window, readings, corrections > 0 ? 0 : unlikely);
      if (rank > 0 && rank >= (best?.rank ?? 0)) best = { window, rank };
    }
    return best?.window;
  }

  /** How the piece hangs on the one before; a taken one does not. */
  #gapBefore(index: number): number {
    return this.#isTaken[index] ?? true ? Gap.none : this.pieces[index]?.gap ?? Gap.none;
  }

  #isLabelled({ labels }: Kind, first: number, last: number): boolean {
    if (labels === undefined) return true;
    const label = this.#candidates.label(first, last);
    return label !== undefined && labels.includes(label);
  }

  /** The end of the pieces that hang together. */
  #chainEnd(first: number): number {
    let end = first;
    while (
      end < this.pieces.length && !this.#isTaken[end] &&
      (end === first || this.pieces[end]?.gap !== Gap.none)
    ) end++;
    return end;
  }

  #window(first: number, end: number, digits = this.#digits(first, end)): Window {
    return new Window(this.#candidates, first, end - 1, digits, this.#isTaken[end] ?? true);
  }

  #digits(first: number, end: number): string {
    return this.pieces.slice(first, end).map((piece) => piece.digits).join("");
  }

  #mark(type: NumberType, window: Window): void {
    this.#isTaken.fill(true, window.first, window.last + 1);
    this.#known.set(window.digits, type);
    this.found.push({ ...window.rangeFor(type), type });
  }

  /** The three digits that are read out with each card. */
  takeSecurityCodes(): void {
    const cards = this.found.filter(({ type }) => type === "CARD");
    for (const { end } of cards) {
      const behind = this.pieces.findIndex(({ start }) => start >= end);
      if (behind !== -1) this.#takeSecurityCode(findSecurityCode, behind);
    }
    for (const { start } of cards) {
      const card = this.pieces.findIndex((piece) => piece.end > start);
      this.#takeSecurityCode(findSecurityCodeBefore, card);
    }
  }

  #takeSecurityCode(find: typeof findSecurityCode, at: number): void {
    const code = find(this.read, this.pieces, this.#isTaken, at);
    if (code !== undefined) this.#mark("CARD", this.#window(code.first, code.end));
  }

  /** Numbers dictated over several turns: each part is cut, what was said between stays. */
  takeDictated(): void {
    for (const { type, digits, parts } of readDictations(this.read, this.pieces, this.#isTaken)) {
      for (const { first, end } of parts) this.#mark(type, this.#window(first, end));
      this.#known.set(digits, type);
      this.#takeEchoes(type, digits, parts[0]?.first ?? 0, (parts.at(-1)?.end ?? 0) + echoLimit);
    }
  }

  /** What the other side repeated of it: `AI: oh seven seven double oh, go on`. */
  #takeEchoes(type: NumberType, digits: string, from: number, until: number): void {
    for (let first = from; first < Math.min(until, this.pieces.length);) {
      const end = Math.max(this.#chainEnd(first), first + 1);
      const window = this.#window(first, end);
      const isEcho = window.digits.length >= echoedDigits && digits.includes(window.digits);
      if (isEcho && !this.#isTaken[first] && !this.#isEnding(first)) this.#mark(type, window);
      first = end;
    }
  }

  /** `the number ending one two three` tells no more than it should. */
  #isEnding(first: number): boolean {
    const at = this.pieces[first]?.firstToken ?? 0;
    return this.read.tokens.slice(Math.max(0, at - 2), at).some(({ value }) => /^end/.test(value));
  }

  /** What is said again of a phone number: `646 555 0123, I mean 0142`. */
  takeCorrections(): void {
    for (const { end, type } of [...this.found]) {
      const first = type === "PHONE" ? this.#pieceBehind(end) : this.pieces.length;
      if (!this.#isCorrection(first)) continue;
      const window = this.#window(first, this.#segmentEnd(first));
      const { length } = window.digits;
      const isSaidAgain = length >= corrected.shortest && length <= corrected.longest;
      if (isSaidAgain && window.label !== "other") this.#mark("PHONE", window);
    }
  }

  /** Whether a piece takes something of the one before back, or goes on with what did. */
  #isCorrection(index: number): boolean {
    const gap = this.#gapBefore(index);
    if (gap === Gap.none || gap === Gap.correction) return gap === Gap.correction;
    // `..., sorry, 07892, 985090`: the number found took the first of it only.
    return this.pieces[index - 1]?.gap === Gap.correction;
  }

  /** The first piece that begins behind an offset; `pieces` are in order. */
  #pieceBehind(offset: number): number {
    let [low, high] = [0, this.pieces.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.pieces[middle]?.start ?? Infinity) >= offset) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** The end of the pieces that hang together without another correction. */
  #segmentEnd(first: number): number {
    const chainEnd = this.#chainEnd(first);
    let end = first + 1;
    while (end < chainEnd && this.pieces[end]?.gap !== Gap.correction) end++;
    return end;
  }

  /** A number that was found once is taken wherever its digits come again by themselves. */
  takeRepeated(): void {
    if (this.#known.size === 0) return;
    for (let first = 0; first < this.pieces.length;) {
      const end = Math.max(this.#chainEnd(first), first + 1);
      const window = this.#window(first, end);
      const type = this.#known.get(window.digits);
      const isRepeated = type !== undefined && window.digits.length >= repeatedDigits &&
        window.label !== "other";
      if (isRepeated && !this.#isTaken[first]) this.#mark(type, window);
      first = end;
    }
  }
}

function rankBest(
  kind: Kind,
  window: Window,
  readings: readonly string[],
  loss: number,
): number {
  let best = 0;
  readings.forEach((digits, index) => {
    if (digits.length < kind.shortest || digits.length > kind.longest) return;
    const rank = kind.rank(window, digits);
    if (rank > 0) best = Math.max(best, index === 0 ? rank : rank - loss);
  });
  return best;
}
