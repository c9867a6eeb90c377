/**
 * Runs a pgTAP file in a transaction that is rolled back, and reads its output.
 *
 * @module
 */

import postgres from "postgres";
import { readPgtap } from "../../supabase/local/postgres_binaries.ts";
import type { TestDatabase } from "./database.ts";

/** One line of TAP, with pgTAP's comment on its failure. */
export interface TapResult {
  readonly name: string;
  readonly passed: boolean;
  /** The comment lines that follow, joined; empty if there are none. */
  readonly comment: string;
}

/** Makes pgTAP callable: as an extension, or from its script if PostgreSQL's own folder lacks it. */
export async function installPgtap(database: TestDatabase): Promise<void> {
  const [available] = await database.admin`
    select from pg_available_extensions where name = 'pgtap'`;
  await database.admin.unsafe(
    available
      ? "create extension pgtap with schema extensions"
      : `set search_path = extensions; ${readPgtap("pgtap.sql")}; reset search_path`,
  );
}

/**
 * Runs a file as the role postgres, with public and extensions in the search path.
 *
 * @returns One result per test; a wrong or missing plan counts as a failed test.
 * @throws {Error} If a statement fails; the message has the line.
 */
export async function runPgtap(database: TestDatabase, text: string): Promise<TapResult[]> {
  const connection = await database.sql.reserve();
  try {
    await connection.unsafe("begin; set local search_path = public, extensions");
    const results: unknown = await connection.unsafe(text).simple();
    return readTap(cellsOf(results).join("\n"));
  } catch (thrown) {
    if (!(thrown instanceof postgres.PostgresError)) throw thrown;
    const line = text.slice(0, Number(thrown.position)).split("\n").length;
    const place = thrown.position ? `line ${line}` : thrown.where;
    throw new Error(`${thrown.message} (${place})`, { cause: thrown });
  } finally {
    await connection.unsafe("rollback");
    connection.release();
  }
}

/** Every value of the results of several statements, in order. */
function cellsOf(value: unknown): string[] {
  if (typeof value === "string") return [value];
  if (Array.isArray(value)) return value.flatMap(cellsOf);
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(cellsOf) : [];
}

/** Parses TAP version 13 as pgTAP writes it. */
export function readTap(tap: string): TapResult[] {
  const results: { name: string; passed: boolean; comment: string }[] = [];
  let planned: number | undefined;
  for (const line of tap.split("\n")) {
    const test = line.match(/^(not )?ok \d+(?: - (.*))?$/);
    if (test) results.push({ name: test[2] ?? "", passed: !test[1], comment: "" });
    else if (/^1\.\.\d+$/.test(line)) planned = Number(line.slice(3));
    else if (line.startsWith("#")) {
      const last = results.at(-1);
      if (last) last.comment += `${line}\n`;
    }
  }
  const count = results.length;
  if (planned !== count) {
    const plan = planned === undefined ? "no plan" : `a plan of ${planned}`;
    results.push({ name: "plan", passed: false, comment: `${plan}, ${count} tests ran` });
  }
  return results;
}
