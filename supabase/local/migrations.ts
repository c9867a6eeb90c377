/**
 * Applies migrations and seeds as the Supabase CLI does: in order, once, and each file in one
 * transaction.
 *
 * @module
 */

import { readdir, readFile } from "node:fs/promises";
import { basename } from "node:path";
import postgres from "postgres";
import { sha256 } from "../../shared/bytes.ts";
import { withConnection } from "./connection.ts";

/** What `migrate` did. */
export interface MigrationReport {
  /** File names applied now, in order. */
  readonly applied: readonly string[];
  /** How many were already applied. */
  readonly skipped: number;
}

/**
 * Applies the migrations that are not yet recorded in `supabase_migrations.schema_migrations`.
 *
 * @param url As the role postgres.
 * @param directory Folder of `14 digits_name.sql` files.
 * @throws {Error} With file, line and message of the first migration that fails; it is rolled back. A
 *   file that has changed since it was applied also fails, because the schema would differ from it,
 *   unless the file names the SHA-256 of the text that was applied: `-- Same result as sha256 ...`.
 */
export async function migrate(url: string, directory: URL): Promise<MigrationReport> {
  const files = (await readdir(directory)).filter((name) => name.endsWith(".sql")).sort();
  if (files.length === 0) throw new Error(`Cannot migrate: no migrations in ${directory.pathname}`);
  const odd = files.find((name) => !/^\d{14}_.+\.sql$/.test(name));
  if (odd) throw new Error(`Cannot migrate: ${odd} is not named like 20261231235959_name.sql`);
  return await withConnection(url, async (sql) => {
    await sql.unsafe(`
      create schema if not exists supabase_migrations;
      create table if not exists supabase_migrations.schema_migrations (
        version text primary key, statements text[], name text);
    `);
    const rows = await sql<{ version: string; text: string }[]>`
      select version, array_to_string(statements, '') as text
      from supabase_migrations.schema_migrations`;
    const known = new Map(rows.map(({ version, text }) => [version, text]));
    const applied: string[] = [];
    for (const name of files) {
      const text = await readFile(new URL(name, directory), "utf8");
      const before = known.get(name.slice(0, 14));
      if (before === undefined) {
        await apply(sql, name, text);
        applied.push(name);
      } else if (
        before !== text && !text.includes(`-- Same result as sha256 ${sha256(before)}\n`)
      ) {
        throw new Error(
          `Cannot migrate: ${name} has changed since it was applied; start again with --fresh`,
        );
      }
    }
    return { applied, skipped: files.length - applied.length };
  });
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
  await withConnection(url, async (sql) => {
    await sql.begin(async (transaction) => await transaction.unsafe(text)).catch((thrown) => {
      throw describeFailure(basename(file.pathname), text, thrown);
    });
  });
}

function describeFailure(name: string, text: string, thrown: unknown): Error {
  if (!(thrown instanceof postgres.PostgresError)) {
    return new Error(`Cannot apply ${name}`, { cause: thrown });
  }
  const hint = thrown.hint ? ` (${thrown.hint})` : "";
  return new Error(`Cannot apply ${name}${placeOf(text, thrown)}: ${thrown.message}${hint}`, {
    cause: thrown,
  });
}

/** A syntax error has a character position, a runtime error has a context. */
function placeOf(text: string, error: postgres.PostgresError): string {
  if (error.position) {
    const before = [...text].slice(0, Number(error.position) - 1);
    return `, line ${before.filter((character) => character === "\n").length + 1}`;
  }
  if (error.where) return `, ${error.where.split("\n")[0]}`;
  return error.table_name ? `, table ${error.table_name}` : "";
}
