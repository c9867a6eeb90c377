// deno-lint-ignore-file no-console -- a command-line program
/**
 * What a deployment does, without an account: runs the commands of docs/deploy.md as written, with
 * Supabase's own CLI against a stand-in for its Management API and a real PostgreSQL, then the CLI's
 * advisors and linter. The Deno version of hosted Supabase type-checks what arrives, and answers a
 * whole call with it.
 *
 * Environment: SUPABASE_CLI and HOSTED_DENO name the programs (Deno itself, not npm's wrapper, which
 * does not pass signals on), HOSTED_DENO_DIR a cache to keep, PG_BIN a PostgreSQL with pg_cron and
 * plpgsql_check (Debian: postgresql-15-cron, postgresql-15-plpgsql-check).
 *
 * @module
 */

import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import postgres from "postgres";
import { defaultStateDir, startPostgres } from "../../supabase/local/postgres.ts";
import { findFreePort } from "../../supabase/local/port.ts";
import { startStack } from "../../supabase/local/stack.ts";
import { type Bundle, type ManagementApi, project, startManagementApi } from "./management_api.ts";
import { type HostedDeno, type Project, serveBundle, startProject } from "./project.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const cli = programOf("SUPABASE_CLI");
const folder = await mkdtemp(join(tmpdir(), "deploy-"));
const hosted: HostedDeno = {
  program: programOf("HOSTED_DENO"),
  // A separate cache, since versions of Deno resolve packages differently.
  env: {
    DENO_DIR: Deno.env.get("HOSTED_DENO_DIR") ?? join(folder, "deno"),
    DENO_NO_UPDATE_CHECK: "1",
    DENO_TLS_CA_STORE: "mozilla,system",
  },
};
try {
  await playCall(await deployProject());
} finally {
  await rm(folder, { recursive: true, force: true });
}
// The stack's functions keep connections and counts for requests that will not come.
Deno.exit(0);

function programOf(variable: string): string {
  const path = Deno.env.get(variable);
  if (path) return path;
  console.error(`Cannot deploy: set ${variable} (see the comment in tests/deploy/run.ts)`);
  Deno.exit(2);
}

async function deployProject(): Promise<readonly Bundle[]> {
  const server = await startPostgres({
    stateDir: defaultStateDir("deploy"),
    fresh: true,
    durable: false,
    settings: { shared_preload_libraries: "pg_cron", "cron.database_name": "postgres" },
  });
  const api = startManagementApi(join(folder, "bundles"));
  const live = startProject(api, server.url({ role: "authenticator" }), hosted);
  try {
    const admin = postgres(server.url({ role: "supabase_admin" }), { max: 1 });
    await admin`create extension plpgsql_check with schema extensions`;
    await admin.end();
    const newcomer = await makeNewcomer(api, live, `${server.url()}?sslmode=disable`);
    const sql = postgres(server.url(), { max: 1 });
    const commands = await readCommands();
    const deployment = commands.slice(0, -1);
    await playCommands(newcomer, deployment, { api, sql });
    const bound = await sql<{ name: string }[]>`
      select p.pronamespace::regnamespace || '.' || p.proname as name
      from pg_proc as p where p.prosqlbody is not null`;
    const remote = `--remote=${server.url()}?sslmode=disable`;
    await checkAdvice(remote, bound.map(({ name }) => name));
    await run(cli, ["db", "lint", remote, "--level", "error", "--fail-on", "error", "--yes"]);
    // The jobs run at full minutes; the types are checked while waiting for them.
    await Promise.all([untilJobsHaveRun(sql), checkTypes(api.bundles)]);
    for (const command of commands.slice(deployment.length)) await type(newcomer, command);
    await sql.end();
    await refuseWrongSettings(newcomer, api);
    return await checkBundles(api.bundles);
  } finally {
    await live.stop();
    await api.stop();
    await server.stop();
  }
}

/** Somebody with a checkout, an account and a project. */
interface Newcomer {
  readonly checkout: string;
  readonly env: Readonly<Record<string, string>>;
  /** The project's address, in place of its address at Supabase. */
  readonly url: string;
}

