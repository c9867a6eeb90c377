/**
 * `deno task deploy`: brings this checkout into a Supabase project, or says what that would do.
 *
 * @module
 */

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hidePassword } from "./backup/programs.ts";
import { loadSettings, readEnvFile, withDatabase } from "./database.ts";
import { findCli, type SupabaseCli } from "./deploy/cli.ts";
import {
  findOtherProject,
  makePlan,
  type Plan,
  readFunctions,
  readProject,
  readSecrets,
  type Target,
} from "./deploy/plan.ts";
import {
  compareSettings,
  fillExample,
  foresee,
  pickSettings,
  type Settings,
} from "./deploy/settings.ts";
import { show } from "./doctor/check.ts";
import { checkOutside } from "./doctor/outside.ts";
import { compareMigrations } from "./doctor/schema.ts";
import { defineTask, type ExitCode, main, Misuse, readAddress, Stop } from "./task.ts";
import type { Terminal } from "./terminal.ts";

const usage = `deno task deploy [--apply] [--project PROJECT] [--env FILE] [--db URL] [--url URL]
                 [--functions-only]
deno task deploy settings [--env FILE]   writes FILE with new secrets for the functions
  without --apply: shows the project, the migrations and functions to come, and the secrets that are
  missing or change. Changes nothing
  --apply            applies the migrations, sets the secrets, deploys the functions, and sends each
                     function a request as Vapi does
  --project PROJECT  the project's reference; the linked one if left out (supabase link)
  --env FILE         the settings of the functions; .env if left out. Without a file the project's
                     secrets stay as they are
  --db URL           the database as its owner, instead of SUPABASE_DB_URL
  --url URL          the project's address, https://PROJECT.supabase.co if left out
  --functions-only   leaves migrations and secrets alone, to go back to an earlier version's functions
  needs Supabase's CLI 3 on the PATH or in SUPABASE_CLI, and supabase login or SUPABASE_ACCESS_TOKEN
  exit code 0: done, or nothing stands in the way, 1: something does, 2: wrong arguments,
  3: the project or the database cannot be reached`;

const root = new URL("../../", import.meta.url);
/** Running functions may keep the previous secrets for this long. */
const patienceMs = 60_000;

/** The task. */
export const deploy = defineTask({
  usage,
  options: {
    apply: { type: "boolean", default: false },
    project: { type: "string" },
    env: { type: "string" },
    db: { type: "string" },
    url: { type: "string" },
    "functions-only": { type: "boolean", default: false },
  },
  allowPositionals: true,
  run: async ({ values, positionals: [word, ...rest] }, { env, running, terminal }) => {
    const surplus = word === "settings" ? rest[0] : word;
    if (surplus !== undefined) throw new Misuse(`Unexpected argument ${surplus}`);
    if (word === "settings") return await writeSettings(values.env, terminal);
    const file = await readEnvFile(values.env);
    const settings = values["functions-only"] ? {} : pickSettings(file);
    const project = await readProject(values.project);
    const target = {
      project,
      url: readAddress(values.url ?? `https://${project}.supabase.co`),
      db: readDatabase((await loadSettings(values, env))["SUPABASE_DB_URL"]),
    };
    const other = findOtherProject(target);
    if (other) throw new Stop(2, `The database is that of project ${other}, not of ${project}`);
    const cli = await findCli(env, running);
    const plan = await makePlan(cli, target, settings, values["functions-only"]);
    for (const one of plan.checks) show(one, terminal);
    const wrong = plan.checks.filter(({ problems }) => problems.length > 0).length;
    if (wrong > 0) {
      terminal.print("Nothing was changed: see above what to do first");
      return 1;
    }
    if (!values.apply) {
      terminal.print("Nothing was changed. The same with --apply does it");
      return 0;
    }
    await applyPlan(cli, target, plan, settings);
    await setFunctionsTarget(target, settings);
    return await smoke(target, pickSettings(file), plan, terminal);
  },
});

function readDatabase(url: string | undefined): string {
  if (url) return url;
  throw new Stop(
    2,
    "Which database? Set SUPABASE_DB_URL or give --db URL: in Supabase's dashboard under Connect, " +
      "Session pooler, with the database's password",
  );
}

