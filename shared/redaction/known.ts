/**
 * What a call is known to have been about: the patients' names and numbers, the code it was texted, and
 * what callers say of themselves that has no pattern, their birth date and their address.
 *
 * @module
 */

import { chainsOf, type Piece as AnyPiece, readingsAt, readingsOf } from "../spoken_digits.ts";
import { Mark, type Range, type Token } from "../tokens.ts";
import { fold } from "./folding.ts";
import type { Piece } from "./pieces.ts";
import type { ReadText, Turn } from "./text.ts";
import { findWrittenCodes } from "./written_codes.ts";

/** What is known of a call. */
export interface KnownFacts {
  readonly names: readonly string[];
  /** E.164. */
  readonly phones: readonly string[];
  /** Whether it was texted a code: any six digits may be that one. */
  readonly isTexted: boolean;
}

/** A range, and what it is. */
export interface KnownRange extends Range {
  readonly type: "NAME" | "PHONE" | "OTP" | "BIRTH" | "ADDRESS";
}

/** Finds all of it; ranges may overlap. `pieces` as `readPieces` gives them. */
export function findKnown(
  read: ReadText,
  pieces: readonly Piece[],
  { names, phones, isTexted }: KnownFacts,
): KnownRange[] {
  const chains = chainsOf(pieces.filter(({ isBlocked }) => !isBlocked));
  const folded = fold(read.text);
  return [
    ...names.flatMap((name) => findName(folded.text, name)).map(folded.locate),
    ...chains.filter((chain) => isKnownPhone(chain, phones)).map((chain) => typed("PHONE", chain)),
    ...isTexted ? chains.flatMap(findCodes) : [],
    ...isTexted ? findWrittenCodes(read).map((range) => typed("OTP", [range])) : [],
    ...findBirthDates(read),
    ...findAddresses(read),
  ];
}

function typed(type: KnownRange["type"], parts: readonly Range[]): KnownRange {
  return { type, start: parts[0]?.start ?? 0, end: parts.at(-1)?.end ?? 0 };
}

const titles = new Set("mr mrs ms miss mx dr prof sir lady the van von de da di la".split(" "));
/** Names that are words as well: only next to another name, or where somebody is introduced. */
const ordinary = new Set(
  ("may will mark april june august rose hope grace faith joy art bill sue pat rich frank young long " +
    "short brown black white green gray grey day king price best case page hall wood dean drew chase " +
    "grant lane dale heath ivy lily daisy carol violet olive penny guy jack nick rob bob ray don max " +
    "love sharp hand foot head back tooth pain rain bush field bell cook baker smith park an in so do")
    .split(" "),
);
const introduced =
  /(?:\bname(?:['’]s| is|:)?|\bI(?:['’]m| am)|\bthis is|\bcalled|\bfor|\b(?:Mr|Mrs|Ms|Miss|Dr)\.?)\s+$/i;

