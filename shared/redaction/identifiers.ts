/**
 * Personal data with a fixed form: IBANs, NI numbers, IPv6 addresses, phone numbers spelled as words.
 *
 * @module
 */

import { readingsAt } from "../spoken_digits.ts";
import type { Range, Token } from "../tokens.ts";
import type { ReadText } from "./text.ts";

/** Length by country, from the IBAN Registry (ISO 13616, SWIFT). */
const ibanLengths = new Map(
  ("AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29ES24" +
    "FI18FK18FO18FR27GB22GE22GI23GL18GR27GT28HN28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32" +
    "LI21LT20LU20LV21LY25MC27MD24ME22MK19MN20MR27MT31MU30NI28NL18NO15OM23PK24PL28PS29PT25QA29RO24" +
    "RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25SV28TL23TN24TR26UA29VA22VG24XK20YE30").match(
      /[A-Z]{2}\d{2}/g,
    )?.map((entry) => [entry.slice(0, 2).toLowerCase(), Number(entry.slice(2))]) ?? [],
);

/** International bank account numbers (ISO 13616): length by country, and remainder 1 modulo 97. */
export function findIbans({ text, tokens }: ReadText): Range[] {
  const found: Range[] = [];
  tokens.forEach((token, index) => {
    const length = ibanLengths.get(token.value);
    const check = tokens[index + 1];
    if (length === undefined || check?.kind !== "digits" || check.start - token.end > 1) return;
    if (isWordCharacter(text[token.start - 1])) return;
    const end = skipCharacters(text, token.start, length);
    if (end === undefined || isWordCharacter(text[end])) return;
    if (isIban(text.slice(token.start, end))) found.push({ start: token.start, end });
  });
  return found;
}

/** Skips a number of letters and digits that have at most one space or hyphen between them. */
function skipCharacters(text: string, start: number, count: number): number | undefined {
  let at = start;
  for (let seen = 0; seen < count; at++) {
    if (/[A-Za-z\d]/.test(text[at] ?? "")) seen++;
    else if (!/^[ \u00a0-][A-Za-z\d]/.test(text.slice(at, at + 2))) return undefined;
  }
  return at;
}

function isIban(written: string): boolean {
  const letters = written.replace(/[^A-Za-z\d]/g, "");
  let remainder = 0;
  for (const character of letters.slice(4) + letters.slice(0, 4)) {
    const value = parseInt(character, 36);
    remainder = (remainder * (value > 9 ? 100 : 10) + value) % 97;
  }
  return remainder === 1;
}

/**
 * The prefix of a National Insurance number (HMRC, NIM39110). `BG GB KN NK NT TN ZZ` are never issued;
 * `QQ` is used in examples.
 */
const ninoPrefix = /^(?!bg|gb|kn|nk|nt|tn|zz)(?:[abceghj-prstw-z][abceghj-nprstw-z]|qq)$/;
const ninoDigits = 6;
const ninoTokens = 10;

/** National Insurance numbers, written and spoken: two letters, six digits, a letter up to D. */
export function findNinos(read: ReadText): Range[] {
  const found: Range[] = [];
  for (let at = 0; at < read.tokens.length; at++) {
    const range = ninoAt(read, at);
    if (range !== undefined) found.push(range);
  }
  return found;
}

function ninoAt({ text, tokens }: ReadText, first: number): Range | undefined {
  const token = tokens[first];
  if (token?.kind !== "word" || token.value.length > 2) return undefined;
  const isSplit = token.value.length === 1;
  const prefix = isSplit ? token.value + (tokens[first + 1]?.value ?? "") : token.value;
  if (!ninoPrefix.test(prefix) || isWordCharacter(text[token.start - 1])) return undefined;
  let at = first + (isSplit ? 2 : 1);
  let digits = "";
  while (digits.length < ninoDigits && at - first < ninoTokens) {
    const [part] = readingsAt(tokens, at);
    if (part === undefined) return undefined;
    digits += part.digits;
    at += part.length;
  }
  const suffix = tokens[at];
  if (digits.length !== ninoDigits || suffix === undefined || !/^[a-d]$/.test(suffix.value)) {
    return undefined;
  }
  const written = text.slice(token.start, suffix.end);
  if (isWordCharacter(text[suffix.end]) || /[^\p{L}\p{N} .,\u00a0-]/u.test(written)) {
    return undefined;
  }
  // `at 12 30 45 a` is not one: in lower case with spaces, a label must precede it.
  const isSmall = !/[A-Z]/.test(text.slice(token.start, token.end));
  if (isSmall && /\s/.test(written) && !isAnnounced(tokens, first)) return undefined;
  return { start: token.start, end: suffix.end };
}

