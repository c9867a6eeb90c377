/**
 * Takes what is personal out of text and of JSON values; what is medical stays letter for letter.
 *
 * Pure and linear in the length of the text, also for text somebody made to be slow.
 *
 * @module
 */

import { readPieces } from "./redaction/digits.ts";
import { findEmails } from "./redaction/emails.ts";
import { readFigures } from "./redaction/figures.ts";
import {
  findHarmlessIdentifiers,
  findIbans,
  findIpv6s,
  findNinos,
  findVanityNumbers,
} from "./redaction/identifiers.ts";
import { findNumbers } from "./redaction/numbers.ts";
import { type Range, readText } from "./redaction/text.ts";

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

/** What to redact; everything by default. */
export interface RedactionOptions {
  readonly types?: readonly RedactionType[];
}

/** A redaction can uncover the label of what follows; after this many passes nothing changes. */
const passLimit = 4;

/**
 * Replaces personal data by markers such as `[REDACTED: PHONE]`.
 *
 * ```ts
 * import { redact } from "./redaction.ts";
 *
 * redact("Call 07700 900123 at 14:30").text; // "Call [REDACTED: PHONE] at 14:30"
 * ```
 *
 * @param text A sentence, a transcript with several turns, or JSON.
 * @returns The text with markers, and what they replaced, in order and not overlapping.
 */
export function redact(
  text: string,
  options: RedactionOptions = {},
): { text: string; spans: RedactionSpan[] } {
  let spans: RedactionSpan[] = [];
  let redacted = text;
  for (let pass = 0; pass < passLimit; pass++) {
    const found = findSpans(redacted).filter(({ type }) => options.types?.includes(type) ?? true);
    if (found.length === 0) break;
    spans = [...spans, ...found.map((span) => locate(span, spans))].sort((a, b) =>
      a.start - b.start
    );
    redacted = replaceSpans(text, spans);
  }
  return { text: redacted, spans };
}

function findSpans(text: string): RedactionSpan[] {
  const read = readText(text);
  const figures = readFigures(read);
  const identifiers = [
    ...typed("EMAIL", findEmails(read)),
    ...typed("IBAN", findIbans(read)),
    ...typed("NINO", findNinos(read)),
    ...typed("IP", figures.ips),
    ...typed("IP", findIpv6s(read)),
    ...typed("PHONE", findVanityNumbers(read)),
  ];
  const harmless = [...figures.harmless, ...findHarmlessIdentifiers(read)];
  const blocked = mergeRanges([...identifiers, ...harmless]);
  return withoutOverlaps([...identifiers, ...findNumbers(read, readPieces(read, blocked))]);
}

function typed(type: RedactionType, ranges: readonly Range[]): RedactionSpan[] {
  return ranges.map((range) => ({ ...range, type }));
}

function mergeRanges(ranges: readonly Range[]): Range[] {
  const merged: Range[] = [];
  for (const { start, end } of ranges.toSorted((a, b) => a.start - b.start)) {
    const last = merged.at(-1);
    if (last === undefined || start >= last.end) merged.push({ start, end });
    else merged[merged.length - 1] = { start: last.start, end: Math.max(last.end, end) };
  }
  return merged;
}

/** The kind that was looked for first wins; the sort is stable. */
function withoutOverlaps(spans: readonly RedactionSpan[]): RedactionSpan[] {
  const kept: RedactionSpan[] = [];
  for (const span of spans.toSorted((a, b) => a.start - b.start)) {
    if (span.start >= (kept.at(-1)?.end ?? 0)) kept.push(span);
  }
  return kept;
}

/** From offsets into the text with the markers of `spans` back to offsets into the input. */
function locate(span: RedactionSpan, spans: readonly RedactionSpan[]): RedactionSpan {
  let shift = 0;
  for (const before of spans) {
    const growth = markerOf(before.type).length - (before.end - before.start);
    if (before.end + shift + growth > span.start) break;
    shift += growth;
  }
  return { ...span, start: span.start - shift, end: span.end - shift };
}

