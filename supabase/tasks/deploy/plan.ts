/**
 * What a deployment will do, and why it should not: the project, its migrations, secrets and functions.
 *
 * @module
 */

import { readdir, readFile } from "node:fs/promises";
import { z } from "zod";
import { findUnreadable } from "../credentials.ts";
import { withDatabase } from "../database.ts";
import { type Check, check, type Problem } from "../doctor/check.ts";
import { compareMigrations } from "../doctor/schema.ts";
import { Misuse, Stop } from "../task.ts";
import type { SupabaseCli } from "./cli.ts";
import { compareSettings, type Difference, foresee, type Settings } from "./settings.ts";

const root = new URL("../../../", import.meta.url);

/** Where a deployment goes. */
export interface Target {
  /** The project's reference, twenty letters. */
  readonly project: string;
  /** The project's address, without a slash at its end. */
  readonly url: string;
  /** The database as its owner. */
  readonly db: string;
}

/** What is to come, and what stands in its way. */
export interface Plan {
  readonly migrations: readonly string[];
  readonly secrets: Difference;
  readonly functions: readonly string[];
  /** One for each part, in the order of the deployment; its name says what is to come. */
  readonly checks: readonly Check[];
}

/**
 * Reads a project's reference.
 *
 * @param given As in `--project`; what `supabase link` wrote down if left out.
 * @throws {Stop | Misuse} When there is none, or it is not one.
 */
export async function readProject(given: string | undefined): Promise<string> {
  const linked = () =>
    readFile(new URL("supabase/.temp/project-ref", root), "utf8").catch(() => undefined);
  const project = (given ?? await linked())?.trim();
  if (project === undefined) {
    throw new Stop(
      2,
      "Which project? supabase link --project-ref PROJECT, or give --project PROJECT",
    );
  }
  if (/^[a-z]{20}$/.test(project)) return project;
  throw new Misuse(`--project takes the project's reference, twenty letters, not ${project}`);
}

/** Why an address is another project's database; undefined where it is not, or names none. */
export function findOtherProject({ project, db }: Target): string | undefined {
  const url = URL.parse(db);
  const named = /^db\.([a-z]{20})\.supabase\.\w+$/.exec(url?.hostname ?? "")?.[1] ??
    /^[\w-]+\.([a-z]{20})$/.exec(decodeURIComponent(url?.username ?? ""))?.[1];
  return named === undefined || named === project ? undefined : named;
}

/**
 * Compares this checkout and the settings with a project. Changes nothing.
 *
 * @param settings Those of the functions that are to be set.
 * @param isFunctionsOnly Whether the database stays, which may then have later migrations.
 * @throws {Stop} When the project, its secrets or its database cannot be read.
 */
export async function makePlan(
  cli: SupabaseCli,
  target: Target,
  settings: Settings,
  isFunctionsOnly: boolean,
): Promise<Plan> {
  const { missing, later } = await withDatabase(target.db, (sql) => compareMigrations(sql));
  const secrets = compareSettings(settings, await readSecrets(cli, target));
  const names = await readFunctionNames();
  const deployed = new Set((await readFunctions(cli, target)).map(({ slug }) => slug));
  const created = names.filter((name) => !deployed.has(name));
  return {
    migrations: isFunctionsOnly ? [] : missing,
    secrets,
    functions: names,
    checks: [
      await checkProject(cli, target),
      check(
        `migrations: ${isFunctionsOnly ? "left as they are" : describeList(missing, "to come")}`,
        ...findMigrationProblems(missing, later, isFunctionsOnly),
      ),
      check(
        `secrets: ${describeSecrets(secrets)}`,
        ...await findSecretProblems(target, settings, secrets),
      ),
      check(
        `functions: ${names.length} to deploy, ${describeList(created, "of them new")}`,
      ),
    ],
  };
}

const projects = z.object({
  projects: z.array(
    z.object({ ref: z.string(), name: z.string(), region: z.string(), status: z.string() }),
  ),
});

