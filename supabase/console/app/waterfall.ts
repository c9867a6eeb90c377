/**
 * Where the milliseconds of a tool call went.
 *
 * @module
 */

import type { PlayedUse } from "../phone_calls.ts";

/** What took the time. */
export type Kind = "parse" | "database" | "twilio" | "own" | "answer";

/** One bar: from when to when, as parts of the whole from 0 to 1. */
export interface Bar {
  readonly kind: Kind;
  readonly label: string;
  readonly from: number;
  readonly to: number;
  readonly ms: number;
}

/** The bars of a tool call in order. If the function noted nothing, there is only the wait. */
export function barsOf({ exchange, work }: Pick<PlayedUse, "exchange" | "work">): Bar[] {
  const { startedAt, endedAt } = exchange;
  const whole = Math.max(endedAt - startedAt, 0.01);
  const bar = (kind: Kind, label: string, from: number, to: number): Bar => ({
    ...{ kind, label },
    from: Math.min(1, Math.max(0, (from - startedAt) / whole)),
    to: Math.min(1, Math.max(0, (to - startedAt) / whole)),
    ms: Math.max(0, to - from),
  });
  if (!work) return [bar("answer", "answer", startedAt, endedAt)];
  const { root, parts } = work;
  const bars = [bar("parse", "sent, signature checked, parsed", startedAt, root.startedAt)];
  let at = root.startedAt;
  for (const part of parts.toSorted((one, other) => one.startedAt - other.startedAt)) {
    if (part.startedAt > at) bars.push(bar("own", "", at, part.startedAt));
    const isText = part.name === "text";
    const failed = part.failure === undefined ? "" : `: ${part.failure}`;
    const label = isText ? "the text" : part.name.replace(/^database /, "");
    bars.push(
      bar(isText ? "twilio" : "database", label + failed, part.startedAt, part.endedAt),
    );
    at = Math.max(at, part.endedAt);
  }
  if (root.endedAt > at) bars.push(bar("own", "", at, root.endedAt));
  bars.push(bar("answer", "answer written and sent", root.endedAt, endedAt));
  return bars;
}

/** `0.4 ms`, `12 ms`. */
export const sayMs = (ms: number): string => `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