async function makeNewcomer(api: ManagementApi, { url }: Project, db: string): Promise<Newcomer> {
  const checkout = join(folder, "checkout");
  const folders = ["functions", "shared", "migrations", "supabase", "tests"];
  for (const part of [...folders, "deno.json", "deno.lock", ".env.example"]) {
    await cp(join(root, part), join(checkout, part), { recursive: true, verbatimSymlinks: true });
  }
  const home = join(folder, "home");
  const profile = join(folder, "profile.yaml");
  await mkdir(join(home, ".supabase"), { recursive: true });
  await writeFile(join(home, ".supabase/profile"), profile);
  await writeFile(
    profile,
    `name: loopback\napi_url: ${api.url}\ndashboard_url: ${api.url}\nproject_host: 127.0.0.1\n`,
  );
  const path = [dirname(cli), dirname(Deno.execPath()), Deno.env.get("PATH") ?? ""];
  return {
    checkout,
    url,
    env: {
      ...{ HOME: home, PATH: path.join(delimiter), DO_NOT_TRACK: "1", DENO_NO_UPDATE_CHECK: "1" },
      // Deno's packages stay where they are, whatever HOME is.
      DENO_DIR: await denoDir(),
      SUPABASE_ACCESS_TOKEN: `sbp_${"0".repeat(40)}`,
      SUPABASE_DB_URL: db,
    },
  };
}

async function denoDir(): Promise<string> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
  return JSON.parse(new TextDecoder().decode(stdout)).denoDir;
}

/** Runs the commands of a deployment, and checks after each what it has done. */
async function playCommands(
  newcomer: Newcomer,
  commands: readonly string[],
  { api, sql }: { readonly api: ManagementApi; readonly sql: postgres.Sql },
): Promise<void> {
  const files = (await readdir(join(root, "migrations"))).length;
  const countMigrations = async () => {
    const [kept] = await sql`select to_regclass('supabase_migrations.schema_migrations') as it`;
    if (kept?.["it"] === null) return 0;
    const [row] = await sql`select count(*)::int as n from supabase_migrations.schema_migrations`;
    return Number(row?.["n"]);
  };
  for (const command of commands) {
    await type(newcomer, command);
    const deployed = [await countMigrations(), api.bundles.length, Object.keys(api.secrets).length];
    const isLive = command.includes("--apply");
    const expected = isLive ? [files, (await readdir(join(root, "functions"))).length] : [0, 0];
    if (deployed.slice(0, 2).join() !== expected.join() || (deployed[2] ?? 0) > 0 !== isLive) {
      throw new Error(`After "${command}": ${deployed.join()} migrations, functions, secrets`);
    }
  }
}

