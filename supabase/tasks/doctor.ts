/**
 * `deno task doctor`: checks a stack or project, and says how to fix what is wrong.
 *
 * @module
 */

import type postgres from "postgres";
import { type Config, readConfig } from "../../shared/config.ts";
import { toFault } from "../../shared/errors.ts";
import { checkAccount } from "./credentials.ts";
import { loadSettings, withDatabase } from "./database.ts";
import { type Check, check, show, skip } from "./doctor/check.ts";
import { checkData, checkRequests } from "./doctor/data.ts";
import { checkOutside } from "./doctor/outside.ts";
import { checkSchema } from "./doctor/schema.ts";
import { findStack } from "./stack.ts";
import { defineTask, main, readAddress, Stop } from "./task.ts";

const usage = `deno task doctor [--url URL] [--env FILE] [--db URL]
  checks from outside whether everything works, and says what to do where it does not: functions,
  secrets, migrations, jobs, extensions, rights, the guarantee against double booking, time zones,
  clocks, Twilio accounts, and the address that Vapi and Twilio call. Changes nothing
  --url URL   a stack or project, http://127.0.0.1:8000 if left out
  --env FILE  the settings of the functions, which override the environment; if left out, those of the
              local stack that answers at URL, or else the environment, then .env
  --db URL    the database as its owner, instead of SUPABASE_DB_URL; without it the database is not
              checked
  exit code 0: every check passed, 1: a check failed, 2: wrong arguments`;

/** The task. */
export const doctor = defineTask({
  usage,
  options: {
    url: { type: "string", default: "http://127.0.0.1:8000" },
    env: { type: "string" },
    db: { type: "string" },
  },
  run: async ({ values }, { env, terminal }) => {
    const url = readAddress(values.url);
    const stack = await findStack(url);
    const settings = await loadSettings({ env: values.env ?? stack?.envFile, db: values.db }, env);
    const { config, checks } = readSettings(settings, url);
    const found = [
      ...checks,
      ...await checkOutside(url, config),
      ...await checkDatabase(settings["SUPABASE_DB_URL"], config),
    ];
    for (const one of found) show(one, terminal);
    const wrong = found.filter(({ problems }) => problems.length > 0).length;
    terminal.print(wrong === 0 ? "All is well" : `${wrong} of ${found.length} checks failed`);
    return wrong === 0 ? 0 : 1;
  },
});

/** Reads the settings, with placeholders for the variables that the project itself sets. */
function readSettings(
  settings: Readonly<Record<string, string>>,
  url: string,
): { config: Config | undefined; checks: Check[] } {
  const name = "settings are complete";
  const given = { SUPABASE_URL: url, SUPABASE_SECRET_KEYS: '{"default":"unknown"}', ...settings };
  try {
    return { config: readConfig(given), checks: [check(name)] };
  } catch (thrown) {
    const fix = ".env.example explains each; give the functions' settings with --env FILE";
    return { config: undefined, checks: [check(name, { what: toFault(thrown).message, fix })] };
  }
}

async function checkDatabase(db: string | undefined, config: Config | undefined): Promise<Check[]> {
  if (!db) return [skip("the database", "give --db URL or set SUPABASE_DB_URL")];
  try {
    return await withDatabase(db, async (sql) => {
      await sql`set default_transaction_read_only = on`;
      return [
        ...await checkSchema(sql),
        ...await checkData(sql),
        ...config ? [await checkTexting(sql, config), await checkRequests(sql, config)] : [],
      ];
    });
  } catch (thrown) {
    if (!(thrown instanceof Stop)) throw thrown;
    return [check("the database", {
      what: thrown.message,
      fix: "give its owner's address with --db or SUPABASE_DB_URL, and apply the migrations",
    })];
  }
}

/** Looks up each clinic's stored account at Twilio. */
async function checkTexting(sql: postgres.Sql, config: Config): Promise<Check> {
  const clinics = await sql<{ id: string; slug: string; name: string }[]>`
    select o.id, o.slug, o.name from public.organizations as o order by o.slug`;
  const problems = [];
  for (const clinic of clinics) {
    try {
      await checkAccount(clinic, sql, config, { print: () => {} });
    } catch (thrown) {
      if (!(thrown instanceof Stop)) throw thrown;
      const { slug } = clinic;
      const fix = `deno task credentials set --org ${slug}, or for a webhook docs/texts.md; then ` +
        `credentials check --org ${slug}`;
      problems.push({ what: thrown.message, fix });
    }
  }
  return check("every clinic can text", ...problems);
}

if (import.meta.main) await main(doctor);