/** In a text without accents: who writes a name down may leave them out, or add one. */
function findName(text: string, name: string): KnownRange[] {
  const parts = name.normalize("NFC").split(/[^\p{L}\p{M}'’]+/u)
    .filter((part) => part.length > 1 && !titles.has(part.toLowerCase()))
    .map((part) => fold(part).text)
    .filter((part) => /\p{L}/u.test(part));
  if (parts.length === 0) return [];
  const found = parts.flatMap((part) => occurrences(text, part, parts));
  const sorted = found.toSorted((a, b) => a.start - b.start);
  // `Jane Example` is one name.
  const merged: KnownRange[] = [];
  for (const range of sorted) {
    const last = merged.at(-1);
    const isNext = last !== undefined && /^[\s,.'’-]{0,2}$/.test(text.slice(last.end, range.start));
    if (isNext) merged[merged.length - 1] = { ...last, end: Math.max(last.end, range.end) };
    else merged.push(range);
  }
  return merged;
}

function occurrences(text: string, part: string, parts: readonly string[]): KnownRange[] {
  const form = part.replace(/[^\p{L}]/gu, "['’]?");
  const spelled = part.length > 2 ? [[...part].join("[\\s.,-]{1,2}")] : [];
  const pattern = new RegExp(
    `(?<![\\p{L}\\p{N}])(?:${[form, ...spelled].join("|")})(?![\\p{L}\\p{N}])`,
    "giu",
  );
  const isOrdinary = ordinary.has(part.toLowerCase());
  return [...text.matchAll(pattern)]
    .map((match) => ({
      type: "NAME" as const,
      start: match.index,
      end: match.index + match[0].length,
    }))
    .filter(({ start, end }) => !isOrdinary || isMeant(text, start, end, parts));
}

/** Whether an ordinary word is a name where it stands. */
function isMeant(text: string, start: number, end: number, parts: readonly string[]): boolean {
  if (!/\p{Lu}/u.test(text[start] ?? "") && /\p{Lu}/u.test(text)) return false;
  const before = text.slice(Math.max(0, start - 24), start);
  const after = text.slice(end, end + 24);
  const isNext = (words: string, at: number) => {
    const word = words.match(/[\p{L}'’]+/gu)?.at(at)?.toLowerCase();
    return parts.some((part) => part.toLowerCase() === word);
  };
  return introduced.test(before) || /^\s/.test(after) && isNext(after, 0) ||
    /\s$/.test(before) && isNext(before, -1);
}

/** Fewer digits of a number tell no more than they should: `ending 456`. */
const shortestEcho = 6;

function isKnownPhone(chain: readonly AnyPiece[], phones: readonly string[]): boolean {
  const readings = readingsOf(chain, { shortest: shortestEcho, longest: 16 });
  return readings.some((digits) =>
    phones.some((phone) => phone.includes(digits.replace(/^0+/, "")))
  );
}

const codeLengths = { shortest: 6, longest: 6 };

/** Six digits as a whole, or between two pauses. */
function findCodes(chain: readonly AnyPiece[]): KnownRange[] {
  if (readingsOf(chain, codeLengths).length > 0) return [typed("OTP", chain)];
  const groups: AnyPiece[][] = [];
  for (const piece of chain) {
    if (piece.gap === 0 && groups.length > 0) groups.at(-1)?.push(piece);
    else groups.push([piece]);
  }
  return groups.filter((group) => readingsOf(group, codeLengths).length > 0)
    .map((group) => typed("OTP", group));
}

const months = new Set(
  ("january february march april may june july august september october november december " +
    "jan feb mar apr jun jul aug sep sept oct nov dec").split(" "),
);
const ordinals = new Set(
  ("first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth " +
    "fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth thirtieth").split(
      " ",
    ),
);
const dateJoints = new Set("of the and st nd rd th in on".split(" "));
const birthReach = 6;
const dateLimit = 14;

/** The date behind `born` or `date of birth`, or in the answer to who asked for it. */
function findBirthDates(read: ReadText): KnownRange[] {
  const found: KnownRange[] = [];
  read.tokens.forEach((_, at) => {
    if (!isBirth(read.tokens, at)) return;
    const turn = read.turnOf[at] ?? -1;
    const own = dateAfter(read, at + 1, birthReach);
    const range = own ?? dateAfter(read, read.turns[turn + 1]?.firstToken ?? Infinity, birthReach);
    if (range !== undefined) found.push(range);
  });
  return found;
}

function isBirth(tokens: readonly Token[], at: number): boolean {
  const value = (index: number) => tokens[index]?.value ?? "";
  if (/^(?:born|dob|birthday|birthdate)$/.test(value(at))) return true;
  if (value(at) === "birth") return value(at - 1) === "of" || value(at + 1) === "date";
  return value(at) === "b" && value(at - 1) === "o" && value(at - 2) === "d";
}

function dateAfter(read: ReadText, from: number, reach: number): KnownRange | undefined {
  const { tokens, turnOf } = read;
  for (let first = from; first < Math.min(tokens.length, from + reach); first++) {
    if (turnOf[first] !== turnOf[from]) return undefined;
    if (!isOfDate(tokens, first)) continue;
    let end = first;
    let last = first;
    while (end < tokens.length && end - first < dateLimit && turnOf[end] === turnOf[first]) {
      const isJoint = dateJoints.has(tokens[end]?.value ?? "");
      if (!isJoint && !isOfDate(tokens, end)) break;
      if (end > first && ((tokens[end]?.marks ?? 0) & (Mark.stop | Mark.newline)) !== 0) break;
      if (!isJoint || /^(?:st|nd|rd|th)$/.test(tokens[end]?.value ?? "")) last = end;
      end++;
    }
    return typed("BIRTH", tokens.slice(first, last + 1));
  }
  return undefined;
}

function isOfDate(tokens: readonly Token[], at: number): boolean {
  const token = tokens[at];
  if (token === undefined || token.kind === "marker") return false;
  return months.has(token.value) || ordinals.has(token.value) ||
    readingsAt(tokens, at).length > 0 ||
    /^(?:hundred|thousand)$/.test(token.value);
}

const assistants =
  /^(?:ai|assistant|bot|agent|voice ?bot|receptionist|reception|clinic|staff|nurse|operator)$/;
const ownAddress =
  /\b(?:(?:my|his|her|their|patient['’]?s|home|postal|billing|mailing)(?: (?:home|new|current|postal|mailing))? (?:address|postcode|post code|zip code|zip)(?:['’]s| is| was|:)?|(?:I|we|he|she|patient)(?:['’]m| am|['’]re)? ?(?:now )?(?:live|lives|living|staying) (?:at|on|in)|lives at|(?:I['’]ve |just )?moved to)\s+/giu;
const askedAddress =
  /(?<!\b(?:e-?mail|ip|web|our|clinic['’]s) )\b(?:address|postcode|post code|zip code|zip)\b|where do you live/iu;
const addressLimit = 160;
const leadIn =
  /^(?:\s|[,.]|\b(?:yes|yeah|yep|sure|ok|okay|um|uh|er|so|well|it['’]?s|it is|that['’]?s|i live|we live|at|on|in|is)\b)*/iu;

/** The address that is said to be the patient's, or said in answer to who asked for it. */
function findAddresses(read: ReadText): KnownRange[] {
  const { text, turns } = read;
  const stated = [...text.matchAll(ownAddress)].flatMap((match) => {
    const at = match.index + match[0].length;
    return isOfAssistant(read, at) ? [] : addressAt(read, at);
  });
  const answered = turns.flatMap((turn, index) => {
    const question = turns[index - 1];
    if (question === undefined || !assistants.test(question.speaker)) return [];
    if (assistants.test(turn.speaker) || !askedAddress.test(saidIn(read, question))) return [];
    return addressAt(read, read.tokens[turn.firstToken]?.start ?? text.length);
  });
  return [...stated, ...answered];
}

function isOfAssistant({ turns, tokens, turnOf }: ReadText, offset: number): boolean {
  const at = tokens.findIndex(({ start }) => start >= offset);
  return assistants.test(turns[turnOf[at] ?? -1]?.speaker ?? "");
}

function saidIn({ text, tokens }: ReadText, { firstToken, endToken }: Turn): string {
  return text.slice(tokens[firstToken]?.start ?? 0, tokens[endToken - 1]?.end ?? 0);
}

/** An address goes on to the end of its sentence, or to a word that none has. */
const addressEnd =
  /^[^\n;?!)]*?(?=[\n;?!)]|\.(?:\s|$)|[,\s]+(?:and|but|called|calls|who|which|since|because|for|with|last|about|when|after|before|so|said|has|had|now)\b|$)/iu;

/** The address from an offset on, if it has a number. */
function addressAt(read: ReadText, from: number): KnownRange[] {
  const rest = read.text.slice(from, from + addressLimit);
  const [sentence = ""] = addressEnd.exec(rest) ?? [];
  const start = from + (leadIn.exec(sentence)?.[0].length ?? 0);
  const end = from + sentence.trimEnd().length;
  const first = read.tokens.findIndex((token) => token.start >= start);
  const hasNumber = first !== -1 &&
    read.tokens.slice(first).some((token, index) =>
      token.start < end && readingsAt(read.tokens, first + index).length > 0
    );
  return start < end && hasNumber ? [{ type: "ADDRESS", start, end }] : [];
}
