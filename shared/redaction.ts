/**
 * Takes what is personal out of text and of JSON values.
 *
 * @module
 */

/** What a redacted span was. */
export type RedactionType =
  | "EMAIL"
  | "IBAN"
  | "NINO"
  | "IP"
  | "CARD"
  | "NHS"
  | "SSN"
  | "OTP"
  | "PHONE";

/** A redacted part of a text, in UTF-16 offsets into the input. */
export interface RedactionSpan {
  readonly start: number;
  readonly end: number;
  readonly type: RedactionType;
}

const patterns: readonly (readonly [RedactionType, RegExp])[] = [
  ["EMAIL", /[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}/g],
  ["PHONE", /\+[1-9]\d(?:[ ().-]{0,2}\d){6,12}(?!\d)/g],
  ["OTP", /(?<=\b(?:code|passcode|otp)\b\D{0,12})\d{6}(?!\d)/gi],
];

/** Replaces personal data by markers such as `[REDACTED: PHONE]`. */
export function redact(text: string): { text: string; spans: RedactionSpan[] } {
  const found = patterns.flatMap(([type, pattern]) =>
    [...text.matchAll(pattern)].map((match) => ({
      start: match.index,
      end: match.index + match[0].length,
      type,
    }))
  ).sort((a, b) => a.start - b.start);
  const spans: RedactionSpan[] = [];
  let redacted = "";
  let at = 0;
  for (const span of found) {
    if (span.start < at) continue;
    redacted += `${text.slice(at, span.start)}[REDACTED: ${span.type}]`;
    at = span.end;
    spans.push(span);
  }
  return { text: redacted + text.slice(at), spans };
}

const personalNames =
  /^(.*phone.*|caller(number)?|to|from|customer|patient(name)?|name|email|body|authorization|.*secret.*|.*token|password|passcode|mac|arguments)$/i;
const depthLimit = 8;

/** Redacts a JSON value: strings by pattern, and whole values by the name of their field. */
export function redactValue(value: unknown, depth = 0): unknown {
  if (typeof value === "string") return redact(value).text;
  if (typeof value === "bigint") return String(value);
  if (typeof value !== "object" || value === null) return value;
  if (depth >= depthLimit) return "[TOO DEEP]";
  if (Array.isArray(value)) return value.map((item) => redactValue(item, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [
      name,
      isPersonal(name, item) ? "[REDACTED]" : redactValue(item, depth + 1),
    ]),
  );
}

function isPersonal(name: string, value: unknown): boolean {
  if (value === null || value === undefined) return false;
  if (name === "code") return /^\d{6}$/.test(String(value));
  return personalNames.test(name) && typeof value !== "object";
}

/**
 * A phone number for people who need to tell callers apart: the last two digits only, `***56`.
 *
 * @param e164 The number, as E.164.
 */
export function maskPhone(e164: string): string {
  return `***${e164.slice(-2)}`;
}
