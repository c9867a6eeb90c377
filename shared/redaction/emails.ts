/**
 * E-mail addresses, written or spoken.
 *
 * @module
 */

import { isFiller, readingsAt } from "../spoken_digits.ts";
import { Mark, type Range, type Token } from "../tokens.ts";
import type { ReadText } from "./text.ts";

/** E-mail addresses: `ada.brown@example.com`, `ada dot brown at example dot com`. */
export function findEmails(read: ReadText): Range[] {
  return [...findWrittenEmails(read.text), ...findSpokenEmails(read)];
}

/** RFC 5321, 4.5.3.1: 64 octets before the `@`, 255 after it. */
const localLimit = 64;
const domainLimit = 255;
/** Also as it is written in a URL and in JSON. */
const atSign = /[@＠﹫]|%40|\\u0040/gi;
const localTail = /[\p{L}\p{M}\p{N}\p{Cf}_.+%'’*/=?^`{|}~!#$&-]{1,64}$/u;
const domainHead =
  /^(?:[\p{L}\p{N}](?:[\p{L}\p{M}\p{N}\p{Cf}-]{0,62})\.){1,8}\p{L}[\p{L}\p{M}\p{N}\p{Cf}-]{1,62}/u;

function findWrittenEmails(text: string): Range[] {
  const found: Range[] = [];
  let from = 0;
  const signs = [...text.matchAll(atSign)];
  signs.forEach(({ 0: sign, index: at }, index) => {
    const behind = at + sign.length;
    const until = Math.min(signs[index + 1]?.index ?? text.length, behind + domainLimit);
    const domain = domainHead.exec(text.slice(behind, until))?.[0];
    if (domain === undefined) return;
    const local = localTail.exec(text.slice(Math.max(from, at - localLimit), at))?.[0];
    const name = local?.replace(/^.*[=?&/`'’{|}!#$^*]/s, "").replace(/^(?:\\[nrt])?[.-]*/, "");
    if (!name) return;
    from = behind + domain.length;
    found.push({ start: at - lengthOfName(local ?? "", name), end: from });
  });
  return found;
}

/** An apostrophe belongs to the name in `o'neill@`, not in `'ada@`. */
function lengthOfName(local: string, name: string): number {
  const before = /[\p{L}\p{N}_.+%-]*\p{L}['’]$/u.exec(local.slice(0, local.length - name.length));
  return name.length + (before?.[0].length ?? 0);
}

const topDomains = new Set(
  "com org net edu gov uk co io nhs de ch fr ie eu us info biz ca au".split(" "),
);
const mailHosts = new Set(
  `gmail googlemail hotmail outlook yahoo ymail icloud aol live msn me protonmail proton btinternet
  sky virginmedia talktalk comcast verizon gmx zoho fastmail web freenet posteo`.split(/\s+/),
);
/** The words for `@` and a dot, in English and German. */
const ats = new Set(["at", "ät"]);
const dots = new Set(["dot", "punkt"]);
const joiners = new Set([
  ...dots,
  ...["underscore", "dash", "hyphen", "plus", "period", "point", "unterstrich", "bindestrich"],
]);
/** `look at example dot com`, `book online at riverside dot com`: a website, not an address. */
const notNames = new Set(
  `me us at look book visit find see online website site available located is are it you him her
  them or and page app clinic more out up here there`.split(/\s+/),
);
/** Not names of people, but addresses nevertheless: `it's info at clinic dot org`. */
const roles = new Set(
  "info office contact reception hello admin support enquiries bookings appointments sales team"
    .split(" "),
);
const nameLimit = 24;
const labelLimit = 5;

function findSpokenEmails(read: ReadText): Range[] {
  const found: Range[] = [];
  read.tokens.forEach((token, at) => {
    if (!ats.has(token.value) || at === 0) return;
    const domain = readDomain(read, at + 1);
    // `ada [at] example [dot] org` can only mean an address.
    const isMeant = domain?.isMailHost || /[[({<]/.test(read.text[token.start - 1] ?? "") ||
      isCalledAddress(read.tokens, domain?.end ?? 0);
    const first = domain && readName(read, at, isMeant);
    const start = first === undefined ? undefined : read.tokens[first]?.start;
    const end = read.tokens[(domain?.end ?? 0) - 1]?.end;
    if (start !== undefined && end !== undefined) found.push({ start, end });
  });
  return found;
}

/** `gmail dot com`, `riverside clinic dot co dot uk`, `example.com`. */
function readDomain(read: ReadText, first: number) {
  const { tokens } = read;
  const isMailHost = mailHosts.has(tokens[first]?.value ?? "");
  let isEnded = false;
  let at = first;
  for (let label = 0; label < labelLimit; label++) {
    if (!isNear(tokens, at)) return undefined;
    isEnded = label > 0 && topDomains.has(tokens[at]?.value ?? "");
    at++;
    // A name of two words: `riverside clinic dot com`.
    if (label === 0 && !isDot(read, at) && isNear(tokens, at) && isDot(read, at + 1)) at++;
    // `riverside dash clinic dot org`
    while (/^(?:dash|hyphen)$/.test(tokens[at]?.value ?? "") && isNear(tokens, at + 1)) at += 2;
    if (!isDot(read, at)) break;
    if (dots.has(tokens[at]?.value ?? "")) at++;
  }
  return isEnded ? { end: at, isMailHost } : undefined;
}

/** Whether a dot precedes the token at `at`, or the token is the word. */
function isDot({ text, tokens }: ReadText, at: number): boolean {
  const token = tokens[at];
  if (token === undefined) return false;
  if (dots.has(token.value)) return isNear(tokens, at) && isNear(tokens, at + 1);
  return /[.-]/.test(text[token.start - 1] ?? "") && token.marks === Mark.other &&
    isWrittenTogether(tokens, at, 1);
}

function isWrittenTogether(tokens: readonly Token[], at: number, length: number): boolean {
  return (tokens[at]?.start ?? Infinity) - (tokens[at - 1]?.end ?? 0) <= length;
}

/** Whether only spaces, brackets, hyphens or nothing separates two words of an address. */
function isNear(tokens: readonly Token[], at: number): boolean {
  const token = tokens[at];
  if (token === undefined || token.kind === "marker") return false;
  const allowed = Mark.space | Mark.other | Mark.aside | Mark.comma;
  return (token.marks & ~allowed) === 0 && isWrittenTogether(tokens, at, 4);
}

/** The first token of the name whose last token precedes `at`. */
function readName(read: ReadText, at: number, isMeant: boolean): number | undefined {
  const { tokens } = read;
  if (!isNear(tokens, at) || tokens[at - 1]?.kind === "marker") return undefined;
  let first = at - 1;
  while (first > 0 && at - first < nameLimit && isNear(tokens, first)) {
    const length = lengthOfJoint(tokens, first, isMeant);
    if (length === 0) break;
    first -= length;
  }
  const announced = firstAnnounced(tokens, first) ?? firstAnswered(read, first);
  if (announced !== undefined || isMeant) return announced ?? first;
  const last = tokens[at - 1];
  const isJoined = first < at - 1 || last?.kind === "digits";
  if (isJoined) return notNames.has(last?.value ?? "") ? undefined : first;
  const isStated = first === 0 || links.has(tokens[first - 1]?.value ?? "") ||
    read.turns[read.turnOf[first] ?? -1]?.firstToken === first;
  return roles.has(last?.value ?? "") && isStated ? first : undefined;
}

/** How many tokens before this one belong to the name: a dot and a word, a letter, or attached text. */
function lengthOfJoint(tokens: readonly Token[], first: number, isMeant: boolean): number {
  const token = tokens[first];
  const before = tokens[first - 1];
  if (before === undefined || before.kind === "marker") return 0;
  if (joiners.has(before.value)) return first >= 2 && isNear(tokens, first - 1) ? 2 : 0;
  if (isWrittenTogether(tokens, first, 1) && token?.marks !== Mark.space) return 1;
  const isLetter = (each: Token | undefined) => each?.kind === "word" && each.value.length === 1;
  const isPossessive = before.value === "s" && before.marks === Mark.other;
  if (isLetter(before) && !/^[ai]$/.test(before.value) && !isPossessive) return 1;
  // `jones ninety nine at gmail dot com`
  const isNumber = readingsAt(tokens, first).length > 0;
  if (isNumber && (isMeant || token?.kind === "word")) return 1;
  return isLetter(token) && isLetter(before) && before.value !== "a" && !isPossessive ? 1 : 0;
}

/** `info at sunrise dental dot co dot uk is the address` */
function isCalledAddress(tokens: readonly Token[], end: number): boolean {
  const [copula, ...after] = tokens.slice(end, end + 4).map(({ value }) => value);
  return copula === "is" && after.some((word) => word === "address" || mailWords.has(word));
}

const links = new Set(["is", "its", "it", "s", "address", "to", "at", "ist", "lautet"]);
const mailWords = new Set(["email", "mail", "emails"]);

/** After `my email is`, all words up to `at` are the name: `email is john smith at gmail dot com`. */
function firstAnnounced(tokens: readonly Token[], first: number): number | undefined {
  for (let at = first; at > Math.max(0, first - 5); at--) {
    const before = tokens[at - 1];
    if (before === undefined) return undefined;
    const isClose = isWrittenTogether(tokens, at, 4) &&
      ((tokens[at]?.marks ?? 0) & Mark.newline) === 0;
    if (!isClose) return undefined;
    if (mailWords.has(before.value)) return at;
    if (!links.has(before.value)) continue;
    const words = tokens.slice(Math.max(0, at - 5), at);
    return words.some(({ value }) => mailWords.has(value)) ? at : undefined;
  }
  return undefined;
}

const answerLimit = 5;

/** In the answer to `What's your email?`, all words but the introduction are the name. */
function firstAnswered({ tokens, turns, turnOf }: ReadText, first: number): number | undefined {
  const turn = turns[turnOf[first] ?? -1];
  const question = turns[(turnOf[first] ?? 0) - 1];
  if (turn === undefined || question === undefined || first - turn.firstToken > answerLimit) {
    return undefined;
  }
  const asked = tokens.slice(question.firstToken, question.endToken);
  if (!asked.some(({ value }) => mailWords.has(value))) return undefined;
  let start = turn.firstToken;
  while (start < first && isLeadIn(tokens[start])) start++;
  return start;
}

const isLeadIn = (token: Token | undefined) =>
  token !== undefined && (isFiller(token) || links.has(token.value));
