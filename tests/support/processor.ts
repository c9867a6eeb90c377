/**
 * Processor time of processes, as reported by Linux.
 *
 * @module
 */

import { readdirSync, readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type postgres from "postgres";

/** Milliseconds in a clock tick, the same on every Linux. */
const tickMs = 10;

/** A process's processor time so far in ms, including its children that have ended. */
export function processorMs(pid: number): number {
  const fields = statOf(pid);
  const ticks = [11, 12, 13, 14].map((index) => Number(fields[index] ?? 0));
  return ticks.reduce((sum, count) => sum + count, 0) * tickMs;
}

/** The same for a process and all its running descendants. */
export function treeProcessorMs(pid: number): number {
  return childrenOf(pid).reduce((sum, child) => sum + treeProcessorMs(child), processorMs(pid));
}

function childrenOf(pid: number): number[] {
  return readdirSync("/proc").flatMap((name) =>
    /^\d+$/.test(name) && Number(statOf(Number(name))[1]) === pid ? [Number(name)] : []
  );
}

/** The fields after the name, from the state on; none if the process has ended. */
function statOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ") ?? [];
  } catch {
    return [];
  }
}

/**
 * Milliseconds that the connection's server process has spent on a processor, which other load hardly
 * changes; the elapsed time if the system does not report that.
 */
export async function cpuMs(sql: postgres.Sql): Promise<number> {
  const [row] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
  const spent = await readFile(`/proc/${row?.pid}/schedstat`, "utf8").catch(() => undefined);
  return spent ? Number(spent.split(" ")[0]) / 1e6 : performance.now();
}
