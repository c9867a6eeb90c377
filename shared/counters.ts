/**
 * Counters, selected by name and labels and added up.
 *
 * @module
 */

import type { Counter } from "./database/metrics.ts";

/** How often something was counted, under its labels. */
export type Count = Pick<Counter, "labels" | "value">;

/** A selection of counters. */
export class Counters {
  readonly #counters: readonly Counter[];

  /** @param counters As the database returns them. */
  constructor(counters: readonly Counter[]) {
    this.#counters = counters;
  }

  /** Those with a name and these labels. */
  named(name: string, labels: Counter["labels"] = {}): Counters {
    return new Counters(this.#counters.filter((counter) => counter.name === name)).where(labels);
  }

  /** Those with these labels. */
  where(labels: Counter["labels"]): Counters {
    const wanted = Object.entries(labels);
    return new Counters(
      this.#counters.filter((counter) =>
        wanted.every(([label, value]) => counter.labels[label] === value)
      ),
    );
  }

  /** The sum of all of them. */
  sum(): number {
    return this.#counters.reduce((total, { value }) => total + value, 0);
  }

  /** Each of them, with all its labels. */
  each(): Count[] {
    return this.#counters.map(({ labels, value }) => ({ labels, value }));
  }

  /** Sums grouped by these labels; other labels are dropped. */
  by(...kept: string[]): Count[] {
    return this.#groups(kept).map(([labels, group]) => ({ labels, value: group.sum() }));
  }

  /** Grouped by tool, not yet added up. */
  byTool(): [tool: string, counters: Counters][] {
    return this.#groups(["tool"]).map(([{ tool = "" }, group]) => [tool, group]);
  }

  #groups(kept: readonly string[]): [labels: Record<string, string>, counters: Counters][] {
    const groups = Map.groupBy(
      this.#counters,
      ({ labels }) => JSON.stringify(kept.map((label) => labels[label] ?? "")),
    );
    return [...groups.values()].map((group) => [
      Object.fromEntries(kept.map((label) => [label, group[0]?.labels[label] ?? ""])),
      new Counters(group),
    ]);
  }
}
