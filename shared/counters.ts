/**
 * Sums over counters.
 *
 * @module
 */

import type { Counter } from "./database/metrics.ts";

/** The sum of the counters of a name that carry these labels. */
export function sum(
  counters: readonly Counter[],
  name: string,
  labels: Counter["labels"],
): number {
  return matching(counters, name, labels).reduce((total, { value }) => total + value, 0);
}

/** The counters of a name that carry these labels. */
export function matching(counters: readonly Counter[], name: string, labels: Counter["labels"]) {
  const wanted = Object.entries(labels);
  return counters.filter((counter) =>
    counter.name === name && wanted.every(([label, value]) => counter.labels[label] === value)
  );
}
