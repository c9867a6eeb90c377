/**
 * Settings and database connection of an operator's task.
 *
 * @module
 */

import { readFile } from "node:fs/promises";
import { parseEnv } from "node:util";
import postgres from "postgres";
import { Fault } from "../../shared/errors.ts";
import { Stop } from "./task.ts";

/**
 * Reads the variables of a file, without blank ones.
 *
 * @param file `.env` by default, which need not exist.
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
 * The settings of a task. `--db` is SUPABASE_DB_URL. The file of `--env` overrides the environment, and
 * the environment overrides `.env`.
 *
 * @throws {Stop} When the file cannot be read.
 */
export async function loadSettings(
  { env: file, db }: { readonly env?: string | undefined; readonly db?: string | undefined },
  env: Readonly<Record<string, string>>,
): Promise<Record<string, string>> {
  const found = await readEnvFile(file);
  return {
    ...(file === undefined ? { ...found, ...env } : { ...env, ...found }),
    ...(db === undefined ? {} : { SUPABASE_DB_URL: db }),
  };
}

/**
 * Runs work on the database as its owner.
 *
 * @param url Refused when it is missing or not the address of a PostgreSQL.
 * @throws {Stop} Also when the database cannot be reached or refuses a statement.
 */
export async function withDatabase<T>(
  url: string | undefined,
  work: (sql: postgres.Sql) => Promise<T>,
): Promise<T> {
  if (!url) throw new Stop(2, "Which database? Set SUPABASE_DB_URL or give --db URL");
  if (!/^postgres(ql)?:\/\//.test(url)) {
    throw new Stop(2, "The database's URL must begin with postgres://");
  }
  const sql = openDatabase(url);
  try {
    return await work(sql);
  } catch (thrown) {
    throw describe(thrown);
  } finally {
    await sql.end({ timeout: 5 });
  }
}

function openDatabase(url: string): postgres.Sql {
  try {
    return postgres(url, { max: 1, connect_timeout: 10, onnotice: () => {} });
  } catch {
    throw sayUnreadable();
  }
}

/** What a task says of an invalid database URL. A parser's error would quote its password. */
export function sayUnreadable(): Stop {
  return new Stop(
    2,
    "The database's URL cannot be read: postgres://USER:PASSWORD@HOST:PORT/DATABASE is needed, with " +
      "special characters of the password percent-encoded, such as %23 for #",
  );
}

function describe(thrown: unknown): unknown {
  if (thrown instanceof postgres.PostgresError) {
    return new Stop(3, `The database answered ${thrown.code}: ${thrown.message}`);
  }
  // The driver and the system identify a broken connection by a code.
  if (thrown instanceof Stop || thrown instanceof Fault) return thrown;
  if (!(thrown instanceof Error && "code" in thrown)) return thrown;
  // Work on the database can also write files: a full disk is not the database's fault.
  return "path" in thrown
    ? new Stop(1, `Cannot read or write ${thrown.path} (${thrown.code})`)
    : new Stop(3, `The database could not be reached (${thrown.code})`);
}

/** A clinic, as tasks name it. */
export interface Clinic {
  readonly id: string;
  readonly slug: string;
  readonly name: string;
}

/** The clinic with a slug or id; undefined if there is none. */
export async function seekClinic(sql: postgres.Sql, org: string): Promise<Clinic | undefined> {
  const [found] = await sql<Clinic[]>`
    select id, slug, name from public.organizations
    where slug = ${org} or id::text = lower(${org})`;
  return found;
}

/**
 * Finds a clinic by its slug or id.
 *
 * @throws {Stop} When there is none.
 */
export async function findClinic(sql: postgres.Sql, org: string): Promise<Clinic> {
  const found = await seekClinic(sql, org);
  if (!found) throw new Stop(1, `There is no clinic ${org}`);
  return found;
}

/** What a task says if its clinic was removed while it ran. */
export function sayRemoved({ name }: Clinic): Stop {
  return new Stop(1, `${name} was removed in the meantime`);
}

/** What a task says if it did not get the clinic's lock in time. */
export function sayBusy(): Stop {
  return new Stop(1, "Somebody else is changing the clinic; nothing was done. Run it again");
}
