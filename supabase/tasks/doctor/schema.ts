/**
 * Checks that the database has the schema of the migrations.
 *
 * @module
 */

import { readdir } from "node:fs/promises";
import type postgres from "postgres";
import { readMigrations } from "../release/migrations.ts";
import { type Check, check, type Problem } from "./check.ts";
import { findForeignRights } from "./rights.ts";

const root = new URL("../../../", import.meta.url);
const push = "supabase db push --remote DATABASE_URL; locally start the stack again";

/** Every check of the schema. */
export async function checkSchema(sql: postgres.Sql): Promise<Check[]> {
  return [
    check("migrations are applied", ...await findMigrations(sql)),
    check("entry functions are there", ...await findEntryFunctions(sql)),
    check("extensions are installed", ...await findExtensions(sql)),
    check("constraints and indexes are valid", ...await findIndexes(sql)),
    check("the API's roles have no rights by default", ...await findRights(sql)),
    check(
      "the API's roles have the rights that the migrations give",
      ...await findForeignRights(sql),
    ),
  ];
}

const migrations = new URL("migrations/", root);
const readTexts = () => readMigrations(migrations).map(({ text }) => text).join("\n");

/** The jobs in the migrations: schedules by name. */
export function readJobs(): Map<string, string> {
  const found = readTexts().matchAll(/cron\.schedule\('([^']+)',\s*'([^']+)'/g);
  return new Map([...found].map(([, name = "", schedule = ""]) => [name, schedule]));
}

/** Compares this checkout's migrations with those that were applied to the database. */
export async function compareMigrations(
  sql: postgres.Sql,
): Promise<{ readonly missing: readonly string[]; readonly later: readonly string[] }> {
  const [kept] = await sql`
    select to_regclass('supabase_migrations.schema_migrations') is not null as is_there`;
  const applied = kept?.["is_there"]
    ? await sql<{ version: string }[]>`
      select version from supabase_migrations.schema_migrations order by version`
    : [];
  const known = new Set(readMigrations(migrations).map(({ file }) => file.slice(0, 14)));
  const there = new Set(applied.map(({ version }) => version));
  return {
    missing: [...known].filter((version) => !there.has(version)),
    later: [...there].filter((version) => !known.has(version)),
  };
}

async function findMigrations(sql: postgres.Sql): Promise<Problem[]> {
  const { missing, later } = await compareMigrations(sql);
  return [
    ...missing.length === 0 ? [] : [{ what: `not applied: ${missing.join(", ")}`, fix: push }],
    ...later.length === 0 ? [] : [{
      what: `applied, but not in this checkout: ${later.join(", ")}`,
      fix: "check out the version that is deployed, or deploy this one's functions",
    }],
  ];
}

/** The entry functions that `shared/database` calls. */
async function readEntries(): Promise<string[]> {
  const folder = new URL("shared/database/", root);
  const modules = await Promise.all(
    (await readdir(folder)).map((file) => import(new URL(file, folder).href)),
  );
  const named = modules.flatMap((module: object): unknown[] => Object.values(module))
    .flatMap((value) =>
      typeof value === "function" && "sqlName" in value ? [String(value.sqlName)] : []
    );
  return [...new Set(named)].sort();
}

async function findEntryFunctions(sql: postgres.Sql): Promise<Problem[]> {
  const rows = await sql<{ name: string; isThere: boolean; isOpen: boolean }[]>`
    select n.name, count(p.oid) > 0 as "isThere",
      coalesce(bool_or(has_function_privilege('service_role', p.oid, 'execute')), false) as "isOpen"
    from unnest(${await readEntries()}::text[]) as n (name)
    left join pg_proc as p
      on p.proname = n.name and p.pronamespace = to_regnamespace('public')
    group by n.name order by n.name`;
  return rows.flatMap(({ name, isThere, isOpen }) => {
    if (!isThere) return [{ what: `public.${name} does not exist`, fix: push }];
    return isOpen ? [] : [{
      what: `the functions may not call public.${name}`,
      fix: `grant execute on function public.${name} to service_role`,
    }];
  });
}

/** The extensions in the migrations: the statements that install them, by name. */
export function readExtensions(): Map<string, string> {
  const needed = readTexts().matchAll(/^create extension if not exists (\w+) with schema (\w+);/gm);
  return new Map([...needed].map(([statement, name = ""]) => [name, statement]));
}

async function findExtensions(sql: postgres.Sql): Promise<Problem[]> {
  const rows = await sql<{ name: string }[]>`select extname as name from pg_extension`;
  const installed = new Set(rows.map(({ name }) => name));
  return [...readExtensions()].flatMap(([name, statement]) =>
    installed.has(name) ? [] : [{ what: `${name} is not installed`, fix: statement }]
  );
}

/** Constraints and indexes that the guarantee against double booking needs. */
const guards = ["appointments_no_overlap", "appointments_seat_unique", "appointments_taken"];

async function findIndexes(sql: postgres.Sql): Promise<Problem[]> {
  const missing = await sql<{ name: string }[]>`
    select g.name from unnest(${guards}::text[]) as g (name)
    where not exists (
      select from pg_index as i join pg_class as c on c.oid = i.indexrelid
      where c.relname = g.name and c.relnamespace = to_regnamespace('public')
        and (g.name <> 'appointments_no_overlap' or i.indisexclusion))`;
  const invalid = await sql<{ name: string }[]>`
    select i.indexrelid::regclass::text as name
    from pg_index as i join pg_class as c on c.oid = i.indexrelid
    where c.relnamespace in (to_regnamespace('public'), to_regnamespace('private'))
      and not (i.indisvalid and i.indisready and i.indislive)`;
  const unchecked = await sql<{ name: string; table: string }[]>`
    select c.conname as name, c.conrelid::regclass::text as "table" from pg_constraint as c
    where c.connamespace in (to_regnamespace('public'), to_regnamespace('private'))
      and not c.convalidated`;
  return [
    ...missing.map(({ name }) => ({
      what: `${name}, which prevents double booking, does not exist`,
      fix: "create it as the migration of the appointments does, before the next call",
    })),
    ...invalid.map(({ name }) => ({
      what: `the index ${name} is not valid`,
      fix: `reindex index ${name}`,
    })),
    ...unchecked.map(({ name, table }) => ({
      what: `the constraint ${name} was never validated`,
      fix: `alter table ${table} validate constraint ${name}`,
    })),
  ];
}

async function findRights(sql: postgres.Sql): Promise<Problem[]> {
  const defaults = await sql<{ role: string; kind: string; owner: string }[]>`
    select distinct coalesce(nullif(g.grantee, 0)::regrole::text, 'public') as role,
      case d.defaclobjtype when 'r' then 'tables' when 'S' then 'sequences' else 'functions' end as kind,
      d.defaclrole::regrole::text as owner
    from pg_default_acl as d, aclexplode(d.defaclacl) as g
    where d.defaclnamespace = to_regnamespace('public') and d.defaclobjtype in ('r', 'S', 'f')
      and d.defaclrole = (
        select c.relowner from pg_class as c where c.oid = to_regclass('public.organizations'))
      and g.grantee in (0, to_regrole('anon'), to_regrole('authenticated'),
        to_regrole('service_role'))
    order by 1, 2`;
  const open = await sql<{ name: string }[]>`
    select c.oid::regclass::text as name from pg_class as c
    where c.relnamespace = to_regnamespace('public') and c.relkind in ('r', 'p')
      and not c.relrowsecurity
      and not exists (select from pg_depend as d where d.objid = c.oid and d.deptype = 'e')
    order by 1`;
  return [
    ...defaults.map(({ role, kind, owner }) => ({
      what: `${role} gets rights on ${kind} that are created later`,
      fix: `alter default privileges for role ${owner} in schema public revoke all on ${kind} ` +
        `from ${role}`,
    })),
    ...open.map(({ name }) => ({
      what: `row level security is off for ${name}`,
      fix: `alter table ${name} enable row level security`,
    })),
  ];
}
