/**
 * Finds what is known of a call: its patients' names and numbers, the code it was texted, and what
 * callers say about themselves that has no pattern, such as their birth date and address.
 *
 * @module
 */

import { chainsOf, type Piece as AnyPiece, readingsAt, readingsOf } from "../spoken_digits.ts";
import { Mark, type Range, type Token } from "../tokens.ts";
import { fold } from "./folding.ts";
import type { Piece } from "./pieces.ts";
import type { ReadText, Turn } from "./text.ts";
import { findTextedCodes } from "./texted_codes.ts";
import { findWrittenCodes } from "./written_codes.ts";

/** What is known of a call. */
export interface KnownFacts {
  readonly names: readonly string[];
  /** E.164. */
  readonly phones: readonly string[];
  /** Whether the call was texted a code. Any six digits may then be that code. */
  readonly isTexted: boolean;
}

/** A range, and the kind of data in it. */
export interface KnownRange extends Range {
  readonly type: "NAME" | "PHONE" | "OTP" | "BIRTH" | "ADDRESS";
}

/** Finds all of it. Ranges may overlap. `pieces` are those of `readPieces`. */
export function findKnown(
  read: ReadText,
  pieces: readonly Piece[],
  { names, phones, isTexted }: KnownFacts,
): KnownRange[] {
  const chains = chainsOf(pieces.filter(({ isBlocked }) => !isBlocked));
  const folded = fold(read.text);
  const found = names.flatMap((name) => findName(folded.text, name)).map(folded.locate);
  return [
    ...found,
    ...chains.filter((chain) => isKnownPhone(chain, phones)).map((chain) => typed("PHONE", chain)),
    ...isTexted ? findTextedCodes(read, pieces, chains).map((range) => typed("OTP", [range])) : [],
    ...isTexted ? findWrittenCodes(read).map((range) => typed("OTP", [range])) : [],
    ...findBirthDates(read),
    ...findAddresses(read, found),
  ];
}

function typed(type: KnownRange["type"], parts: readonly Range[]): KnownRange {
  return { type, start: parts[0]?.start ?? 0, end: parts.at(-1)?.end ?? 0 };
}

const titles = new Set("mr mrs ms miss mx dr prof sir lady the van von de da di la".split(" "));
/** Names that are also words. They count only next to another name or in an introduction. */
const ordinary = new Set(
  ("may will mark april june august rose hope grace faith joy art bill sue pat rich frank young long " +
    "short brown black white green gray grey day king price best case page hall wood dean drew chase " +
    "grant lane dale heath ivy lily daisy carol violet olive penny guy jack nick rob bob ray don max " +
    "love sharp hand foot head back tooth pain rain bush field bell cook baker smith park an in so do")
    .split(" "),
);
const introduced = new RegExp(
  "\\b(?:" + [
    ...[
      "name(?:['’]s| is| ist|:)?",
      "I(?:['’]m| am)",
      "this is",
      "called",
      "for",
      "ich bin",
      "heisse",
    ],
    ...["(?:Mr|Mrs|Ms|Miss|Dr|Herrn?|Frau)\\.?", "(?:thanks|thank you|hello|danke),?"],
  ].join("|") + ")\\s+$",
  "i",
);

