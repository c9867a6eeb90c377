/**
 * Precision, recall and destroyed cases of redaction over a corpus.
 *
 * @module
 */

import { redact, type RedactionSpan } from "../../shared/redaction.ts";
import type { RedactionCase } from "./redaction_corpus.ts";

/** The result for a corpus. Letters and digits count; punctuation at the edges does not. */
export interface Score {
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
  /** How many were found, and how many should have been found. */
  readonly found: number;
  readonly wanted: number;
  /** Cases in which something that had to stay was removed. */
  readonly destroyed: number;
  /** The failed cases, in readable form. */
  readonly wrong: readonly string[];
}

/** A case, and what redaction made of it. */
export interface RedactedCase extends RedactionCase {
  readonly redacted: string;
  readonly spans: readonly RedactionSpan[];
}

/** Redacts every case, once for all scores. */
export function redactAll(cases: readonly RedactionCase[]): RedactedCase[] {
  return cases.map((each) => {
    const { text: redacted, spans } = redact(each.text);
    return { ...each, redacted, spans };
  });
}

/** Scores cases; with `type`, only matches of that type. */
export function score(cases: readonly RedactedCase[], type?: string): Score {
  let [hits, found, wanted, destroyed] = [0, 0, 0, 0];
  const wrong: string[] = [];
  for (const { text, secrets, redacted, spans } of cases) {
    const inType = (span: { type: string }) => type === undefined || span.type === type;
    const name = (span: { type: string; start: number; end: number }) =>
      `${span.type}:${content(text, span.start, span.end).join(",")}`;
    const expected = new Set(secrets.filter(inType).map(name));
    const actual = new Set(spans.filter(inType).map(name));
    hits += [...actual].filter((each) => expected.has(each)).length;
    found += actual.size;
    wanted += expected.size;
    const kept = (at: number) => !secrets.some((secret) => at >= secret.start && at < secret.end);
    const isDestroyed = spans.some((span) => content(text, span.start, span.end).some(kept));
    if (isDestroyed) destroyed++;
    if (
      isDestroyed || expected.size !== actual.size ||
      [...actual].some((each) => !expected.has(each))
    ) {
      wrong.push(`${JSON.stringify(text)}\n    gave ${JSON.stringify(redacted)}`);
    }
  }
  const precision = found === 0 ? 1 : hits / found;
  const recall = wanted === 0 ? 1 : hits / wanted;
  return {
    precision,
    recall,
    f1: 2 * precision * recall / (precision + recall || 1),
    found,
    wanted,
    destroyed,
    wrong,
  };
}

/** The offsets of the letters and digits in a range. */
function content(text: string, start: number, end: number): number[] {
  const offsets: number[] = [];
  for (let at = start; at < end; at++) if (/[\p{L}\p{N}]/u.test(text[at] ?? "")) offsets.push(at);
  return offsets;
}