/** The six commands, without their comments. */
async function readCommands(): Promise<string[]> {
  const page = await readFile(join(root, "docs/deploy.md"), "utf8");
  const block = /^## Live in six commands$.*?^```sh\n(.*?)^```$/ms.exec(page)?.[1] ?? "";
  const commands = block.trim().split("\n").map((line) => line.replace(/\s+#.*$/, ""));
  if (commands.length !== 6) throw new Error(`docs/deploy.md has ${commands.length} commands`);
  return commands;
}

/** Runs a command as written in the docs, except for the project's address. */
async function type(
  { checkout, env, url }: Newcomer,
  command: string,
  expectedCode = 0,
): Promise<string> {
  const isDeployment = /^deno task deploy(?! settings)/.test(command);
  const typed = command
    .replace("https://PROJECT.supabase.co", url)
    .replace("PROJECT", project) + (isDeployment ? ` --url ${url}` : "");
  console.log(`$ ${typed}`);
  const { code, stdout, stderr } = await new Deno.Command("bash", {
    args: ["-c", typed],
    cwd: checkout,
    env: { NO_COLOR: "1", ...env },
    stdin: "null",
  }).output();
  const said = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("");
  console.log(said.trimEnd());
  if (code !== expectedCode) throw new Error(`"${typed}" ended with ${code}`);
  return said;
}

/** Waits until every minute job has run, within two minutes of its migration. */
async function untilJobsHaveRun(sql: postgres.Sql): Promise<void> {
  for (let tries = 0; tries < 180; tries++) {
    const [row] = await sql`
      select count(*)::int as n from cron.job as j where j.schedule like '*%' and not exists (
        select from cron.job_run_details as d where d.jobid = j.jobid and d.status = 'succeeded')`;
    if (row?.["n"] === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  throw new Error("The jobs did not run");
}

/** Problems that prevent a deployment are reported, and nothing is changed. */
async function refuseWrongSettings(newcomer: Newcomer, api: ManagementApi): Promise<void> {
  const before = JSON.stringify(api.secrets);
  const again = await type(newcomer, "deno task deploy");
  const expect = (said: string, pattern: RegExp) => {
    if (!pattern.test(said)) throw new Error(`Expected ${pattern}`);
  };
  expect(again, /migrations: none to come/);
  expect(again, /secrets: none to set, none to change, \d+ stay/);
  expect(await type(newcomer, "deno task deploy settings", 2), /\.env exists/);
  await writeFile(join(newcomer.checkout, "short.env"), "METRICS_TOKEN=short\n");
  const short = "deno task deploy --apply --env short.env";
  expect(await type(newcomer, short, 1), /METRICS_TOKEN must have at least 16/);
  await rm(join(newcomer.checkout, "migrations"), { recursive: true });
  await mkdir(join(newcomer.checkout, "migrations"));
  expect(await type(newcomer, "deno task deploy --apply", 1), /the database has later migrations/);
  if (JSON.stringify(api.secrets) !== before) throw new Error("A refused deployment set secrets");
  const back = await type(newcomer, "deno task deploy --functions-only --apply");
  expect(back, /migrations: left as they are/);
  expect(back, /^Live at /m);
}

interface Advice {
  readonly name: string;
  readonly level: string;
  readonly detail: string;
  readonly metadata?: { readonly schema?: string; readonly name?: string };
}

/**
 * Runs the CLI's advisors, and fails on a warning.
 *
 * @param bound Functions with a SQL-standard body. Their names were resolved when the function was
 * created, so a search path cannot change them, and setting one would prevent inlining.
 */
async function checkAdvice(remote: string, bound: readonly string[]): Promise<void> {
  const args = ["db", "advisors", remote, "--type", "all", "--fail-on", "none", "--yes"];
  const { success, stdout } = await new Deno.Command(cli, {
    args,
    cwd: root,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stderr: "inherit",
  }).output();
  const output = new TextDecoder().decode(stdout);
  const from = output.indexOf("[");
  if (!success || from < 0 && !/no issues/i.test(output)) {
    throw new Error(`The advisors did not answer:\n${output}`);
  }
  const advice: Advice[] = from < 0 ? [] : JSON.parse(output.slice(from));
  const warnings = advice.filter(({ name, level, metadata }) =>
    level !== "INFO" && !(name === "function_search_path_mutable" &&
      bound.includes(`${metadata?.schema}.${metadata?.name}`))
  );
  console.log(`${advice.length} findings of the advisors, ${warnings.length} to act on`);
  if (warnings.length > 0) {
    throw new Error(warnings.map(({ name, detail }) => `${name}: ${detail}`).join("\n"));
  }
}

/** Every function is deployed, and none asks Vapi for a JWT. */
async function checkBundles(bundles: readonly Bundle[]): Promise<readonly Bundle[]> {
  const names = (await readdir(join(root, "functions"))).sort();
  const deployed = bundles.map(({ name }) => name).sort();
  if (names.join() !== deployed.join()) {
    throw new Error(`Deployed ${deployed.join(", ")} of ${names.join(", ")}: see config.toml`);
  }
  const guarded = bundles.filter(({ verifyJwt }) => verifyJwt);
  if (guarded.length > 0) {
    throw new Error(`${guarded.map(({ name }) => name).join()} would ask Vapi for a JWT`);
  }
  return bundles;
}

async function checkTypes(bundles: readonly Bundle[]): Promise<void> {
  for (const { directory, entrypoint, importMap } of bundles) {
    const args = ["check", "--quiet", "--no-lock", "--config", importMap, entrypoint];
    await run(hosted.program, args, hosted.env, directory);
  }
  console.log(`${bundles.length} bundles pass the type check of hosted Supabase's Deno`);
}

/** The deployed functions answer in place of the repository's; everything else is the stack's. */
async function playCall(bundles: readonly Bundle[]): Promise<void> {
  const stack = await startStack({
    port: findFreePort(8000),
    stateDir: defaultStateDir("deploy"),
    fresh: true,
  });
  const served = await Promise.all(
    bundles.map(async (bundle) => ({ name: bundle.name, ...await serveBundle(bundle, hosted) })),
  );
  const proxy = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) => {
      const { pathname, search } = new URL(request.url);
      const name = /^\/functions\/v1\/([^/]+)/.exec(pathname)?.[1];
      const base = served.find((one) => one.name === name)?.url ?? stack.url;
      return fetch(new Request(base + pathname + search, request));
    },
  );
  try {
    await run(Deno.execPath(), ["task", "call", "--url", `http://127.0.0.1:${proxy.addr.port}`]);
  } finally {
    await proxy.shutdown();
    for (const { stop } of served) await stop();
    await stack.stop();
  }
}

async function run(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  cwd = root,
): Promise<void> {
  const { success, code } = await new Deno.Command(program, {
    args: [...args],
    cwd,
    env: { NO_COLOR: "1", ...env },
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`${program} ${args.slice(0, 2).join(" ")} ended with ${code}`);
}
