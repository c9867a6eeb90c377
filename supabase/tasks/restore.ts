/**
 * `deno task restore`: restores a backup and then checks everything.
 *
 * Loading our part of the database is one transaction, so a restore that fails changes nothing there. A
 * pg_dump archive lacks extensions, jobs and statistics: this task restores them too. First it revokes
 * the project's default privileges, which would open every restored table to the API's roles.
 *
 * @module
 */

import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type postgres from "postgres";
import { describeContent, findTables, schemas } from "./backup/content.ts";
import {
  accountsFile,
  databaseFile,
  describeFolder,
  type Description,
  readFolder,
} from "./backup/folder.ts";
import { findProgram, type Program, requireOlderProgram, runProgram } from "./backup/programs.ts";
import { loadSettings, withDatabase } from "./database.ts";
import { checkData } from "./doctor/data.ts";
import { compareRights } from "./doctor/rights.ts";
import { checkSchema, readExtensions } from "./doctor/schema.ts";
import { show } from "./doctor/check.ts";
import { defineTask, main, Misuse, type Running, Stop } from "./task.ts";
import type { Terminal } from "./terminal.ts";

const usage = `deno task restore FOLDER [--check] [--replace] [--env FILE] [--db URL]
  restores a backup of deno task backup into an empty project, and then checks everything
  --check     only read the backup and the database, and say whether it could be restored
  --replace   the database has our tables: replace them with the backup. If that fails, nothing has
              changed. Everything booked since the backup is lost
  --env FILE  a file with SUPABASE_DB_URL, which overrides the environment; if left out,
              the environment, then .env
  --db URL    the database as its owner, instead of SUPABASE_DB_URL
  PG_BIN      the folder of pg_restore, which must not be older than the pg_dump that wrote the backup;
              if not set, pg_restore on the PATH
  exit code 0: restored, and all checks passed, 1: not restored, or a check failed, 2: wrong arguments
  or no backup, 3: no database or no pg_restore`;

/** The task. */
export const restore = defineTask({
  usage,
  options: {
    check: { type: "boolean", default: false },
    replace: { type: "boolean", default: false },
    env: { type: "string" },
    db: { type: "string" },
  },
  allowPositionals: true,
  run: async ({ values, positionals: [folder, surplus] }, { env, terminal, running }) => {
    if (folder === undefined || surplus !== undefined) {
      throw new Misuse("Give the folder of one backup");
    }
    const settings = await loadSettings(values, env);
    const url = settings["SUPABASE_DB_URL"];
    const description = await readFolder(folder);
    terminal.print(describeFolder(folder, description));
    const program = await findProgram("pg_restore", env["PG_BIN"], description.program);
    await withDatabase(url, (sql) => examine(sql, description, program, values.replace));
    if (values.check) {
      terminal.print("It could be restored. Nothing was changed");
      return 0;
    }
    await withDatabase(url, prepare);
    await load({ folder, url: url ?? "", program, running, replaces: values.replace });
    terminal.print("Restored. What follows is checked:");
    const problems = await withDatabase(url, async (sql) => {
      await settle(sql, description);
      return await compare(sql, description, terminal);
    });
    terminal.print(
      problems === 0
        ? "All is well. deno task doctor --url URL looks at the functions too"
        : `${problems} checks failed`,
    );
    return problems === 0 ? 0 : 1;
  },
});

/** @throws {Stop} If the backup cannot be restored into this database. */
async function examine(
  sql: postgres.Sql,
  { server }: Description,
  program: Program,
  replaces: boolean,
): Promise<void> {
  const [row] = await sql<{ major: number; lacks: string[] }[]>`
    select current_setting('server_version_num')::int / 10000 as major, array(
      select r.name from unnest('{anon,authenticated,service_role}'::text[]) as r (name)
      where to_regrole(r.name) is null) as lacks`;
  const { major = 0, lacks = [] } = row ?? {};
  if (lacks.length > 0) {
    throw new Stop(1, `The database is not a Supabase project: it has no role ${lacks.join(", ")}`);
  }
  if (major < server) {
    throw new Stop(
      1,
      `The backup is from PostgreSQL ${server}, but the database has version ${major}: upgrade it`,
    );
  }
  requireOlderProgram(program, major);
  const available = await sql<{ name: string }[]>`
    select name from pg_available_extensions union select extname from pg_extension`;
  const missing = [...readExtensions().keys()]
    .filter((name) => !available.some((one) => one.name === name));
  if (missing.length > 0) {
    throw new Stop(1, `The database's server does not have the extension ${missing.join(", ")}`);
  }
  const there = await findObjects(sql);
  if (there.length > 0 && !replaces) {
    throw new Stop(
      1,
      `The database is not empty: it has ${there.slice(0, 3).join(", ")}` +
        `${
          there.length > 3 ? ` and ${there.length - 3} more` : ""
        }. Restore into a new project, or put ` +
        "the backup in their place with --replace. Nothing was changed",
    );
  }
}