/** Finds a name in a text without accents, because accents are often left out or added. */
function findName(text: string, name: string): KnownRange[] {
  const words = name.normalize("NFC").split(/[^\p{L}\p{M}'’]+/u)
    .map((word) => word.replace(/^['’]+|['’]+$/g, ""));
  const parts = [...words, ...joinedWords(words)]
    .filter((part) => part.length > 1 && !titles.has(part.toLowerCase()))
    .flatMap(spellings)
    .filter((part) => /\p{L}/u.test(part));
  if (parts.length === 0) return [];
  const found = parts.flatMap((part) => occurrences(text, part, parts));
  const sorted = found.toSorted((a, b) => a.start - b.start);
  // Neighbouring names such as `Jane Example` are one range.
  const merged: KnownRange[] = [];
  for (const range of sorted) {
    const last = merged.at(-1);
    const isNext = last !== undefined && /^[\s,.'’-]{0,2}$/.test(text.slice(last.end, range.start));
    if (isNext) merged[merged.length - 1] = { ...last, end: Math.max(last.end, range.end) };
    else merged.push(range);
  }
  return merged;
}

/** Shorter names joined could be a word: `Le An`. */
const shortestJoined = 5;

/** `Mary-Kate` as Marykate, `Mc Donald` as Mcdonald, `D Arcy` as DArcy. */
function joinedWords(words: readonly string[]): string[] {
  return words.slice(1).map((word, index) => {
    const before = words[index] ?? "";
    return before + (before.length === 1 ? word : word.toLowerCase());
  }).filter(({ length }) => length >= shortestJoined);
}

const umlauts = new Map(Object.entries({ ä: "ae", ö: "oe", ü: "ue", ø: "oe", å: "aa" }));

/** Spellings without accents: `Müller` can be written Muller or Mueller, and `Mueller` can be Müller. */
function spellings(part: string): string[] {
  const plain = fold(part).text;
  const written = part.toLowerCase().replace(/[äöüøå]/g, (letter) => umlauts.get(letter) ?? letter);
  const short = plain.toLowerCase().replace(/([aou])e/g, "$1");
  return [
    plain,
    ...written === part.toLowerCase() ? [] : [fold(written).text],
    ...short.length > 2 && short !== plain.toLowerCase() ? [short] : [],
  ];
}

/** Shorter names have no plural, because it may be a word. */
const shortestPlural = 3;
/** Where a name can be split: at its apostrophe, before a capital, after `Mc`, `O` and `D`. */
const seam =
  /[^\p{L}]|(?<=\p{Ll})(?=\p{Lu})|(?<=^[OD])(?=\p{Lu}\p{Ll})|(?<=^[Mm]a?c)(?=\p{L}{3})/gu;

/** A pattern for a name: `O'Brien` may be written OBrien, O Brien or O-Brien. */
const formOf = (part: string) => part.replace(seam, "['’ -]?");

function occurrences(text: string, part: string, parts: readonly string[]): KnownRange[] {
  const isOrdinary = ordinary.has(part.toLowerCase());
  const form = formOf(part) + (part.length > shortestPlural && !isOrdinary ? "(?:e?s)?" : "");
  // ß is one letter, and became two.
  const spelled = part.length > 2
    ? [[...part].join("[\\s.,-]{1,2}").replace(/s\[\\s\.,-\]\{1,2\}(?=s)/i, "s[\\s.,-]{0,2}")]
    : [];
  const pattern = new RegExp(
    `(?<![\\p{L}\\p{N}])(?:${[form, ...spelled].join("|")})(?![\\p{L}\\p{N}])`,
    "giu",
  );
  const found = [...text.matchAll(pattern)].map((match) => ({
    type: "NAME" as const,
    start: match.index,
    end: match.index + match[0].length,
  }));
  if (!isOrdinary) return found;
  const isSmall = !/\p{Lu}/u.test(text);
  return found.filter((range) =>
    // `B R O W N` is no word.
    range.end - range.start > part.length + 1 || isMeant(text, range, part, parts, isSmall)
  );
}

/**
 * Whether an ordinary word is a name at this place.
 *
 * @param isSmall Whether the text has no capital letters at all.
 */
function isMeant(
  text: string,
  { start, end }: Range,
  part: string,
  parts: readonly string[],
  isSmall: boolean,
): boolean {
  const before = text.slice(Math.max(0, start - 24), start);
  const after = text.slice(end, end + 24);
  const wordIn = (words: string, at: number) =>
    words.match(/[\p{L}'’]+/gu)?.at(at)?.toLowerCase() ?? "";
  const neighbours = [
    // `Brown, Ada`, `berg-brown`
    ...(/^(?:,?\s|-)/.test(after) ? [wordIn(after, 0)] : []),
    ...(/[\s-]$/.test(before) ? [wordIn(before, -1)] : []),
  ].filter((word) => parts.some((part) => part.toLowerCase() === word));
  // Recognised speech may be in lower case: `ada brown`.
  if (neighbours.some((word) => !ordinary.has(word))) return true;
  if (!isSmall && !/\p{Lu}/u.test(text[start] ?? "")) return false;
  // `Brown, B R O W N`
  const [letter = ""] = part;
  const isSpelledNext = new RegExp(`^[\\s,.-]{1,3}${letter}[\\s.,-]`, "i").test(after);
  return neighbours.length > 0 || isSpelledNext || introduced.test(before);
}

/** Fewer digits of a number may stay: `ending 456`. */
const shortestEcho = 6;

function isKnownPhone(chain: readonly AnyPiece[], phones: readonly string[]): boolean {
  const readings = readingsOf(chain, { shortest: shortestEcho, longest: 16 });
  return readings.some((digits) =>
    phones.some((phone) => phone.includes(digits.replace(/^0+/, "")))
  );
}

const months = new Set(
  ("january february march april may june july august september october november december " +
    "jan feb mar apr jun jul aug sep sept oct nov dec januar jänner februar märz maerz mai juni juli " +
    "oktober dezember").split(" "),
);
const ordinals = new Set(
  ("first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth " +
    "fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth thirtieth").split(
      " ",
    ),
);
/** `dritten`, `einunddreißigsten`, `neunzehnhundertvierundachtzig`. */
const germanOfDate =
  /^(?:(?:erst|zweit|dritt|viert|fünft|sechst|siebt|acht|neunt|zehnt|elft|zwölft|\p{L}{4,}(?:zehnt|zigst|ßigst))(?:e|en|er)|(?:neunzehnhundert|zweitausend)\p{L}*)$/u;
const dateJoints = new Set("of the and st nd rd th in on".split(" "));
const birthReach = 6;
const dateLimit = 14;

/** Finds the date after `born` or `date of birth`, or in the answer to a question for it. */
function findBirthDates(read: ReadText): KnownRange[] {
  const found: KnownRange[] = [];
  read.tokens.forEach((_, at) => {
    if (!isBirth(read.tokens, at)) return;
    const range = dateBefore(read, at) ?? dateAfter(read, at + 1, birthReach) ??
      answerTo(read, read.turnOf[at] ?? -1);
    if (range !== undefined) found.push(range);
  });
  return found;
}

/** The date in the answer to a turn: in the next turn, or after turns that only hold the line. */
function answerTo(read: ReadText, question: number): KnownRange | undefined {
  for (let index = question + 1; index <= question + answerReach; index++) {
    const turn = read.turns[index];
    if (turn === undefined) return undefined;
    const date = dateAfter(read, turn.firstToken, birthReach);
    if (date !== undefined) return isAnswer(read, question, index) ? date : undefined;
    if (!isHolding(read, turn)) return undefined;
  }
  return undefined;
}

/** How many turns an answer may be away, and how many tokens a turn in between may have: `Sure.` */
const answerReach = 3;
const holdingLimit = 8;

/** Whether a turn only holds the line: it is short, has no digits and asks for nothing else. */
function isHolding(read: ReadText, turn: Turn): boolean {
  const { firstToken, endToken } = turn;
  return endToken - firstToken <= holdingLimit && !saidIn(read, turn, 1).includes("?") &&
    read.tokens.slice(firstToken, endToken).every(({ kind }) => kind === "word");
}

/** A later turn than the next is an answer only to a question, and only if the caller says it. */
function isAnswer(read: ReadText, asked: number, answer: number): boolean {
  const [question, said] = [read.turns[asked], read.turns[answer]];
  if (question === undefined || said === undefined) return false;
  if (answer === asked + 1) return true;
  return assistants.test(question.speaker) && !assistants.test(said.speaker) &&
    /\?|please/i.test(saidIn(read, question, 1));
}

/** Words between a date and its label: `12 May 1980, that's my date of birth`. */
const birthLinks = new Set(
  "is was s that it my his her the our your date of when i he she".split(" "),
);

/** The date that precedes its label: `12 May 1980 is my birthday`. */
function dateBefore(read: ReadText, birth: number): KnownRange | undefined {
  const { tokens } = read;
  const value = (at: number) => tokens[at]?.value ?? "";
  let end = birth;
  // `am 12. Mai 1980 geboren`
  let isStated = value(birth) === "geboren";
  while (birth - end < birthReach && birthLinks.has(value(end - 1))) {
    end--;
    isStated ||= /^(?:is|was|s)$/.test(value(end));
  }
  const isNext = value(end) === "that" || !isEnded(tokens, end);
  if (!isStated || !isNext || read.turnOf[end - 1] !== read.turnOf[birth]) return undefined;
  let first = end;
  for (let at = end - 1; at >= 0 && end - at <= dateLimit; at--) {
    if (at < end - 1 && isEnded(tokens, at + 1) || read.turnOf[at] !== read.turnOf[birth]) break;
    if (isOfDate(tokens, at)) first = at;
    else if (!dateJoints.has(value(at))) break;
  }
  const date = tokens.slice(first, end);
  // `the third is my birthday` does not tell a date.
  return date.filter((_, index) => isOfDate(tokens, first + index)).length >= 2
    ? typed("BIRTH", date)
    : undefined;
}

/** Whether a sentence ended before a token. The full stop of `14. März` ends none. */
function isEnded(tokens: readonly Token[], at: number): boolean {
  const { marks = 0, value = "" } = tokens[at] ?? {};
  const isOfDay = tokens[at - 1]?.kind === "digits" && months.has(value);
  return (marks & Mark.newline) !== 0 || (marks & Mark.stop) !== 0 && !isOfDay;
}

function isBirth(tokens: readonly Token[], at: number): boolean {
  const value = (index: number) => tokens[index]?.value ?? "";
  if (/^(?:born|dob|birthday|birthdate|geboren|geburtsdatum|geburtstag)$/.test(value(at))) {
    return true;
  }
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
      if (end > first && isEnded(tokens, end)) break;
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
    /^(?:hundred|thousand)$/.test(token.value) || germanOfDate.test(token.value);
}

const assistants =
  /^(?:ai|assistant|bot|agent|voice ?bot|receptionist|reception|clinic|staff|nurse|operator)$/;
/** After these, an address is the patient's, and a number is enough to recognize it. */
const residence = [
  String
    .raw`(?:live[sd]?|living|resid(?:es?|ed|ing)|domiciled|dwell(?:s|ing)?)(?:,? \p{L}+){0,3}? (?:at|on|in|near):?`,
  "(?:lives|residing|resides):",
  "resident (?:at|of)",
  String.raw`(?:wohn(?:e|en|t|haft)|gemeldet)(?: \p{L}+){0,2}? (?:in|an|am|auf)(?: de[rmn])?`,
  String.raw`(?:postcode|post code|zip code|zip)(?= [a-z]{0,2}\d)`,
];
const noun = "(?:address|adresse|anschrift|residence|postcode|post code|zip code|zip)";
const joint =
  "(?:is|was|as|has|been|on|file|record|given|provided|stated|recorded|listed|registered|confirmed|changed|updated|now|currently|to|at|and|for)";
/** After these, any place or amount may follow, so the text must look like an address. */
const place = [
  "(?:moved|moving|moves|relocat(?:ed|es|ing)) (?:in)?to",
  "(?:based|located|staying|stays?|stayed|found|home|is|['’]s|am|['’]m|are|['’]re|was|were) (?:now |currently )?(?:at|on|in)",
  "(?:home|house|flat|apartment|place|addr\\.?)(?:['’]s| is| was|:)?(?: at)?",
  String.raw`(?:patient|caller|customer|s?he|they)(?:,| of| from| at| \()`,
  String
    .raw`(?:send|sent|post|posted|mail|mailed|deliver|delivered|ship|shipped)(?: \p{L}+){0,2} to`,
  String.raw`pick(?:ed)?(?: \p{L}+){0,2} up (?:at|from)`,
];
const stated = [
  { pattern: new RegExp(String.raw`\b(?:${residence.join("|")})\s+`, "giu"), isSure: true },
  {
    pattern: new RegExp(
      String
        .raw`\b${noun}(?:(?: ${joint}){0,4}(?:['’]s|:| is| was| as| ist| lautet)(?: ${joint}){0,3})\s+`,
      "giu",
    ),
    isSure: true,
  },
  { pattern: new RegExp(String.raw`\b${noun},?(?: ${joint}){0,4}\s+`, "giu"), isSure: false },
  {
    pattern: new RegExp(String.raw`(?:\b|(?=['’]))(?:${place.join("|")})\s*`, "giu"),
    isSure: false,
  },
];
const streets =
  "street|st|road|rd|avenue|ave|lane|ln|drive|dr|court|ct|close|way|place|pl|square|sq|terrace|boulevard|" +
  "blvd|crescent|cres|grove|gardens|hill|row|mews|parkway|pkwy|highway|hwy|circle|walk|park|rise|view|quay";
const numberWord =
  "(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|" +
  "seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|and|oh)";
const houseNumber = String.raw`(?:\d+ ?[a-z]?|${numberWord}(?:[ -]${numberWord})*)`;
const addressShape = new RegExp(
  String
    .raw`^(?:(?:flat|apt|apartment|unit|suite|number|no\.?|house)? ?\d*[a-z]?,? )?${houseNumber}(?:[-/]\d+)?,? (?:[\p{L}\d'’.-]+ ){0,4}?(?:${streets})\b|^p\.? ?o\.? box \d`,
  "iu",
);
/** Before an address, these make it somebody else's. */
const others =
  /\b(?:clinic|practice|surgery|office|hospital|pharmacy|branch|laboratory|lab|parking|car park|bus|station|building|school|dentist|doctor|e-?mail|ip|web(?:site)?)\b[^.;!?\n]*$/iu;
const askedAddress =
  /(?<!\b(?:e-?mail|ip|web|our|unsere|clinic['’]s) )\b(?:address|adresse(?! der)|anschrift|postcode|post code|zip code|zip)\b|where do you live|wo wohnen sie/iu;
const addressLimit = 160;
const contextLimit = 80;
const joinLimit = 10;
const leadIn =
  /^(?:\s|[,.]|\b(?:yes|yeah|yep|sure|ok|okay|um|uh|er|so|well|it['’]?s|it is|that['’]?s|i live|we live|at|on|in|is|has|changed|to|given|as|was)\b)*/iu;

/** What joins a name and an address. */
const joined = /^(?:,|,? (?:of|from|at)| \()\s*/;

/** Finds the patient's address, by label or as the answer to a question for it, and its repetitions. */
function findAddresses(read: ReadText, names: readonly KnownRange[]): KnownRange[] {
  const { text, turns } = read;
  const said = stated.flatMap(({ pattern, isSure }) =>
    [...text.matchAll(pattern)].flatMap((match) => {
      const at = match.index + match[0].length;
      const before = text.slice(Math.max(0, match.index - contextLimit), at);
      const isPatients = isOfAssistant(read, match.index)
        ? /\byou(?:r|['’]re|['’]ve)?\b[^.;!?\n]*$/iu.test(before)
        : !others.test(before) && !/\byour\b[^.;!?\n]*$/iu.test(before);
      return isPatients && (isSure || addressShape.test(text.slice(at, at + addressLimit)))
        ? addressAt(read, at)
        : [];
    })
  );
  const introduced = names.flatMap(({ end }) => {
    const [joint] = joined.exec(text.slice(end, end + joinLimit)) ?? [];
    const at = end + (joint?.length ?? 0);
    return joint !== undefined && addressShape.test(text.slice(at, at + addressLimit))
      ? addressAt(read, at)
      : [];
  });
  const answered = turns.flatMap((turn, index) => {
    if (assistants.test(turn.speaker) || !isAskedAddress(read, index)) return [];
    return addressAt(read, read.tokens[turn.firstToken]?.start ?? text.length);
  });
  const found = [...said, ...introduced, ...answered];
  return [...found, ...findEchoes(text, found)];
}

/** Whether a turn answers a question for an address, perhaps after turns that only hold the line. */
function isAskedAddress(read: ReadText, answer: number): boolean {
  for (let index = answer - 1; index >= answer - answerReach; index--) {
    const turn = read.turns[index];
    if (turn === undefined) return false;
    if (assistants.test(turn.speaker) && askedAddress.test(saidIn(read, turn))) {
      return isAnswer(read, index, answer);
    }
    if (!isHolding(read, turn)) return false;
  }
  return false;
}

/** How many repetitions are redacted. */
const echoLimit = 5;

/** `So that's 12 Oak Street?` */
function findEchoes(text: string, found: readonly KnownRange[]): KnownRange[] {
  const lines = found.map(({ start, end }) => text.slice(start, end).split(",")[0]?.trim() ?? "")
    .filter((line) => line.length > 7 && /\d/.test(line) && /\p{L}{3}/u.test(line));
  const lowered = text.toLowerCase();
  return [...new Set(lines.map((line) => line.toLowerCase()))].slice(0, echoLimit).flatMap(
    (line) => {
      const echoes: KnownRange[] = [];
      // In a few scripts lower case has another length, and offsets would be wrong.
      if (lowered.length !== text.length) return echoes;
      for (
        let at = lowered.indexOf(line);
        at !== -1;
        at = lowered.indexOf(line, at + line.length)
      ) {
        echoes.push({ type: "ADDRESS", start: at, end: at + line.length });
      }
      return echoes;
    },
  );
}

function isOfAssistant({ turns, tokens }: ReadText, offset: number): boolean {
  let [low, high] = [0, turns.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const start = tokens[turns[middle]?.firstToken ?? 0]?.start ?? 0;
    if (start <= offset) low = middle + 1;
    else high = middle;
  }
  return assistants.test(turns[low - 1]?.speaker ?? "");
}

/** @param behind How many characters after the last word to include, for a question mark. */
function saidIn({ text, tokens }: ReadText, { firstToken, endToken }: Turn, behind = 0): string {
  return text.slice(tokens[firstToken]?.start ?? 0, (tokens[endToken - 1]?.end ?? 0) + behind);
}

/** An address continues to the end of its sentence or to a word that no address has. */
const addressEnd =
  /^[^\n;?!)]*?(?=[\n;?!)]|\.(?:\s|$)|[,\s]+(?:and|but|call(?:s|ed|ing)?|ask(?:s|ed)|want(?:s|ed)|need(?:s|ed)|would|request(?:s|ed)|book(?:s|ed)|report(?:s|ed)|confirmed|please|who|which|since|because|for|with|last|about|when|after|before|so|said|has|had|now)\b|$)/iu;

/** Dates, times and amounts are not addresses. */
const otherNumber =
  /^(?:\d{1,2}[:.]\d{2}\b|\d+(?:st|nd|rd|th)? (?:of )?(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)|\d+ ?(?:[ap]m|mg|ml|mcg|%|percent|minutes?|hours?|days?|weeks?|months?|years?)\b)/iu;

/** The first token that starts at an offset or behind it. */
function tokenFrom({ tokens }: ReadText, offset: number): number {
  let [low, high] = [0, tokens.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((tokens[middle]?.start ?? Infinity) >= offset) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The address that starts at an offset, if it has a number. */
function addressAt(read: ReadText, from: number): KnownRange[] {
  const { text } = read;
  const rest = text.slice(from, from + addressLimit);
  const [sentence = ""] = addressEnd.exec(rest) ?? [];
  const start = from + (leadIn.exec(sentence)?.[0].length ?? 0);
  const end = from + sentence.trimEnd().length;
  let hasNumber = false;
  for (let at = tokenFrom(read, start); (read.tokens[at]?.start ?? Infinity) < end; at++) {
    hasNumber ||= readingsAt(read.tokens, at).length > 0;
  }
  return start < end && hasNumber && !otherNumber.test(text.slice(start, end))
    ? [{ type: "ADDRESS", start, end }]
    : [];
}
