/**
 * Applies migrations and seeds as the Supabase CLI does: in order, once, one transaction a file.
 *
 * @module
 */

import { readdir, readFile } from "node:fs/promises";
import { basename } from "node:path";
import postgres from "postgres";

/** What `migrate` did. */
export interface MigrationReport {
  /** File names applied now, in order. */
  readonly applied: readonly string[];
  /** How many had been applied before. */
  readonly skipped: number;
}

/**
 * Applies the migrations that are not yet recorded in `supabase_migrations.schema_migrations`.
 *
 * @param url As the role postgres.
 * @param directory Folder of `14 digits_name.sql` files.
 * @throws {Error} Naming file, line and message of the first that fails; nothing of it stays.
 */
export async function migrate(url: string, directory: URL): Promise<MigrationReport> {
  const files = (await readdir(directory)).filter((name) => /^\d{14}_.+\.sql$/.test(name)).sort();
  if (files.length === 0) throw new Error(`Cannot migrate: no migrations in ${directory.pathname}`);
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    await sql.unsafe(`
      create schema if not exists supabase_migrations;
      create table if not exists supabase_migrations.schema_migrations (
        version text primary key, statements text[], name text);
    `);
    const rows = await sql<{ version: string }[]>`
      select version from supabase_migrations.schema_migrations`;
    const known = new Set(rows.map(({ version }) => version));
    const pending = files.filter((name) => !known.has(name.slice(0, 14)));
    for (const name of pending) {
      const text = await readFile(new URL(name, directory), "utf8");
      await apply(sql, name, text);
    }
    return { applied: pending, skipped: files.length - pending.length };
  } finally {
    await sql.end({ timeout: 5 });
  }
}

async function apply(sql: postgres.Sql, name: string, text: string): Promise<void> {
  await sql.begin(async (transaction) => {
    await transaction.unsafe(text);
    await transaction`
      insert into supabase_migrations.schema_migrations (version, statements, name)
      values (${name.slice(0, 14)}, ${[text]}, ${name.slice(15, -4)})`;
  }).catch((thrown) => {
    throw describeFailure(name, text, thrown);
  });
}

/** Runs a seed file in one transaction. */
export async function seed(url: string, file: URL): Promise<void> {
  const text = await readFile(file, "utf8");
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    await sql.begin(async (transaction) => await transaction.unsafe(text)).catch((thrown) => {
      throw describeFailure(basename(file.pathname), text, thrown);
    });
  } finally {
    await sql.end({ timeout: 5 });
  }
}

function describeFailure(name: string, text: string, thrown: unknown): Error {
  if (!(thrown instanceof postgres.PostgresError)) {
    return new Error(`Cannot apply ${name}`, { cause: thrown });
  }
  const line = text.slice(0, Number(thrown.position ?? 0)).split("\n").length;
  const hint = thrown.hint ? ` (${thrown.hint})` : "";
  return new Error(`Cannot apply ${name}, line ${line}: ${thrown.message}${hint}`, {
    cause: thrown,
  });
}