/** Objects that conflict with the backup: our schemas, and anything in public that no extension owns. */
async function findObjects(sql: postgres.Sql): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`
    select 'schema ' || n.nspname as name from pg_namespace as n
    where n.nspname = any (${schemas.filter((name) => name !== "public")}::text[])
    union all
    select 'table ' || c.oid::regclass from pg_class as c
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f')
      and not exists (select from pg_depend as d where d.objid = c.oid and d.deptype = 'e')
    union all
    select 'function ' || p.oid::regproc from pg_proc as p
    where p.pronamespace = 'public'::regnamespace
      and not exists (select from pg_depend as d where d.objid = p.oid and d.deptype = 'e')`;
  return rows.map(({ name }) => name);
}

/**
 * Creates the extensions and revokes default privileges, before the first table is restored. pg_dump
 * writes rights as differences from PostgreSQL's own defaults, so it revokes nothing that a project
 * grants by default.
 */
async function prepare(sql: postgres.Sql): Promise<void> {
  for (const statement of readExtensions().values()) await sql.unsafe(statement);
  for (const kind of ["tables", "sequences", "functions"]) {
    await sql.unsafe(`alter default privileges in schema public
      revoke all on ${kind} from public, anon, authenticated, service_role`);
  }
}

interface Load {
  readonly folder: string;
  readonly url: string;
  readonly program: Program;
  readonly running: Running;
  readonly replaces: boolean;
}

/** Entries that belong to the project: it has them already, and its owner may not be allowed to change them. */
const notOurs =
  /^\d+; \d+ \d+ (?:SCHEMA|ACL|COMMENT) - (?:SCHEMA )?public |^\d+; \d+ \d+ DEFAULT ACL /;

async function load({ folder, url, program, running, replaces }: Load): Promise<void> {
  const file = join(folder, databaseFile);
  const all = await runProgram(program, { args: ["--list", file], running });
  const list = await Deno.makeTempFile();
  await running.start(Promise.resolve(), () => rm(list, { force: true }));
  await writeFile(list, all.split("\n").filter((line) => !notOurs.test(line)).join("\n"));
  const common = ["--no-owner", "--exit-on-error", "--single-transaction"];
  // Accounts first, since members refer to them.
  await runProgram(program, { url, running, args: [...common, join(folder, accountsFile)] });
  const clean = replaces ? ["--clean", "--if-exists"] : [];
  const args = [...common, ...clean, `--use-list=${list}`, file];
  await runProgram(program, { url, running, args });
}

/** Restores what the archives lack: jobs, statistics, and the work of the jobs' first minute. */
async function settle(sql: postgres.Sql, { jobs }: Description): Promise<void> {
  await sql.unsafe(`analyze ${(await findTables(sql)).join(", ")}`);
  for (const { name, schedule, command, active } of jobs) {
    await sql`select cron.unschedule(jobname) from cron.job where jobname = ${name}`;
    // A job that was switched off, such as retention, must not start because of a restore.
    if (active) await sql`select cron.schedule(${name}, ${schedule}, ${command})`;
  }
  // They may have gone out since the backup was taken.
  await sql`update public.appointment_texts set state = 'unknown', reason = 'restored',
    updated_at = clock_timestamp() where state in ('waiting', 'sending')`;
  await sql`update public.webhook_messages set state = 'failed', reason = 'restored',
    updated_at = clock_timestamp() where state in ('waiting', 'sending')`;
  // Both notice in their first run that they are in another cluster.
  await sql`select public.seal_audit()`;
  await sql`select public.collect_metrics()`;
  await watchAll(sql);
  await sql`select pg_notify('pgrst', 'reload schema')`;
}

/** Runs the watch over all providers, from the first one on. */
async function watchAll(sql: postgres.Sql): Promise<void> {
  await sql`update private.overlap_watch set org_id = null, provider_id = null`;
  for (let goesOn = true; goesOn;) {
    await sql`select public.watch_overlaps()`;
    const [row] = await sql`select org_id is not null as goes_on from private.overlap_watch`;
    goesOn = row?.["goes_on"] === true;
  }
}

/** Compares the database with the backup and with this checkout. Returns how many checks failed. */
async function compare(
  sql: postgres.Sql,
  before: Description,
  terminal: Terminal,
): Promise<number> {
  const after = await describeContent(sql);
  const checks = [
    {
      name: "every row of the backup is there",
      problems: findMissingRows(before.rows, after.rows),
    },
    { name: "rights and constraints are those of the backup", problems: findRights(before, after) },
    ...await checkSchema(sql),
    ...await checkData(sql, { isNew: true }),
  ];
  for (const one of checks) show(one, terminal);
  return checks.filter(({ problems }) => problems.length > 0).length;
}

/** More rows are fine: callers may have added some, and counters are merged. Nothing else has run yet. */
function findMissingRows(before: Description["rows"], after: Description["rows"]) {
  return Object.entries(before).flatMap(([table, count]) =>
    table.includes(".metric_") || (after[table] ?? 0) >= count ? [] : [{
      what: `${table} has ${after[table] ?? 0} rows, and ${count} are in the backup`,
      fix: "restore again; if that does not help, the backup was not complete",
    }]
  );
}

function findRights(before: Pick<Description, "rights">, after: Pick<Description, "rights">) {
  const { missing, surplus } = compareRights(before.rights, after.rights);
  const fix = "compare with supabase/schema.sql";
  return [
    ...missing.map((line) => ({ what: `not there: ${line}`, fix })),
    ...surplus.map((line) => ({ what: `not in the backup: ${line}`, fix })),
  ];
}

if (import.meta.main) await main(restore);
