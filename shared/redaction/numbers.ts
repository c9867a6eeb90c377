/**
 * Finds personal numbers among the pieces of a text.
 *
 * Consecutive pieces are a window, which may be a number. The kinds are tried in turn, each over the
 * whole text, and pieces that one has taken are not offered to the next. Every kind limits the digits
 * of a window, so the time is linear.
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

/** Penalty of an unlikely reading: a shorter window in its usual reading goes first. */
const unlikely = 0.5;
/** How many corrections a number may have, so that the time is linear. */
const correctionLimit = 1;
/** How many pieces after a dictated number may repeat it. */
const echoLimit = 20;
/** The shortest number that is searched for elsewhere; four digits are often a year. */
const repeatedDigits = 6;
const echoedDigits = 3;
/** How many digits of a phone number can be repeated as a correction; fewer may count something. */
const corrected = { shortest: 3, longest: 15 };

/** Finds all personal numbers. `pieces` are in order, as `readPieces` returns them. */
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

  /** Takes everything of a kind, from the left. At each piece the surest, then longest window wins. */
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
    // A correction refers to the beginning of a number, so digits in a row are read only once.
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
      // ... and extends to a pause.
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

  /** How the piece is connected to the one before; not at all to one that is taken. */
  #gapBefore(index: number): number {
    return this.#isTaken[index] ?? true ? Gap.none : this.pieces[index]?.gap ?? Gap.none;
  }

  #isLabelled({ labels }: Kind, first: number, last: number): boolean {
    if (labels === undefined) return true;
    const label = this.#candidates.label(first, last);
    return label !== undefined && labels.includes(label);
  }

  /** The index after the last connected piece. */
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

  /** Takes the three digits that are read out with each card. */
  takeSecurityCodes(): void {
    const cards = this.found.filter(({ type }) => type === "CARD");
    for (const { end } of cards) {
      const behind = this.#pieceBehind(end);
      if (behind < this.pieces.length) this.#takeSecurityCode(findSecurityCode, behind);
    }
    for (const { start } of cards) {
      const card = this.#pieceBehind(start);
      this.#takeSecurityCode(findSecurityCodeBefore, card);
    }
  }

  #takeSecurityCode(find: typeof findSecurityCode, at: number): void {
    const code = find(this.read, this.pieces, this.#isTaken, at);
    if (code !== undefined) this.#mark("CARD", this.#window(code.first, code.end));
  }

  /** Takes numbers dictated over several turns. Each part is cut, and what is between them stays. */
  takeDictated(): void {
    for (const { type, digits, parts } of readDictations(this.read, this.pieces, this.#isTaken)) {
      for (const { first, end } of parts) this.#mark(type, this.#window(first, end));
      this.#known.set(digits, type);
      this.#takeEchoes(type, digits, parts[0]?.first ?? 0, (parts.at(-1)?.end ?? 0) + echoLimit);
    }
  }

  /** Takes what the other side repeats of it: `AI: oh seven seven double oh, go on`. */
  #takeEchoes(type: NumberType, digits: string, from: number, until: number): void {
    for (let first = from; first < Math.min(until, this.pieces.length);) {
      const end = Math.max(this.#chainEnd(first), first + 1);
      const window = this.#window(first, end);
      const isEcho = window.digits.length >= echoedDigits && digits.includes(window.digits);
      if (isEcho && !this.#isTaken[first] && !this.#isEnding(first)) this.#mark(type, window);
      first = end;
    }
  }

  /** `the number ending one two three` may stay. */
  #isEnding(first: number): boolean {
    const at = this.pieces[first]?.firstToken ?? 0;
    return this.read.tokens.slice(Math.max(0, at - 2), at).some(({ value }) => /^end/.test(value));
  }

  /** Takes corrections of a phone number: `646 555 0123, I mean 0142`. */
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

  /** Whether a piece corrects the one before, or continues such a correction. */
  #isCorrection(index: number): boolean {
    const gap = this.#gapBefore(index);
    if (gap === Gap.none || gap === Gap.correction) return gap === Gap.correction;
    // `..., sorry, 07892, 985090`: only the first part belonged to the number that was found.
    return this.pieces[index - 1]?.gap === Gap.correction;
  }

  /** The first piece that begins after an offset. `pieces` are in order. */
  #pieceBehind(offset: number): number {
    let [low, high] = [0, this.pieces.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.pieces[middle]?.start ?? Infinity) >= offset) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** The index after the last piece that is connected without another correction. */
  #segmentEnd(first: number): number {
    const chainEnd = this.#chainEnd(first);
    let end = first + 1;
    while (end < chainEnd && this.pieces[end]?.gap !== Gap.correction) end++;
    return end;
  }

  /** Takes every later occurrence of the digits of a number that was found. */
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