function replaceSpans(text: string, spans: readonly RedactionSpan[]): string {
  let replaced = "";
  let at = 0;
  for (const span of spans) {
    replaced += text.slice(at, span.start) + markerOf(span.type);
    at = span.end;
  }
  return replaced + text.slice(at);
}

const markerOf = (type: RedactionType) => `[REDACTED: ${type}]`;

const personalNames =
  /^(?:.*phone.*|.*mobile.*|.*caller.*|to|from|customer|patient|contact|.*patient_?name|(?:first|last|full|given|family|sur)_?name|name|.*e_?mail.*|body|address|authorization|cookie|set_?cookie|.*secret.*|.*token|.*password|.*passcode|otp|pin|mac|.*api_?key|signature|x_twilio_signature|arguments|transcript|summary|nhs_?number|ssn|iban|ip|ip_?address|date_?of_?birth|dob)$/;
/** Fields that end like a personal one and are not. */
const harmlessNames = /(?:count|ms|id|ids|outcome|attempts|left|type|status|verified)$/;
const depthLimit = 8;

/**
 * Redacts a JSON value: strings by pattern, and whole values by the name of their field (`phone`,
 * `patientName`, `authorization`, a `code` of six digits).
 *
 * Never throws: cycles, errors, big integers, values that cannot be read and depths beyond 8 become
 * text.
 */
export function redactValue(value: unknown, options: RedactionOptions = {}): unknown {
  return redactWithin(value, options, []);
}

function redactWithin(
  value: unknown,
  options: RedactionOptions,
  parents: readonly object[],
): unknown {
  switch (typeof value) {
    case "string":
      return redact(value, options).text;
    case "number":
      return redactNumber(value, options);
    case "bigint":
      return redact(String(value), options).text;
    case "function":
    case "symbol":
      return `[${typeof value}]`;
    case "object":
      break;
    default:
      return value;
  }
  if (value === null) return value;
  if (parents.includes(value)) return "[CIRCULAR]";
  if (parents.length >= depthLimit) return "[TOO DEEP]";
  const within = [...parents, value];
  try {
    if (Array.isArray(value)) return value.map((item) => redactWithin(item, options, within));
    if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
    return redactFields(value, options, within);
  } catch {
    // A getter or a proxy that throws must not cost the log line.
    return "[UNREADABLE]";
  }
}

function redactFields(
  value: object,
  options: RedactionOptions,
  within: readonly object[],
): unknown {
  const fields = Object.entries(value instanceof Error ? errorFields(value) : value);
  return Object.fromEntries(
    fields.map(([name, item]) => [
      redact(name, options).text,
      isPersonal(name, item) ? "[REDACTED]" : redactWithin(item, options, within),
    ]),
  );
}

function errorFields(error: Error): object {
  const { name: type, message, stack, cause } = error;
  return { ...error, type, message, stack, ...(cause === undefined ? {} : { cause }) };
}

/** A number stays a number unless its digits alone give it away, as those of a card do. */
function redactNumber(value: number, options: RedactionOptions): unknown {
  if (!Number.isInteger(value) || Math.abs(value) < 1e12) return value;
  const { text, spans } = redact(String(value), options);
  return spans.length === 0 ? value : text;
}

function isPersonal(field: string, value: unknown): boolean {
  if (value === null || value === undefined || typeof value === "boolean") return false;
  const name = field.replace(/([a-z\d])([A-Z])/g, "$1_$2").replace(/[-. ]/g, "_").toLowerCase();
  // Six digits are a passcode; `database_timeout` and Twilio's 21211 are what went wrong.
  if (name === "code") return /^\s*(?:\d[\s-]?){6}$/.test(String(value));
  if (harmlessNames.test(name)) return false;
  if (!personalNames.test(name)) return false;
  return typeof value !== "object" || wholeNames.test(name);
}

/** Fields that go whole also when they hold an object or a list. */
const wholeNames =
  /^(?:arguments|authorization|.*secret.*|.*token|.*password|.*passcode|.*phone.*|.*patient_?name|cookie|transcript)$/;

/**
 * A phone number for people who need to tell callers apart: the last two digits only, `***56`.
 *
 * @param e164 The number, as E.164.
 */
export function maskPhone(e164: string): string {
  return `***${e164.slice(-2)}`;
}
