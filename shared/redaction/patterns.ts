/**
 * Personal data that has a form of its own (e-mail, IBAN, NI number, IP address, vanity number),
 * and what has a form and is not personal (dates, times, UUIDs, prices).
 *
 * Each pattern is bounded, so that the time is linear in the length of the text.
 *
 * @module
 */

import type { Range, ReadText, Token } from "./text.ts";

/** E-mail addresses, written and spoken. */
export function findEmails(read: ReadText): Range[] {
  return [...findWrittenEmails(read.text), ...findSpokenEmails(read)];
}

/** RFC 5321, 4.5.3.1: 64 octets before the `@`, 255 after it. */
const localLimit = 64;
const domainLimit = 255;
const localTail = /[\p{L}\p{M}\p{N}_.+%'’*/=?^`{|}~!#$&-]{1,64}$/u;
const domainHead =
  /^(?:[\p{L}\p{N}](?:[\p{L}\p{M}\p{N}-]{0,62})\.){1,8}\p{L}[\p{L}\p{M}\p{N}-]{1,62}/u;

function findWrittenEmails(text: string): Range[] {
  const found: Range[] = [];
  let from = 0;
  for (let at = text.indexOf("@"); at !== -1; at = text.indexOf("@", at + 1)) {
    const next = text.indexOf("@", at + 1);
    const until = Math.min(next === -1 ? text.length : next, at + 1 + domainLimit);
    const domain = domainHead.exec(text.slice(at + 1, until))?.[0];
    if (domain === undefined) continue;
    const local = localTail.exec(text.slice(Math.max(from, at - localLimit), at))?.[0];
    const name = local?.replace(/^.*[=?&/`'’{|}!#$^*]/s, "").replace(/^(?:\\[nrt])?[.-]*/, "");
    if (!name) continue;
    from = at + 1 + domain.length;
    found.push({ start: at - lengthOfName(local ?? "", name), end: from });
  }
  return found;
}

/** An apostrophe belongs to the name in `o'neill@`, not in `'ada@`. */
function lengthOfName(local: string, name: string): number {
  const quoted = /[\p{L}]['’]$/u.exec(local.slice(0, local.length - name.length));
  if (quoted === null) return name.length;
  const before = /[\p{L}\p{N}_.+%-]+['’]$/u.exec(local.slice(0, local.length - name.length));
  return name.length + (before?.[0].length ?? 0);
}

const spokenDomains = new Set(
  "com org net edu gov uk co io nhs de fr ie eu us info biz".split(" "),
);
const mailHosts = new Set(
  `gmail googlemail hotmail outlook yahoo ymail icloud aol live msn me protonmail proton btinternet
  sky virginmedia talktalk comcast verizon gmx zoho fastmail`.split(/\s+/),
);
const joiners = new Set(["dot", "underscore", "dash", "hyphen", "plus", "period", "point"]);
const notNames = new Set(
  `me us at look book visit find see online website site available located is are it you him her
  them or and page app clinic more info out up here there`.split(/\s+/),
);
const nameLimit = 24;

/** `ada dot brown at example dot com`, `ada [at] example [dot] org`. */
function findSpokenEmails(read: ReadText): Range[] {
  const found: Range[] = [];
  for (let at = 1; at < read.tokens.length; at++) {
    const token = read.tokens[at];
    if (token?.kind !== "word" || token.value !== "at") continue;
    const domainEnd = readSpokenDomain(read, at + 1);
    if (domainEnd === undefined) continue;
    const first = readSpokenName(read, at, domainEnd.isMailHost);
    const start = first === undefined ? undefined : read.tokens[first]?.start;
    const end = read.tokens[domainEnd.token - 1]?.end;
    if (start !== undefined && end !== undefined) found.push({ start, end });
  }
  return found;
}

function readSpokenDomain(read: ReadText, first: number) {
  let isMailHost = false;
  let isEnded = false;
  let at = first;
  for (let labels = 0; labels < 5; labels++) {
    const label = read.tokens[at];
    if (label === undefined || label.kind === "marker" || !isNear(read, at)) return undefined;
    if (labels === 0 && mailHosts.has(label.value)) isMailHost = true;
    isEnded = labels > 0 && spokenDomains.has(label.value);
    at++;
    // A name of two words: `riverside clinic dot com`.
    if (labels === 0 && !isDot(read, at) && isDot(read, at + 1) && isNear(read, at)) at++;
    if (!isDot(read, at)) break;
    if (read.tokens[at]?.value === "dot") at++;
  }
  return isEnded ? { token: at, isMailHost } : undefined;
}

function isDot(read: ReadText, at: number): boolean {
  const token = read.tokens[at];
  const before = read.tokens[at - 1];
  if (token === undefined || before === undefined) return false;
  if (token.value === "dot") return isNear(read, at) && isNear(read, at + 1);
  return read.text.slice(before.end, token.start) === ".";
}

/** Between the words of an address stand spaces, brackets, hyphens or nothing. */
function isNear(read: ReadText, at: number): boolean {
  const token = read.tokens[at];
  const before = read.tokens[at - 1];
  if (token === undefined || before === undefined || token.start - before.end > 4) return false;
  return /^[ \u00a0.,()[\]{}<>_-]{0,4}$/.test(read.text.slice(before.end, token.start));
}

function readSpokenName(read: ReadText, at: number, isMailHost: boolean): number | undefined {
  let first = at - 1;
  const name = read.tokens[first];
  if (name === undefined || name.kind === "marker" || !isNear(read, at)) return undefined;
  let isJoined = name.kind === "digits" || isWritten(read, first);
  while (first > 0 && at - first < nameLimit && isNear(read, first)) {
    const before = read.tokens[first - 1];
    const between = before && read.text.slice(before.end, read.tokens[first]?.start);
    if (before === undefined || before.kind === "marker") break;
    if (joiners.has(before.value) && first >= 2 && isNear(read, first - 1)) {
      first -= 2;
      isJoined = true;
    } else if (/^[._-]?$/.test(between ?? " ")) {
      first--;
      isJoined ||= between !== "";
    } else if (isLetter(read.tokens[first]) && isLetter(before) && before.value !== "a") {
      first--;
      isJoined = true;
    } else if (
      isLetter(before) && before.value !== "a" && before.value !== "i" && before.value !== "s"
    ) {
      first--;
    } else break;
  }
  const isAnnounced = announced(read, first);
  if (isAnnounced !== undefined) return isAnnounced;
  if (notNames.has(name.value) && !isJoined) return undefined;
  return isJoined || isMailHost ? first : undefined;
}

function isWritten(read: ReadText, at: number): boolean {
  const token = read.tokens[at];
  return token !== undefined && /[\d_]/.test(read.text[token.start - 1] ?? "");
}

function isLetter(token: Token | undefined): boolean {
  return token?.kind === "word" && token.value.length === 1;
}

/** After `my email is` all words up to `at` are the name: `email is john smith at gmail dot com`. */
function announced(read: ReadText, first: number): number | undefined {
  for (let at = first; at > Math.max(0, first - 5); at--) {
    const before = read.tokens[at - 1];
    if (before === undefined || !isNear(read, at) && !isColon(read, at)) return undefined;
    const isLink = /^(?:is|its|it|s|address|to|at)$/.test(before.value);
    if (!isLink && !/^e?mail$/.test(before.value)) continue;
    if (/^e?mail$/.test(before.value)) return at;
    const words = read.tokens.slice(Math.max(0, at - 5), at);
    return words.some((word) => /^e?mail$/.test(word.value)) ? at : undefined;
  }
  return undefined;
}

function isColon(read: ReadText, at: number): boolean {
  return /^:\s?$/.test(read.text.slice(read.tokens[at - 1]?.end, read.tokens[at]?.start));
}

/** Length by country, from the registry of ISO 13616 (SWIFT, IBAN Registry). */
const ibanLengths = new Map(
  ("AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29ES24" +
    "FI18FK18FO18FR27GB22GE22GI23GL18GR27GT28HN28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32" +
    "LI21LT20LU20LV21LY25MC27MD24ME22MK19MN20MR27MT31MU30NI28NL18NO15OM23PK24PL28PS29PT25QA29RO24" +
    "RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25SV28TL23TN24TR26UA29VA22VG24XK20YE30").match(
      /[A-Z]{2}\d{2}/g,
    )?.map((entry) => [entry.slice(0, 2), Number(entry.slice(2))]) ?? [],
);

/** International bank account numbers (ISO 13616): length by country and the remainder of 97. */
export function findIbans(text: string): Range[] {
  const found: Range[] = [];
  for (const match of text.matchAll(/(?<![\p{L}\p{N}])[A-Za-z]{2}[ -]?\d{2}/gu)) {
    const length = ibanLengths.get(match[0].slice(0, 2).toUpperCase());
    if (length === undefined) continue;
    const end = skipCharacters(text, match.index, length);
    if (end === undefined || /^[\p{L}\p{N}]/u.test(text.slice(end, end + 2))) continue;
    if (isIban(text.slice(match.index, end))) found.push({ start: match.index, end });
  }
  return found;
}

/** Past a number of letters and digits with at most one space or hyphen between them. */
function skipCharacters(text: string, start: number, count: number): number | undefined {
  let at = start;
  for (let seen = 0; seen < count; at++) {
    if (/[A-Za-z0-9]/.test(text[at] ?? "")) seen++;
    else if (!/[ \u00a0-]/.test(text[at] ?? "") || /[ \u00a0-]/.test(text[at - 1] ?? "")) {
      return undefined;
    }
  }
  return at;
}

function isIban(written: string): boolean {
  const characters = written.replace(/[ \u00a0-]/g, "").toUpperCase();
  let remainder = 0;
  for (const character of characters.slice(4) + characters.slice(0, 4)) {
    const value = parseInt(character, 36);
    remainder = (remainder * (value > 9 ? 100 : 10) + value) % 97;
  }
  return remainder === 1;
}

/**
 * National Insurance numbers (HMRC, NIM39110), and `QQ`, the prefix of the specimen.
 * `BG GB KN NK NT TN ZZ` are never issued.
 */
const nino =
  /(?<![\p{L}\p{N}_])(?!bg|gb|kn|nk|nt|tn|zz)(?:[a-ceghj-prstw-z][a-ceghj-nprstw-z]|qq)[ .-]?\d{2}[ .-]?\d{2}[ .-]?\d{2}[ .-]?[a-d](?![\p{L}\p{N}_])/giu;

/** National Insurance numbers. */
export function findNinos(text: string): Range[] {
  return [...text.matchAll(nino)].map(rangeOf);
}

const dotted = /(?<![\p{L}\p{N}_.])\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?![\p{L}\p{N}_])(?!\.\d)/gu;
const versionBefore =
  /(?:\b(?:version|ver|release|build|firmware|section|chapter|clause|paragraph|figure|table|step|oid|v)[ :.=]*|\/)$/i;
const hexGroups =
  /(?<![\p{L}\p{N}_:.])(?:[0-9a-f]{0,4}:){2,7}(?:(?:\d{1,3}\.){3}\d{1,3}|[0-9a-f]{0,4})(?![\p{L}\p{N}_:])/giu;

/** IP addresses of both versions (RFC 791, RFC 4291), without ports and prefix lengths. */
export function findIps(text: string): Range[] {
  const found: Range[] = [];
  if (text.includes("::") || /:[0-9a-f]{1,4}:/i.test(text)) {
    for (const match of text.matchAll(hexGroups)) {
      if (isIpv6(match[0]) && /[0-9]/.test(match[0])) found.push(rangeOf(match));
    }
  }
  for (const match of text.matchAll(dotted)) {
    const before = text.slice(Math.max(0, match.index - 12), match.index);
    if (isIpv4(match[0]) && (!versionBefore.test(before) || /:\/\/$/.test(before))) {
      found.push(rangeOf(match));
    }
  }
  return found;
}

function isIpv4(written: string): boolean {
  return /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.|$)){4}$/.test(written) &&
    !/(?:^|\.)0\d/.test(written);
}

/**
 * Whether this is an IPv6 address, as `isIP` of node:net says; own code because importing node:net
 * costs 23 ms on Deno 2.9, which each start of each function would pay.
 */
export function isIpv6(written: string): boolean {
  const mapped = /(?:^|:)((?:\d{1,3}\.){3}\d{1,3})$/.exec(written)?.[1];
  if (mapped !== undefined && !isIpv4(mapped)) return false;
  const whole = mapped === undefined ? written : `${written.slice(0, -mapped.length)}0:0`;
  const halves = whole.split("::");
  if (halves.length > 2) return false;
  const groups = halves.map((half) => half === "" ? [] : half.split(":"));
  const count = groups.reduce((sum, half) => sum + half.length, 0);
  const areGroups = groups.flat().every((group) => /^[0-9a-f]{1,4}$/i.test(group));
  return areGroups && (halves.length === 2 ? count <= 7 : count === 8);
}

const vanity = [
  /(?<![\p{L}\p{N}+-])(?:\+?1[-. ])?\(?8(?:00|33|44|55|66|77|88)\)?[-. ](?=[A-Z0-9-]{0,9}[A-Z]{3})[A-Z0-9](?:-?[A-Z0-9]){6,10}(?![\p{L}\p{N}-])/gu,
  /(?<![\p{L}\p{N}+-])(?:\+?1[-. ])?\(?[2-9]\d\d[)-]? ?[-.]?\d{3}[-. ][A-Z]{4}(?![\p{L}\p{N}-])/gu,
  /(?<![\p{L}\p{N}+-])0[38]\d\d[-. ][A-Z]{6,8}(?![\p{L}\p{N}-])/gu,
];

/** Numbers spelled as a word, `1-800-FLOWERS`: as a whole, never in part. */
export function findVanityNumbers(text: string): Range[] {
  return vanity.flatMap((pattern) => [...text.matchAll(pattern)].map(rangeOf));
}

const month = "(?:0?[1-9]|1[0-2])";
const day = "(?:0?[1-9]|[12]\\d|3[01])";
const year = "(?:19|20)\\d\\d";
const monthName = "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|sept|oct|nov|dec)[a-z]{0,6}";
const apart = "(?<![\\p{N}])(?<!\\d[-./])";
const harmless = [
  // UUIDs.
  /(?<![\p{L}\p{N}])[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?![\p{L}\p{N}])/giu,
  // Dates with the year first, and the time behind.
  new RegExp(
    `${apart}${year}([-/.])${month}\\1${day}(?:[T ]\\d{2}:?\\d{2}(?::?\\d{2}(?:\\.\\d+)?)?(?:Z|[+-]\\d{2}:?\\d{2})?)?(?![\\p{N}])(?![-/.]\\d)`,
    "gu",
  ),
  new RegExp(
    `${apart}${year}${"(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\\d|3[01])"}(?:T\\d{4,6}Z?)?(?![\\p{L}\\p{N}])`,
    "gu",
  ),
  // Dates with the day or the month first.
  new RegExp(
    `${apart}(?:${day}([-/.])${month}|${month}([-/.])${day})(?:\\1|\\2)(?:${year}|\\d\\d)(?![\\p{N}])(?![-/.]\\d)`,
    "gu",
  ),
  new RegExp(
    `(?<![\\p{N}+])(?<![\\p{N}+)] )(?:0[1-9]|[12]\\d|3[01]) (?:0[1-9]|1[0-2]) ${year}(?![\\p{N}])`,
    "gu",
  ),
  new RegExp(
    `${apart}${day}(?:st|nd|rd|th)? (?:of )?${monthName},? ?(?:${year})?(?![\\p{N}])`,
    "giu",
  ),
  new RegExp(
    `(?<![\\p{L}\\p{N}])${monthName}\\.? ${day}(?:st|nd|rd|th)?(?:,? ${year})?(?![\\p{N}])`,
    "giu",
  ),
  // Times and ratios.
  /(?<![\p{N}:])\d{1,2}(?::\d{2}){1,2}(?:\.\d+)?(?![\p{N}])/gu,
  /(?<![\p{N}:])\d{1,4}(?::\d{1,4})+(?![\p{N}])/gu,
  // Thousands and decimals.
  /(?<![\p{N},])\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![\p{N}]|,\d)/gu,
  /(?<![\p{N}.,])\d{1,3}(?:\.\d{3})+,\d{2}(?![\p{N}])/gu,
  /(?<![\p{N}.])(?:0|[1-9]\d*)\.\d+(?![\p{N}])(?!\.\d)/gu,
  // Powers and dimensions, GS1 elements, hexadecimal, ZIP+4, a path of hours.
  /\d\^\d+|(?<![\p{L}\p{N}])0x[0-9a-f]+/giu,
  /\((?:01|10|11|17|21|240)\)[A-Z0-9]{4,20}/g,
  /(?<![\p{N}-])\d{5}-\d{4}(?![\p{N}-])/gu,
];

/** What looks like part of a number and is a date, a time, a price, an id. Sorted, not overlapping. */
export function findHarmless(text: string): Range[] {
  const found: Range[] = [];
  if (!/\d/.test(text)) return found;
  for (const pattern of harmless) {
    for (const match of text.matchAll(pattern)) found.push(rangeOf(match));
  }
  return mergeRanges(found);
}

/** Sorts ranges and joins those that overlap. */
export function mergeRanges(ranges: readonly Range[]): Range[] {
  const merged: Range[] = [];
  for (const range of ranges.toSorted((a, b) => a.start - b.start)) {
    const last = merged.at(-1);
    if (last === undefined || range.start >= last.end) merged.push(range);
    else if (range.end > last.end) {
      merged[merged.length - 1] = { start: last.start, end: range.end };
    }
  }
  return merged;
}

function rangeOf(match: RegExpExecArray): Range {
  return { start: match.index, end: match.index + match[0].length };
}