/** Never over an existing file: the keys in it may be the only ones that read what is stored. */
async function writeSettings(file = ".env", terminal: Terminal): Promise<ExitCode> {
  const example = await readFile(new URL(".env.example", root), "utf8");
  try {
    await writeFile(file, fillExample(example), { flag: "wx", mode: 0o600 });
  } catch (thrown) {
    if (!(thrown instanceof Error && "code" in thrown)) throw thrown;
    throw new Stop(
      2,
      thrown.code === "EEXIST"
        ? `${file} exists; new secrets would make what is stored unreadable`
        : `Cannot write ${file} (${thrown.code})`,
    );
  }
  terminal.print(
    `Wrote ${file} with new secrets. Keep it safe: without CREDENTIAL_KEYS the stored Twilio ` +
      "accounts cannot be read",
  );
  return 0;
}

/** In this order, so that each step can rely on the one before. */
async function applyPlan(
  cli: SupabaseCli,
  target: Target,
  { migrations, secrets, functions }: Plan,
  settings: Settings,
): Promise<void> {
  const remote = `--remote=${target.project}`;
  if (migrations.length > 0) await pushMigrations(cli, target);
  if (secrets.added.length + secrets.changed.length > 0) {
    await setSecrets(cli, remote, settings);
    const { added, changed } = compareSettings(settings, await readSecrets(cli, target));
    const unset = [...added, ...changed];
    if (unset.length > 0) throw new Stop(1, `The project did not take ${unset.join(", ")}`);
  }
  await cli.change(["functions", "deploy", "--use-api", remote]);
  const active = (await readFunctions(cli, target)).filter(({ status }) => status === "ACTIVE");
  const missing = functions.filter((name) => !active.some(({ slug }) => slug === name));
  if (missing.length > 0) throw new Stop(1, `Not deployed: ${missing.join(", ")}`);
}

/** Tells the database where the functions are, and the secret that they expect of its jobs. */
async function setFunctionsTarget({ url, db }: Target, { JOBS_SECRET }: Settings): Promise<void> {
  if (JOBS_SECRET === undefined) return;
  await withDatabase(
    db,
    (sql) => sql`select public.set_functions_target(${`${url}/functions/v1`}, ${JOBS_SECRET})`,
  );
}

async function pushMigrations(cli: SupabaseCli, { db }: Target): Promise<void> {
  const { url, password } = hidePassword(db);
  await cli.change(["db", "push", `--remote=${url}`], { PGPASSWORD: password });
  // The CLI reports success when it finds no migrations.
  const { missing } = await withDatabase(db, (sql) => compareMigrations(sql));
  if (missing.length > 0) throw new Stop(1, `Not applied: ${missing.join(", ")}`);
}

async function setSecrets(cli: SupabaseCli, remote: string, settings: Settings): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "deploy-"));
  try {
    const file = join(folder, "settings");
    const lines = Object.entries(settings).map(([name, value]) => `${name}='${value}'\n`);
    await writeFile(file, lines.join(""), { mode: 0o600 });
    await cli.change(["secrets", "set", "--env-file", file, remote]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Asks every function as Vapi, Twilio and Prometheus do, until all is well or patience ends. */
async function smoke(
  { url }: Target,
  settings: Settings,
  { secrets }: Plan,
  terminal: Terminal,
): Promise<ExitCode> {
  // With secrets that only the project has, no request can be signed.
  const foreseen = foresee(settings, [], url);
  const config = "config" in foreseen ? foreseen.config : undefined;
  const endsAt = performance.now() + patienceMs;
  for (let pauseMs = 1000;; pauseMs *= 2) {
    const checks = await checkOutside(url, config);
    const wrong = checks.filter(({ problems }) => problems.length > 0).length;
    const hasChanged = secrets.added.length + secrets.changed.length > 0;
    if (wrong === 0 || !hasChanged || performance.now() + pauseMs > endsAt) {
      for (const one of checks) show(one, terminal);
      terminal.print(wrong === 0 ? `Live at ${url}` : `${wrong} of ${checks.length} checks failed`);
      return wrong === 0 ? 0 : 1;
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

if (import.meta.main) await main(deploy);
