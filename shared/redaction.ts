/**
 * Removes personal data from texts and JSON values, and keeps what is medical unchanged.
 *
 * Pure, and linear in the length of the text, even for text made to be slow.
 *
 * @module
 */

import { readPieces } from "./redaction/pieces.ts";
import { findEmails } from "./redaction/emails.ts";
import { readFigures } from "./redaction/figures.ts";
import {
  findHarmlessIdentifiers,
  findIbans,
  findIpv6s,
  findNinos,
  findVanityNumbers,
} from "./redaction/identifiers.ts";
import { findKnown, type KnownFacts, type KnownRange } from "./redaction/known.ts";
import { findNumbers } from "./redaction/numbers.ts";
import type { Range } from "./tokens.ts";
import { readText } from "./redaction/text.ts";
import { concealing, ValueRedactor, withoutCredentials } from "./redaction/values.ts";

/** What kind of data a redacted span was. */
export type RedactionType =
  | "EMAIL"
  | "IBAN"
  | "NINO"
  | "IP"
  | "CARD"
  | "NHS"
  | "SSN"
  | "OTP"
  | "PHONE"
  | KnownRange["type"];

/** A redacted part of a text, as UTF-16 offsets into the input. */
export interface RedactionSpan {
  readonly start: number;
  readonly end: number;
  readonly type: RedactionType;
}

/** What to redact; everything by default. */
export interface RedactionOptions {
  readonly types?: readonly RedactionType[];
}

/** A redaction can reveal the label of what follows it. After this many passes nothing changes. */
const passLimit = 4;

/**
 * Replaces personal data with markers such as `[REDACTED: PHONE]`.
 *
 * ```ts
 * import { redact } from "./redaction.ts";
 *
 * redact("Call 07700 900123 at 14:30").text; // "Call [REDACTED: PHONE] at 14:30"
 * ```
 *
 * @param text A sentence, a transcript with several turns, or JSON.
 * @returns The text with markers, and the spans they replaced, in order and without overlaps.
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

/**
 * Redacts what was said in a call, including what is known about the call: names and numbers of its
 * patients, six digits after it was texted a code, and birth dates and addresses that callers give.
 *
 * @param text A transcript with several turns, or a summary.
 */
export function redactCall(
  text: string,
  known: KnownFacts,
): { text: string; types: RedactionType[] } {
  const redacted = redact(text);
  const { read, pieces } = readNumbers(redacted.text);
  const longestFirst = findKnown(read, pieces, known).toSorted((a, b) => b.end - a.end);
  const spans = withoutOverlaps(longestFirst);
  const types = [...redacted.spans, ...spans].map(({ type }) => type);
  return { text: replaceSpans(redacted.text, spans), types };
}

export type { KnownFacts };

function findSpans(text: string): RedactionSpan[] {
  const { identifiers, read, pieces } = readNumbers(text);
  return withoutOverlaps([...identifiers, ...findNumbers(read, pieces)]);
}

/** A text, the identifiers in it, and the parts of numbers outside of identifiers. */
function readNumbers(text: string) {
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
  return { identifiers, read, pieces: readPieces(read, blocked) };
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

/** The span that begins first wins, else the one listed first: the sort is stable. */
function withoutOverlaps(spans: readonly RedactionSpan[]): RedactionSpan[] {
  const kept: RedactionSpan[] = [];
  for (const span of spans.toSorted((a, b) => a.start - b.start)) {
    if (span.start >= (kept.at(-1)?.end ?? 0)) kept.push(span);
  }
  return kept;
}

/** Converts offsets into the text with the markers of `spans` back to offsets into the input. */
function locate(span: RedactionSpan, spans: readonly RedactionSpan[]): RedactionSpan {
  let shift = 0;
  for (const before of spans) {
    const growth = markerOf(before.type).length - (before.end - before.start);
    if (before.end + shift + growth > span.start) break;
    shift += growth;
  }
  return { ...span, start: span.start - shift, end: span.end - shift };
}

function replaceSpans(text: string, spans: readonly RedactionSpan[], from = 0): string {
  let replaced = "";
  let at = from;
  for (const span of spans) {
    if (span.start < from) continue;
    replaced += text.slice(at, span.start) + markerOf(span.type);
    at = span.end;
  }
  return replaced + text.slice(at);
}

export { personalTexts } from "./redaction/values.ts";

const markerOf = (type: RedactionType) => `[REDACTED: ${type}]`;

/** What to redact of a value, and how much of it to keep. */
export interface ValueOptions {
  /** Approximate limit in characters; the rest becomes `[CUT]`. Unlimited by default. */
  readonly lengthLimit?: number;
  /** Replaces given texts wherever they occur, such as the name that a call was about. */
  readonly conceal?: (text: string) => string;
}

/**
 * Redacts a JSON value: strings by pattern, taking their field's name into account, and whole values by
 * the name alone (`phone`, `patientName`, `authorization`, a `code` of six digits).
 *
 * Never throws: cycles, errors, big integers, fields that cannot be read and depths beyond 8 become
 * text.
 */
export function redactValue(value: unknown, options: ValueOptions = {}): unknown {
  const conceal = options.conceal ?? nothingConcealed;
  const redactText = (text: string, from: number) =>
    conceal(redactPart(withoutCredentials(text), from));
  return new ValueRedactor(redactText, options.lengthLimit).redact(value);
}

export { concealing };
const nothingConcealed = concealing([]);

/** One word, or a field's name and one word. Most of a log line is this, so it is not searched. */
const words = /^(?:"[A-Za-z]{1,40}": ")?[A-Za-z_-]{1,64}$/;
/** A generated id, with its field's name, or the id of a trace. It cannot be a person's number. */
const madeUpId =
  /^"[A-Za-z]{1,40}": "(?:call_)?[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$|^"traceId": "[0-9a-f]{32}$/;
const knownWords = new Map<string, string>();
const knownWordsLimit = 1000;

/** The text from an offset, redacted with regard to what precedes it. */
function redactPart(text: string, from: number): string {
  if (!words.test(text)) {
    return madeUpId.test(text) ? text.slice(from) : replaceSpans(text, redact(text).spans, from);
  }
  const key = `${from} ${text}`;
  const known = knownWords.get(key);
  if (known !== undefined) return known;
  const redacted = replaceSpans(text, redact(text).spans, from);
  if (knownWords.size < knownWordsLimit) knownWords.set(key, redacted);
  return redacted;
}
