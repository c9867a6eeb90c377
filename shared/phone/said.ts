/**
 * Reads the answer to a question for a phone number: digits, or a phrase such as `this one`.
 *
 * @module
 */

import { chainsOf, type Piece, readingsOf, readPieces, segmentsOf } from "../spoken_digits.ts";
import { readTokens, type Token } from "../tokens.ts";
import { isKeyedWord, isWithheldWord } from "./withheld.ts";

/** Fewest national digits of a number that libphonenumber does not know; fewer are a short code. */
export const fewestDigits = 7;
/** Digits of a number with prefixes and calling code (ITU-T E.164, 6.1), said at most twice. */
const dialled = { shortest: 3, longest: 30 };

/** Digits that may be a phone number. */
export interface SaidNumber {
  /** What they may mean, as dialled. A later way counts only where no earlier one is a number. */
  readonly ways: readonly (readonly string[])[];
  /** Whether it has fewer digits than any number. */
  readonly isShort: boolean;
}

/** What was said, read. */
export interface Said {
  readonly numbers: readonly SaidNumber[];
  readonly hasExtension: boolean;
}

/** Reads what was said; without digits, returns what the phrase means. */
export function readSaid(given: string): Said | "own" | "withheld" {
  const tokens = readTokens(given);
  if (isWithheldWord(tokens)) return "withheld";
  const chains = chainsOf(readPieces(given, tokens)).flatMap((chain) => splitAtPlus(given, chain));
  if (chains.length === 0) return isOwn(tokens) ? "own" : { numbers: [], hasExtension: false };
  const [extensions, numbers] = [true, false].map((isWanted) =>
    chains.filter((chain, index) => isExtension(given, tokens, chain, index) === isWanted)
  );
  const said = (numbers ?? []).map((chain) => numberOf(given, tokens, chain));
  const isNone = said.length > 0 && said.every(({ ways }) => ways.flat().some(isKeyedWord));
  return isNone ? "withheld" : { numbers: said, hasExtension: (extensions ?? []).length > 0 };
}

const hasPlus = (given: string, { start }: Piece) => /[+＋] ?\(?$/.test(given.slice(0, start));

function splitAtPlus(given: string, chain: readonly Piece[]): Piece[][] {
  const parts: Piece[][] = [];
  for (const piece of chain) {
    if (parts.length === 0 || hasPlus(given, piece)) parts.push([piece]);
    else parts.at(-1)?.push(piece);
  }
  return parts;
}

const extensionWords = new Set(["x", "ext", "extn", "extension", "xtn", "option"]);

/** `ext 12`, `extension is twelve`, `#12` after a number */
function isExtension(
  given: string,
  tokens: readonly Token[],
  [first]: readonly Piece[],
  index: number,
): boolean {
  if (first === undefined) return false;
  const before = tokens.slice(Math.max(0, first.firstToken - 2), first.firstToken);
  return before.some(({ value }) => extensionWords.has(value)) ||
    index > 0 && /# ?$/.test(given.slice(0, first.start));
}

function numberOf(given: string, tokens: readonly Token[], chain: readonly Piece[]): SaidNumber {
  const [first] = chain;
  const isInternational = first !== undefined &&
    (hasPlus(given, first) || tokens[first.firstToken - 1]?.value === "plus");
  // "+44 (0)20 7946 0123": the zero in parentheses is not dialled from abroad.
  const pieces = chain.filter(({ start, end }) =>
    !isInternational || given.slice(start - 1, end + 1) !== "(0)"
  );
  const written = (digits: string) => (isInternational ? "+" : "") + onceOf(digits);
  const last = segmentsOf(pieces).at(-1) ?? [];
  const ways = [readingsOf(last, dialled), readingsOf(pieces, dialled)].map((way) =>
    way.map(written)
  );
  const isShort = pieces.reduce((sum, { digits }) => sum + digits.length, 0) < fewestDigits;
  return { ways, isShort };
}

/** Reads a number that was said twice as one. */
function onceOf(digits: string): string {
  const half = digits.slice(0, digits.length / 2);
  return half.length >= fewestDigits && half + half === digits ? half : digits;
}

const any = (phrases: string) => `(?:${phrases.replaceAll(", ", "|")})`;
const leadIn = any(
  "just, please, yes, yeah, ok, okay, um, uh, well, so, it s, its, it is, that s, thats, use, text, " +
    "send it to, send it, on, at, with, from, you can, can you, could you",
);
const ending = any(
  "please, thanks, thank you, here, now, right now, at the moment, today, is fine, is good, is ok, " +
    "is okay, will do, works, as well, too",
);
const line = any("one, phone number, mobile number, number, phone, mobile, cell, cellphone, line");
const caller = any("i, i m, im, i am, he s, she s, we re, you re, the caller is, the customer is");
const calling = any(
  "calling, called, ringing, phoning, speaking, talking, using, on, dialing, dialling",
);

/** Phrases for the number that the caller calls from. With any other word they may mean another one. */
const own = [
  `(?:the )?(?:this|same|current|calling|incoming) ?(?:${line})?`,
  `(?:this|same)(?: ${line})? (?:as )?(?:the |my )?(?:caller|calling)(?: number| id)?`,
  `(?:the |my )?(?:caller|callers|caller s|customer s) (?:id|${line})`,
  "mine|my (?:own )?(?:number|phone|phone number)",
  `(?:the |this )?(?:same )?${line}(?: that| which)? ${caller} ${calling}(?: you)?(?: from| on| with)?`,
  `the ${line} (?:on|in) (?:your |the )?(?:screen|display|caller id)`,
  `the ${line} (?:that )?(?:you see|you can see|is showing|shows up|came up)`,
].map((phrase) => new RegExp(`^(?:${leadIn} )*(?:${phrase})(?: ${ending})*$`));

function isOwn(tokens: readonly Token[]): boolean {
  const words = tokens.map(({ value }) => value).join(" ");
  return own.some((phrase) => phrase.test(words));
}
