/**
 * Processor time of processes, as Linux accounts for it.
 *
 * @module
 */

import { readdirSync, readFileSync } from "node:fs";

/** Milliseconds of one clock tick, which is the same on every Linux. */
const tickMs = 10;

/** Processor time of a process so far, in ms; with what its ended children took. */
export function processorMs(pid: number): number {
  const fields = statOf(pid);
  const ticks = [11, 12, 13, 14].map((index) => Number(fields[index] ?? 0));
  return ticks.reduce((sum, count) => sum + count, 0) * tickMs;
}

/** The same of a process and all that it started and that still runs. */
export function treeProcessorMs(pid: number): number {
  return childrenOf(pid).reduce((sum, child) => sum + treeProcessorMs(child), processorMs(pid));
}

function childrenOf(pid: number): number[] {
  return readdirSync("/proc").flatMap((name) =>
    /^\d+$/.test(name) && Number(statOf(Number(name))[1]) === pid ? [Number(name)] : []
  );
}

/** The fields after the name, from the state on; none for a process that has gone. */
function statOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ") ?? [];
  } catch {
    return [];
  }
}
