/**
 * `deno task backup`: writes our part of a database to a folder.
 *
 * Everything is read in one snapshot, so archives, counts and jobs belong to the same moment. Callers
 * are not disturbed: only changes of the schema have to wait.
 *
 * @module
 */

import { chmod } from "node:fs/promises";
import { join } from "node:path";
import type postgres from "postgres";
import { describeContent, findAccountTables, schemas } from "./backup/content.ts";
import {
  accountsFile,
  databaseFile,
  describeFolder,
  type Description,
  nameFolder,
  writeFolder,
} from "./backup/folder.ts";
import { findProgram, runProgram } from "./backup/programs.ts";
import { loadSettings, withDatabase } from "./database.ts";
import { defineTask, main, Stop, type TaskContext } from "./task.ts";

const usage = `deno task backup [--to FOLDER] [--env FILE] [--db URL]
  writes our part of a database to a folder: schema, rights, rows, pg_cron's jobs, and the accounts of
  Supabase Auth. The backup contains patients' names and numbers: only its owner can read it; keep it
  encrypted. It does not contain the functions' settings, such as CREDENTIAL_KEYS: keep those separately
  --to FOLDER  a folder that does not exist yet; backup-TIME if left out
  --env FILE   a file with SUPABASE_DB_URL, which overrides the environment; if left out,
               the environment, then .env
  --db URL     the database as its owner, instead of SUPABASE_DB_URL
  PG_BIN       the folder of pg_dump, which must not be older than the server; if not set, pg_dump on the PATH
  exit code 0: done, 1: it could not be written, 2: wrong arguments, 3: no database or no pg_dump`;

/** The task. */
export const backup = defineTask({
  usage,
  options: { to: { type: "string" }, env: { type: "string" }, db: { type: "string" } },
  run: async ({ values }, context) => {
    const settings = await loadSettings(values, context.env);
    const url = settings["SUPABASE_DB_URL"];
    const folder = (values.to ?? nameFolder(new Date())).replace(/\/+$/, "");
    const description = await withDatabase(
      url,
      (sql) =>
        writeFolder(
          folder,
          context.running,
          (draft) => dump(sql, url ?? "", draft, context),
        ),
    );
    context.terminal.print(describeFolder(folder, description));
    context.terminal.print(
      `Written to ${folder}, readable by its owner only. It contains patients' names and numbers: keep it ` +
        "encrypted, and give access only to people who may read the database",
    );
    return 0;
  },
});

async function dump(
  sql: postgres.Sql,
  url: string,
  draft: string,
  { env, running }: TaskContext,
): Promise<Omit<Description, "format" | "files">> {
  const [version] = await sql<{ major: number; isOurs: boolean }[]>`
    select current_setting('server_version_num')::int / 10000 as major,
      to_regclass('public.appointments') is not null
        and to_regclass('supabase_migrations.schema_migrations') is not null as "isOurs"`;
  const { major: server = 0, isOurs = false } = version ?? {};
  if (!isOurs) {
    throw new Stop(2, "The database has no clinics: the migrations are not applied there");
  }
  const program = await findProgram("pg_dump", env["PG_BIN"], server);
  return await sql.begin("isolation level repeatable read read only", async (transaction) => {
    await transaction`set local statement_timeout = 0`;
    await transaction`set local idle_in_transaction_session_timeout = 0`;
    const [taken] = await transaction<{ snapshot: string; at: Date }[]>`
      select pg_export_snapshot() as snapshot, now() as at`;
    const common = ["--format=custom", "--no-owner", `--snapshot=${taken?.snapshot}`];
    const write = async (name: string, ...args: readonly string[]) => {
      const file = join(draft, name);
      await runProgram(program, { url, running, args: [...common, `--file=${file}`, ...args] });
      await chmod(file, 0o600);
    };
    await write(databaseFile, ...schemas.map((name) => `--schema=${name}`));
    const tables = await findAccountTables(transaction);
    // The project to restore into may already have some of these accounts.
    const inserts = ["--data-only", "--column-inserts", "--on-conflict-do-nothing"];
    await write(accountsFile, ...inserts, ...tables.map((name) => `--table=${name}`));
    return {
      takenAt: (taken?.at ?? new Date()).toISOString(),
      server,
      program: program.major,
      ...await describeContent(transaction),
    };
  });
}

if (import.meta.main) await main(backup);
