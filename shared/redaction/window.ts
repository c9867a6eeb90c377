/**
 * A window of consecutive pieces that may be one number, and what is known about it.
 *
 * @module
 */

import { readingsOf } from "../spoken_digits.ts";
import { Gap, type Piece } from "./pieces.ts";
import { type Label, labelAfter, labelBefore } from "./labels.ts";
import { type Range, withoutEscapes } from "../tokens.ts";
import type { ReadText } from "./text.ts";

/** The pieces of a text and their labels, each looked up once. */
export class Candidates {
  readonly #before: (Label | "none")[] = [];
  readonly #after: (Label | "none")[] = [];
  readonly #plus: number[] = [];

  constructor(readonly read: ReadText, readonly pieces: readonly Piece[]) {}

  /** The offset of a plus before the piece. */
  plus(index: number): number | undefined {
    const piece = this.pieces[index];
    if (piece === undefined) return undefined;
    const at = this.#plus[index] ??= plusBefore(this.read, piece) ?? -1;
    return at === -1 ? undefined : at;
  }

  /** The label of the pieces from the first to the last: the nearest before, else one after. */
  label(first: number, last: number): Label | undefined {
    const after = this.#after[last] ??= labelAfter(this.read, this.pieces[last]?.endToken ?? 0) ??
      "none";
    if (after === "code" || after === "passcode") return after;
    const before = this.#before[first] ??=
      labelBefore(this.read, this.pieces[first]?.firstToken ?? 0) ?? "none";
    const label = (before === "none" || before === "unknown") && after !== "none" ? after : before;
    return label === "none" ? undefined : label;
  }
}

/** The offset of a plus before a piece, written or spoken. */
function plusBefore({ text, tokens }: ReadText, piece: Piece): number | undefined {
  const token = tokens[piece.firstToken - 1];
  if (token?.value === "plus" && piece.start - token.end <= 2) return token.start;
  const before = text.slice(Math.max(0, piece.start - 6), piece.start);
  if (/(?:%2B|\\u002b)$/i.test(before)) return piece.start;
  const written = /(?<!\p{N})[+＋][ (]?$/u.exec(before);
  return written === null ? undefined : piece.start - written[0].length;
}

/** Consecutive pieces that may be one number. What is costly is computed when it is needed. */
export class Window {
  #pieces: readonly Piece[] | undefined;

  /**
   * @param digits The digits of the pieces from `first` up to `last`.
   * @param isAlone Whether the next piece belongs to another number.
   */
  constructor(
    readonly candidates: Candidates,
    readonly first: number,
    readonly last: number,
    readonly digits: string,
    readonly isAlone: boolean,
  ) {}

  get read(): ReadText {
    return this.candidates.read;
  }

  get pieces(): readonly Piece[] {
    return this.#pieces ??= this.candidates.pieces.slice(this.first, this.last + 1);
  }

  /** The digits in every reading: `nine hundred twelve` is 912 or 90012. */
  readings(lengths: { readonly shortest: number; readonly longest: number }): readonly string[] {
    return readingsOf(this.pieces, lengths);
  }

  get opening(): Piece | undefined {
    return this.candidates.pieces[this.first];
  }
  get ending(): Piece | undefined {
    return this.candidates.pieces[this.last];
  }

  get start(): number {
    return this.opening?.start ?? 0;
  }
  get end(): number {
    return this.ending?.end ?? 0;
  }

  get isBare(): boolean {
    return this.first === this.last;
  }

  /** The loosest gap between its pieces. */
  get gap(): number {
    return Math.max(Gap.tight, ...this.pieces.slice(1).map(({ gap }) => gap));
  }

  /** The gap before the next piece. */
  get nextGap(): number {
    return this.isAlone ? Gap.none : this.candidates.pieces[this.last + 1]?.gap ?? Gap.none;
  }

  get isSpoken(): boolean {
    return this.pieces.some(({ isSpoken }) => isSpoken);
  }

  /** `0 7 7 0 0`: digit by digit. */
  get isSingles(): boolean {
    return !this.isBare && this.pieces.every(({ digits }) => digits.length === 1);
  }

  /** The number of digits of each piece, such as `3-3-4`. */
  get shape(): string {
    return this.pieces.map(({ digits }) => digits.length).join("-");
  }

  /** The characters between the pieces, without spaces. */
  get separators(): string {
    return this.pieces.slice(1).map((piece, index) =>
      withoutEscapes(this.read.text.slice(this.pieces[index]?.end, piece.start)).replace(/\s/g, "")
    ).join("");
  }

  get text(): string {
    return this.read.text.slice(this.start, this.end);
  }

  /** The offset of a plus before it, written or spoken; undefined when there is none. */
  get plus(): number | undefined {
    return this.candidates.plus(this.first);
  }

  /** What the words around it say that it is. */
  get label(): Label | undefined {
    return this.candidates.label(this.first, this.last);
  }

  /** The range to cut: the pieces, and for a phone also its plus, parentheses and extension. */
  rangeFor(type: string): Range {
    if (type !== "PHONE") return { start: this.start, end: this.end };
    const { text } = this.read;
    let start = this.plus ?? this.start;
    if (text[start - 1] === "(" && text.slice(start, this.end).includes(")")) start--;
    const extension = /^[ ,]{0,2}(?:x|ext\.?|extension)[ .:]{0,2}\d{1,6}(?![\p{L}\d])/iu.exec(
      text.slice(this.end, this.end + 24),
    );
    return { start, end: this.end + (extension?.[0].length ?? 0) };
  }
}
