/**
 * Which part of a database is ours, and how much of it there is.
 *
 * @module
 */

import type postgres from "postgres";
import { describeRights } from "../doctor/rights.ts";
import { readJobs } from "../doctor/schema.ts";
import type { Description } from "./folder.ts";

/** The schemas that the migrations fill, and the CLI's list of migrations. */
export const schemas = ["public", "private", "supabase_migrations"] as const;

/** The tables of Supabase Auth whose rows are part of a backup: accounts, without sessions. */
const accountTables = ["auth.users", "auth.identities"] as const;

/** The account tables that exist in this project; the local stack has only the first one. */
export async function findAccountTables(sql: postgres.ISql): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`
    select t.name from unnest(${[...accountTables]}::text[]) as t (name)
    where to_regclass(t.name) is not null`;
  return rows.map(({ name }) => name);
}

/** The parts of a description that come from the database. */
export async function describeContent(
  sql: postgres.ISql,
): Promise<Pick<Description, "migrations" | "rows" | "jobs" | "rights">> {
  const migrations = await sql<{ version: string }[]>`
    select version from supabase_migrations.schema_migrations order by version`;
  const jobs = await sql<Description["jobs"]>`
    select jobname as name, schedule, command, active from cron.job
    where jobname = any (${[...readJobs().keys()]}::text[]) order by jobname`;
  return {
    migrations: migrations.map(({ version }) => version),
    rows: await countRows(sql),
    jobs: [...jobs],
    rights: (await describeRights(sql)).filter(isOurs),
  };
}

/** Roles, default privileges and the schema public belong to the project. */
function isOurs(line: string): boolean {
  return !/^(?:role|default for|schema public) /.test(line);
}

/** The tables in our schemas that do not belong to an extension. */
export async function findTables(sql: postgres.ISql): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`
    select format('%I.%I', n.nspname, c.relname) as name
    from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and n.nspname = any (${[...schemas]}::text[])
      and not exists (select from pg_depend as d where d.objid = c.oid and d.deptype = 'e')
    order by 1`;
  return rows.map(({ name }) => name);
}

/** The number of rows in each table. */
async function countRows(sql: postgres.ISql): Promise<Record<string, number>> {
  const tables = await findTables(sql);
  const counts = await sql.unsafe<{ name: string; n: number }[]>(
    tables.map((name) =>
      `select '${name.replaceAll("'", "''")}' as name, count(*)::int as n from ${name}`
    )
      .join(" union all "),
  );
  return Object.fromEntries(counts.map(({ name, n }) => [name, n]));
}
