/**
 * The three or four digits that are read out with a payment card.
 *
 * @module
 */

import { Gap, type Piece } from "./pieces.ts";
import type { ReadText } from "./text.ts";

/** How many pieces and words after a card are searched for its security code. */
const pieceLimit = 12;
const reach = 80;
/** How many words before the digits may name them; in a conversation also those of the question. */
const labelReach = 8;
const questionReach = 24;

const names = /^(?:cvv2?|cvc2?|cv|csc|cid)$/;
const owners = new Set(["security", "verification"]);

/**
 * Finds the security code after a card: named as one, or alone after the card or its expiry date
 * (`12/27 123`).
 *
 * @returns The first piece and the one after the last.
 */
export function findSecurityCode(
  read: ReadText,
  pieces: readonly Piece[],
  isTaken: readonly boolean[],
  behind: number,
): { readonly first: number; readonly end: number } | undefined {
  const from = pieces[behind - 1]?.endToken ?? 0;
  for (let first = behind; first < Math.min(pieces.length, behind + pieceLimit); first++) {
    const piece = pieces[first];
    if (piece === undefined || piece.firstToken - from > reach) return undefined;
    // The code belongs to this other card.
    if (isTaken[first] && !piece.isBlocked) return undefined;
    const end = endOfCode(pieces, isTaken, first);
    if (end === undefined) continue;
    const isNamedOrNext = isNamed(read, from, piece.firstToken) ||
      isNamedBehind(read, pieces, end) ||
      isNextToCard(pieces, first, end, behind);
    if (isNamedOrNext || isBehindExpiry(read, pieces, first, behind)) return { first, end };
  }
  return undefined;
}

/**
 * Finds the security code that is said before its card: `security code 999 for my Visa 4012...`.
 *
 * @param card The first piece of the card.
 * @returns The first piece and the one after the last.
 */
export function findSecurityCodeBefore(
  read: ReadText,
  pieces: readonly Piece[],
  isTaken: readonly boolean[],
  card: number,
): { readonly first: number; readonly end: number } | undefined {
  const until = pieces[card]?.firstToken ?? 0;
  for (let first = card - 1; first >= Math.max(0, card - pieceLimit); first--) {
    const piece = pieces[first];
    if (piece === undefined || until - piece.firstToken > reach) return undefined;
    if (isTaken[first]) {
      // What precedes another card belongs to that one.
      if (!piece.isBlocked) return undefined;
      continue;
    }
    const isOpening = piece.gap !== 0 || first === 0 || isTaken[first - 1];
    const end = isOpening ? endOfCode(pieces, isTaken, first) : undefined;
    // Only directly after the name: other digits may be between a name and the card.
    const from = pieces[first - 1]?.endToken ?? 0;
    if (end !== undefined && end <= card && isCalledCode(read, from, piece.firstToken)) {
      return { first, end };
    }
  }
  return undefined;
}

function isCalledCode({ tokens }: ReadText, from: number, at: number): boolean {
  const words = tokens.slice(Math.max(from, at - labelReach), at);
  return words.some(({ value }, index) => isCodeName(value, words[index + 1]?.value ?? ""));
}

const isCodeName = (value: string, next: string) =>
  names.test(value) || owners.has(value) && /^(?:code|number|digits?)$/.test(next);

/** The end of three or four digits that begin at a piece and are not part of a longer number. */
function endOfCode(
  pieces: readonly Piece[],
  isTaken: readonly boolean[],
  first: number,
): number | undefined {
  let digits = "";
  let end = first;
  while (end < pieces.length && !isTaken[end] && (end === first || pieces[end]?.gap === 0)) {
    digits += pieces[end++]?.digits ?? "";
  }
  return /^\d{3,4}$/.test(digits) ? end : undefined;
}

function isNamed({ tokens, turnOf, turns }: ReadText, from: number, at: number): boolean {
  const turn = turns[turnOf[at] ?? -1];
  const isAnswer = turn !== undefined && at - turn.firstToken <= labelReach;
  const words = tokens.slice(Math.max(from, at - (isAnswer ? questionReach : labelReach)), at);
  return words.some(({ value }, index) => {
    const next = words[index + 1]?.value ?? "";
    return isCodeName(value, next) ||
      /^(?:three|four|3|4|last)$/.test(value) && /^(?:digits?|numbers?|figures?)$/.test(next) ||
      // `..., back 123`
      value === "back" && (words[index - 1]?.value === "the" || words.length === 1);
  });
}

/** `123 on the back` */
function isNamedBehind({ tokens }: ReadText, pieces: readonly Piece[], end: number): boolean {
  const at = pieces[end - 1]?.endToken ?? tokens.length;
  const words = tokens.slice(at, at + 3).map(({ value }) => value).join(" ");
  return /^(?:on|at|from) (?:the|its) back$/.test(words);
}

/** `4111111111111111 123`: three digits separated from the card by a space, with nothing after them. */
function isNextToCard(
  pieces: readonly Piece[],
  first: number,
  end: number,
  behind: number,
): boolean {
  const digits = pieces.slice(first, end).reduce((sum, piece) => sum + piece.digits.length, 0);
  const isAlone = (pieces[end]?.gap ?? Gap.none) === Gap.none;
  return first === behind && digits === 3 && pieces[first]?.gap === Gap.tight && isAlone;
}

/** `12 27`, directly after the card. */
const spacedExpiry = /^[\s,]{1,2}(?:0?[1-9]|1[0-2])[\s-]{0,2}(?:20)?[2-4]\d[\s,]{1,2}$/;
const expiry = /(?:^|[^\d])(?:0?[1-9]|1[0-2])\s{0,2}[/|]\s{0,2}(?:20)?[2-4]\d\s{0,2}[|,]?\s{0,2}$/;

function isBehindExpiry(
  { text }: ReadText,
  pieces: readonly Piece[],
  first: number,
  behind: number,
): boolean {
  const from = pieces[behind - 1]?.end ?? 0;
  const until = pieces[first]?.start ?? 0;
  const between = text.slice(from, Math.min(until, from + 41));
  return until - from <= 40 && (expiry.test(between) || spacedExpiry.test(between));
}
