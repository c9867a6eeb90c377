/**
 * The steps of a fault campaign, and how they are drawn.
 *
 * @module
 */

import fc from "fast-check";
import type { FaultKind } from "../../supabase/local/twilio/server.ts";

/** Where a function's process dies, or which part of its work comes late. */
export type Mishap =
  /** The code is stored; no text is sent. */
  | "dies_after_begin"
  /** The text was sent to Twilio; its answer is not recorded. */
  | "dies_after_text"
  /** What has to be recorded after the text is written in a later step. */
  | "writes_late"
  /** The work is done; the answer never arrives. */
  | "loses_answer";

/** One of two processes of a function, with different clocks and orders of peppers. */
export type IsolateName = "early" | "late";

/** Something that happens to a call. */
export type Step =
  | {
    readonly kind: "hold";
    readonly isolate: IsolateName;
    readonly other: boolean;
    /** What the model fills in for values that it was not told. */
    readonly filler?: string | undefined;
  }
  | {
    readonly kind: "send";
    readonly isolate: IsolateName;
    /** Concurrent requests with one tool call id. */
    readonly copies: number;
    /** Whether to deliver the earlier request again. */
    readonly again: boolean;
    readonly mishap?: Mishap | undefined;
    readonly fault?: FaultKind | undefined;
  }
  | {
    readonly kind: "verify";
    readonly isolate: IsolateName;
    readonly copies: number;
    readonly again: boolean;
    readonly code: "newest" | "older" | "wrong" | "malformed";
    readonly mishap?: "loses_answer" | undefined;
  }
  /** Several different wrong codes at once. */
  | { readonly kind: "guess"; readonly count: number }
  /** The same by other calls, which have nothing to do with the hold. */
  | { readonly kind: "meddle"; readonly count: number }
  /** A hold for another patient of the same call. */
  | { readonly kind: "sibling" }
  /** The line drops, and the same patient calls again. */
  | { readonly kind: "redial" }
  | { readonly kind: "pass"; readonly seconds: number }
  | { readonly kind: "clean_up" }
  /** Other callers at once, for overlapping starts of the doctor. */
  | { readonly kind: "rush"; readonly callers: number }
  /** Late writes are made now. */
  | { readonly kind: "write_late" }
  | { readonly kind: "correct_phone" }
  | {
    readonly kind: "change";
    readonly to: "cancel" | "reschedule";
    readonly filler?: string | undefined;
  }
  | { readonly kind: "together"; readonly steps: readonly Step[] };

/** Every way in which Twilio's answer can fail, once each. */
const faults: readonly FaultKind[] = [
  ...[21211, 21610, 21408, 30450, 20003, 63038, 21606, 20500, 20429, 54321],
  ...["http_400", "http_403", "http_500", "http_503", "rate_limited", "timeout"] as const,
  ...["lost_answer", "slow", "drip", "flood", "reset_before", "reset_after", "half_body"] as const,
  ...["cut_body", "empty", "html", "wrong_json", "no_sid", "failed", "redirect"] as const,
];

const isolate = fc.constantFrom<IsolateName>("early", "late");
const copies = fc.oneof({ weight: 4, arbitrary: fc.constant(1) }, {
  weight: 1,
  arbitrary: fc.integer({ min: 2, max: 4 }),
});
const seldom = fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, {
  weight: 1,
  arbitrary: fc.constant(true),
});
const mostly = <T>(arbitrary: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 2, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary });

/** How language models fill in values that they were not told. */
const filler = mostly(
  fc.constantFrom("null", "None", "N/A", "undefined", "not provided", "-", "{{appointment.id}}"),
);