const ninoWords = new Set(["insurance", "ni", "nino"]);

function isAnnounced(tokens: readonly Token[], first: number): boolean {
  return tokens.slice(Math.max(0, first - 20), first).some(({ value }) => ninoWords.has(value));
}

const hexGroups =
  /(?<![\p{L}\p{N}_:.])(?:[0-9a-f]{0,4}:){2,7}(?:(?:\d{1,3}\.){3}\d{1,3}|[0-9a-f]{0,4})(?![\p{L}\p{N}_:])/giu;

/** IPv6 addresses (RFC 4291), without prefix length and port. */
export function findIpv6s({ text }: ReadText): Range[] {
  if (!text.includes("::") && !/:[0-9a-f]{1,4}:/i.test(text)) return [];
  return [...text.matchAll(hexGroups)].filter(([found]) => isIpv6(found) && /\d/.test(found))
    .map(rangeOf);
}

/**
 * Whether a text is an IPv6 address. It decides as `isIP` of node:net, whose import would cost every
 * function 23 ms at its start on Deno 2.9.
 */
export function isIpv6(written: string): boolean {
  const mapped = /(?:^|:)((?:\d{1,3}\.){3}\d{1,3})$/.exec(written)?.[1];
  if (mapped !== undefined && !isDotted(mapped)) return false;
  const whole = mapped === undefined ? written : `${written.slice(0, -mapped.length)}0:0`;
  const halves = whole.split("::");
  if (halves.length > 2) return false;
  const groups = halves.map((half) => half === "" ? [] : half.split(":"));
  const count = groups.reduce((sum, half) => sum + half.length, 0);
  const areGroups = groups.flat().every((group) => /^[0-9a-f]{1,4}$/i.test(group));
  return areGroups && (halves.length === 2 ? count <= 7 : count === 8);
}

const isDotted = (written: string) =>
  written.split(".").every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);

const vanity = [
  /(?<![A-Za-z\d+-])(?:\+?1[-. ])?\(?8(?:00|33|44|55|66|77|88)\)?[-. ](?=[A-Z\d-]{0,9}[A-Z]{3})[A-Z\d](?:-?[A-Z\d]){6,10}(?![A-Za-z\d-])/g,
  /(?<![A-Za-z\d+-])(?:\+?1[-. ])?\(?[2-9]\d\d[)-]? ?[-.]?\d{3}[-. ][A-Z]{4}(?![A-Za-z\d-])/g,
  /(?<![A-Za-z\d+-])0[38]\d\d[-. ][A-Z]{6,8}(?![A-Za-z\d-])/g,
];

/** Numbers spelled as a word, `1-800-FLOWERS`: as a whole, never in part. */
export function findVanityNumbers({ text }: ReadText): Range[] {
  if (!/\d[-. )]+(?:\d{3}[-. ])?[A-Z\d]/.test(text)) return [];
  return vanity.flatMap((pattern) => [...text.matchAll(pattern)].map(rangeOf));
}

const uuid =
  /(?<![\p{L}\p{N}])[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}(?![\p{L}\p{N}])/giu;
/** GS1 element strings on packages; the item number has 14 digits. */
const gs1 = /\(01\)\d{14}(?:\(\d\d\)[A-Z\d]{1,20}){0,4}/g;

/** Identifiers with a fixed form that are not personal: UUIDs, codes on packages. */
export function findHarmlessIdentifiers({ text }: ReadText): Range[] {
  return [...text.length >= 36 ? text.matchAll(uuid) : [], ...text.matchAll(gs1)].map(rangeOf);
}

function rangeOf(match: RegExpExecArray): Range {
  return { start: match.index, end: match.index + match[0].length };
}

function isWordCharacter(character: string | undefined): boolean {
  return character !== undefined && /[\p{L}\p{N}_]/u.test(character);
}
