/**
 * Recording and reading metrics.
 *
 * @module
 */

import { z } from "zod";
import { entry } from "./entry.ts";

const counter = z.object({
  name: z.string(),
  labels: z.record(z.string(), z.string()),
  value: z.number(),
});
/** A counter, with its labels and its value. */
export type Counter = z.infer<typeof counter>;

/** Figures of current rows. */
export const gauges = z.object({
  holdsLive: z.number(),
  holdsLapsed: z.number(),
  passcodesWaiting: z.number(),
  cleanupLagSeconds: z.number(),
  overlaps: z.number(),
  indexRowsLost: z.number(),
  followUpsOpen: z.number(),
  followUpsKept: z.number(),
  followUpsLagSeconds: z.number(),
});

const metrics = z.object({
  /** Since the beginning. */
  totals: z.array(counter),
  /** In the last minutes. */
  recent: z.array(counter),
  gauges,
});
/** All metrics. */
export type Metrics = z.infer<typeof metrics>;

/** Adds counts. Sending the same batch again changes nothing. */
export const recordMetrics = entry("record_metrics", {
  args: (batchId: string, counts: readonly Counter[]) => ({ p_batch: batchId, p_counts: counts }),
  answer: z.object({ outcome: z.enum(["recorded", "repeated"]) }),
});

/** Reads all metrics. `recent` covers the last 1 to 1440 minutes. */
export const readMetrics = entry("read_metrics", {
  args: (minutes: number) => ({ p_minutes: minutes }),
  answer: metrics,
});