const send: fc.Arbitrary<Step & { kind: "send" }> = fc.record({
  kind: fc.constant("send" as const),
  ...{ isolate, copies, again: seldom },
  mishap: mostly(
    fc.constantFrom<Mishap>("dies_after_begin", "dies_after_text", "writes_late", "loses_answer"),
  ),
  fault: mostly(fc.constantFrom(...faults)),
});
const verify: fc.Arbitrary<Step & { kind: "verify" }> = fc.record({
  kind: fc.constant("verify" as const),
  ...{ isolate, copies, again: seldom },
  code: fc.constantFrom("newest", "newest", "older", "wrong", "wrong", "malformed"),
  mishap: mostly(fc.constant("loses_answer" as const)),
});
const pass: fc.Arbitrary<Step & { kind: "pass" }> = fc.record({
  kind: fc.constant("pass" as const),
  seconds: fc.constantFrom(5, 31, 31, 31, 301, 601),
});
const guess: fc.Arbitrary<Step> = fc.record({
  kind: fc.constant("guess" as const),
  count: fc.constantFrom(1, 3, 8),
});
const meddle: fc.Arbitrary<Step> = fc.record({
  kind: fc.constant("meddle" as const),
  count: fc.constantFrom(1, 3, 8),
});
const cleanUp: fc.Arbitrary<Step> = fc.constant({ kind: "clean_up" });
const rush: fc.Arbitrary<Step> = fc.record({
  kind: fc.constant("rush" as const),
  callers: fc.integer({ min: 2, max: 4 }),
});
const writeLate: fc.Arbitrary<Step> = fc.constant({ kind: "write_late" });
const together: fc.Arbitrary<Step> = fc.record({
  kind: fc.constant("together" as const),
  steps: fc.array(fc.oneof(send, verify, guess, meddle, cleanUp, writeLate), {
    minLength: 2,
    maxLength: 3,
  }),
});

const hold: fc.Arbitrary<Step> = fc.record({
  kind: fc.constant("hold" as const),
  isolate,
  other: fc.boolean(),
  filler,
});
const change: fc.Arbitrary<Step> = fc.record({
  kind: fc.constant("change" as const),
  to: fc.constantFrom("cancel" as const, "reschedule" as const),
  filler,
});

const step = fc.oneof(
  { weight: 6, arbitrary: send },
  { weight: 6, arbitrary: verify },
  { weight: 4, arbitrary: pass },
  { weight: 2, arbitrary: together },
  { weight: 2, arbitrary: writeLate },
  { weight: 1, arbitrary: guess },
  { weight: 1, arbitrary: meddle },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: "sibling" }) },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: "redial" }) },
  { weight: 1, arbitrary: cleanUp },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: "correct_phone" }) },
  { weight: 1, arbitrary: hold },
  { weight: 1, arbitrary: change },
  { weight: 1, arbitrary: rush },
);

/** Failures of several steps, which would rarely be drawn step by step. */
const stories: fc.Arbitrary<readonly Step[]> = fc.oneof(
  // A failure that is reported after the next text was sent.
  fc.tuple(send, pass, send, writeLate, verify).map(([failing, waiting, next, late, check]) => [
    { ...failing, fault: failing.fault ?? "http_503", mishap: "writes_late" as const },
    { ...waiting, seconds: 31 },
    next,
    late,
    check,
  ]),
  // A code that is read out too late, or after its number was corrected.
  fc.tuple(send, pass, verify).map(([first, waiting, check]) => [
    { ...first, fault: undefined },
    { ...waiting, seconds: 301 },
    { ...check, code: "newest" as const },
  ]),
  fc.tuple(send, verify).map((
    [first, check],
  ) => [first, { kind: "correct_phone" as const }, check]),
  // A mother and her children, one code; then a change without a new one.
  fc.tuple(send, verify, change).map(([first, check, next]) => [
    { kind: "sibling" as const },
    { ...first, fault: undefined, mishap: undefined },
    { kind: "sibling" as const },
    { ...check, code: "newest" as const, again: false },
    next,
  ]),
  // A dropped line while the code is on its way.
  fc.tuple(send, verify).map(([first, check]) => [
    first,
    { kind: "redial" as const },
    { ...check, code: "newest" as const },
  ]),
);

/** Draws sequences; the same seed draws the same ones. */
export function drawSequences(seed: number, runs: number): Step[][] {
  const part = fc.oneof(
    { weight: 5, arbitrary: step.map((single) => [single]) },
    { weight: 1, arbitrary: stories },
  );
  const sequence = fc.array(part, { minLength: 3, maxLength: 12 }).map((parts) => parts.flat());
  return fc.sample(sequence, { seed, numRuns: runs });
}