async function checkProject(cli: SupabaseCli, { project }: Target): Promise<Check> {
  const all = (await cli.read(["projects", "list"], projects)).projects;
  const found = all.find(({ ref }) => ref === project);
  if (!found) {
    return check(`project: ${project}`, {
      what: "this account has no such project",
      fix:
        "supabase projects list shows those it has; supabase login signs in with another account",
    });
  }
  return check(
    `project: ${found.name} (${project}), ${found.region}`,
    ...found.status === "ACTIVE_HEALTHY" ? [] : [{
      what: `it is ${found.status}`,
      fix: "see it in Supabase's dashboard: a paused project is restored there",
    }],
  );
}

function findMigrationProblems(
  missing: readonly string[],
  later: readonly string[],
  isFunctionsOnly: boolean,
): Problem[] {
  if (isFunctionsOnly) {
    return missing.length === 0 ? [] : [{
      what: `these functions need migrations that are not applied: ${missing.join(", ")}`,
      fix: "deploy without --functions-only",
    }];
  }
  return later.length === 0 ? [] : [{
    what: `the database has later migrations than this checkout: ${later.join(", ")}`,
    fix: "check out the newest version; to go back to the functions of this one, --functions-only",
  }];
}

async function findSecretProblems(
  { url, db }: Target,
  settings: Settings,
  { changed, kept }: Difference,
): Promise<Problem[]> {
  const foreseen = foresee(settings, kept, url);
  if ("problem" in foreseen) {
    return [{
      what: foreseen.problem,
      fix: "deno task deploy settings writes a file with new ones; .env.example says what each is",
    }];
  }
  if (!changed.includes("CREDENTIAL_KEYS")) return [];
  const { credentialKeys } = foreseen.config;
  const { accounts, webhooks } = await withDatabase(db, async (sql) => {
    const [there] = await sql`select to_regclass('public.org_credentials') is not null
      and to_regclass('public.webhook_endpoints') is not null as yes`;
    return there?.["yes"]
      ? await findUnreadable(sql, credentialKeys)
      : { accounts: [], webhooks: [] };
  });
  const fix = "list the key that is set now as well, behind the new one";
  return [
    ...accounts.length === 0 ? [] : [{
      what: `CREDENTIAL_KEYS does not decrypt the stored Twilio accounts of ${accounts.join(", ")}`,
      fix,
    }],
    ...webhooks.length === 0 ? [] : [{
      what: `CREDENTIAL_KEYS does not decrypt the signing secrets of the webhooks of ${
        webhooks.join(", ")
      }`,
      fix: `${fix}; if that key is lost, deno task webhooks rotate makes new secrets`,
    }],
  ];
}

function describeList(names: readonly string[], what: string): string {
  return names.length === 0 ? `none ${what}` : `${names.length} ${what} (${names.join(", ")})`;
}

function describeSecrets({ added, changed, same, kept }: Difference): string {
  return [
    describeList(added, "to set"),
    describeList(changed, "to change"),
    `${same.length + kept.length} stay`,
  ].join(", ");
}

const secretList = z.object({
  secrets: z.array(z.object({ name: z.string(), value: z.string() })),
});

/** The names of a project's secrets, with digests of their values. */
export async function readSecrets(cli: SupabaseCli, { project }: Pick<Target, "project">) {
  return (await cli.read(["secrets", "list", `--remote=${project}`], secretList)).secrets;
}

const functionList = z.object({
  functions: z.array(z.object({ slug: z.string(), status: z.string(), version: z.number() })),
});

/** The functions that a project has. */
export async function readFunctions(cli: SupabaseCli, { project }: Pick<Target, "project">) {
  return (await cli.read(["functions", "list", `--remote=${project}`], functionList)).functions;
}

/** The names of this checkout's functions. */
async function readFunctionNames(): Promise<string[]> {
  return (await readdir(new URL("functions/", root))).sort();
}
