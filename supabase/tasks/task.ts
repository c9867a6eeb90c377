/**
 * What operators' tasks share: how a run ends, settings from a file, the database.
 *
 * @module
 */

import { readFile } from "node:fs/promises";
import { parseEnv } from "node:util";
import postgres from "postgres";
import { Fault } from "../../shared/errors.ts";
import { Interrupted } from "./terminal.ts";

/** What a run ends with: done, not as it should be, wrong arguments or input, unreachable. */
export type ExitCode = 0 | 1 | 2 | 3;

/** Ends the run with one sentence. */
export class Stop extends Error {
  constructor(readonly code: ExitCode, message: string) {
    super(message);
  }
}

/** What an operator is told of anything thrown, and the exit code. */
export function describeFailure(thrown: unknown): { code: ExitCode; message: string } {
  if (thrown instanceof Stop) return thrown;
  if (thrown instanceof Interrupted) return { code: 2, message: "Nothing was changed" };
  if (thrown instanceof Fault && thrown.code === "config_invalid") {
    return { code: 2, message: `Cannot start: ${thrown.message}` };
  }
  if (thrown instanceof postgres.PostgresError) {
    return { code: 3, message: `The database answered ${thrown.code}: ${thrown.message}` };
  }
  if (thrown instanceof Error && "code" in thrown) {
    return { code: 3, message: `The database could not be reached (${thrown.code})` };
  }
  return { code: 1, message: `Cannot go on: ${thrown instanceof Error ? thrown.message : thrown}` };
}

/**
 * Variables of a file, without the blank ones.
 *
 * @param file `.env` when left out, and then it need not be there.
 * @throws {Stop} When a named file cannot be read.
 */
export async function readEnvFile(file: string | undefined): Promise<Record<string, string>> {
  try {
    const parsed = parseEnv(await readFile(file ?? ".env", "utf8"));
    return Object.fromEntries(
      Object.entries(parsed).flatMap(([name, value]) => value ? [[name, value]] : []),
    );
  } catch {
    if (file === undefined) return {};
    throw new Stop(2, `Cannot read ${file}`);
  }
}

/**
 * Works on the database as its owner.
 *
 * @param url Refused when missing or no address of a PostgreSQL.
 */
export async function withDatabase<T>(
  url: string | undefined,
  work: (sql: postgres.Sql) => Promise<T>,
): Promise<T> {
  if (!url) throw new Stop(2, "Which database? Set SUPABASE_DB_URL or give --db URL");
  if (!/^postgres(ql)?:\/\//.test(url)) {
    throw new Stop(2, "The database's URL must begin with postgres://");
  }
  const sql = postgres(url, { max: 1, connect_timeout: 10, onnotice: () => {} });
  try {
    return await work(sql);
  } finally {
    await sql.end({ timeout: 5 });
  }
}
