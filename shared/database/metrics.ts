/**
 * Metrics: counts in batches, and all of them read.
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
/** How often something was counted. */
export type Counter = z.infer<typeof counter>;

const metrics = z.object({
  /** Since the beginning. */
  totals: z.array(counter),
  /** In the last minutes. */
  recent: z.array(counter),
  /** Rows as they are. */
  gauges: z.object({
    holdsLive: z.number(),
    holdsLapsed: z.number(),
    passcodesWaiting: z.number(),
    cleanupLagSeconds: z.number(),
    overlaps: z.number(),
    indexRowsLost: z.number(),
  }),
});
/** All metrics. */
export type Metrics = z.infer<typeof metrics>;

/** Adds counts; the same batch again changes nothing. */
export const recordMetrics = entry("record_metrics", {
  args: (batchId: string, counts: readonly Counter[]) => ({ p_batch: batchId, p_counts: counts }),
  answer: z.object({ outcome: z.enum(["recorded", "repeated"]) }),
});

/** All metrics; `recent` reaches 1 to 1440 minutes back. */
export const readMetrics = entry("read_metrics", {
  args: (minutes: number) => ({ p_minutes: minutes }),
  answer: metrics,
});
