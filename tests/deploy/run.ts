// deno-lint-ignore-file no-console -- a command-line program
/**
 * What a deployment does, without an account: `supabase db push`, its advisors and linter on a real
 * PostgreSQL, then `supabase functions deploy` to a stand-in for the Management API. What arrives
 * there is type-checked by the Deno that hosted Supabase runs, and answers a whole call there.
 *
 * Environment: SUPABASE_CLI names the one program, HOSTED_DENO the other (itself, not npm's wrapper,
 * which a signal ends alone), HOSTED_DENO_DIR a cache to keep; PG_BIN a PostgreSQL with pg_cron and
 * plpgsql_check (Debian: postgresql-15-cron, postgresql-15-plpgsql-check).
 *
 * @module
 */

import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import postgres from "postgres";
import { defaultStateDir, startPostgres } from "../../supabase/local/postgres.ts";
import { findFreePort } from "../../supabase/local/port.ts";
import { startStack } from "../../supabase/local/stack.ts";
import { type Bundle, startManagementApi } from "./management_api.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const cli = programOf("SUPABASE_CLI");
const hostedDeno = programOf("HOSTED_DENO");
const folder = await mkdtemp(join(tmpdir(), "deploy-"));
/** A separate cache, since Deno's versions read what others resolved differently. */
const hostedEnvironment = {
  DENO_DIR: Deno.env.get("HOSTED_DENO_DIR") ?? join(folder, "deno"),
  DENO_NO_UPDATE_CHECK: "1",
  DENO_TLS_CA_STORE: "mozilla,system",
};
try {
  await deployDatabase();
  const bundles = await deployFunctions();
  for (const bundle of bundles) await checkTypes(bundle);
  console.log(`${bundles.length} bundles pass the type check of hosted Supabase's Deno`);
  await playCall(bundles);
} finally {
  await rm(folder, { recursive: true, force: true });
  // The CLI's notes about the project it linked.
  await rm(join(root, "supabase/.temp"), { recursive: true, force: true });
}
// The stack's functions keep connections and counts for requests that no longer come.
Deno.exit(0);

function programOf(variable: string): string {
  const path = Deno.env.get(variable);
  if (path) return path;
  console.error(`Cannot deploy: set ${variable} (see the comment in tests/deploy/run.ts)`);
  Deno.exit(2);
}

async function deployDatabase(): Promise<void> {
  const server = await startPostgres({
    stateDir: defaultStateDir("deploy"),
    fresh: true,
    durable: false,
    settings: { shared_preload_libraries: "pg_cron", "cron.database_name": "postgres" },
  });
  try {
    const admin = postgres(server.url({ role: "supabase_admin" }), { max: 1 });
    await admin`create extension plpgsql_check with schema extensions`;
    await admin.end();
    const remote = `--remote=${server.url()}?sslmode=disable`;
    await run(cli, ["db", "push", remote, "--yes"]);
    const sql = postgres(server.url(), { max: 1 });
    const [pushed] = await sql`
      select count(*)::int as count from supabase_migrations.schema_migrations`;
    const bound = await sql<{ name: string }[]>`
      select p.pronamespace::regnamespace || '.' || p.proname as name
      from pg_proc as p where p.prosqlbody is not null`;
    await sql.end();
    const files = (await readdir(join(root, "migrations"))).length;
    if (pushed?.["count"] !== files) {
      throw new Error(`The CLI applied ${pushed?.["count"]} of ${files} migrations`);
    }
    console.log(`${files} migrations pushed to PostgreSQL ${server.version}`);
    await checkAdvice(remote, bound.map(({ name }) => name));
    await run(cli, ["db", "lint", remote, "--level", "error", "--fail-on", "error", "--yes"]);
  } finally {
    await server.stop();
  }
}

interface Advice {
  readonly name: string;
  readonly level: string;
  readonly detail: string;
  readonly metadata?: { readonly schema?: string; readonly name?: string };
}

/**
 * Asks the CLI's advisors, and ends the run on a warning.
 *
 * @param bound Functions with a standard SQL body. Its names were resolved when the function was
 * made, so a search path cannot change them, and setting one would keep it from being inlined.
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

async function deployFunctions(): Promise<readonly Bundle[]> {
  const api = startManagementApi(join(folder, "bundles"));
  try {
    const profile = join(folder, "profile.yaml");
    await writeFile(
      profile,
      `name: loopback\napi_url: ${api.url}\ndashboard_url: ${api.url}\nproject_host: 127.0.0.1\n`,
    );
    const project = "abcdefghijklmnopqrst";
    const args = ["functions", "deploy", "--use-api", `--remote=${project}`, "--yes"];
    await run(cli, [...args, "--profile", profile], {
      SUPABASE_ACCESS_TOKEN: `sbp_${"0".repeat(40)}`,
    });
    const names = (await readdir(join(root, "functions"))).sort();
    const deployed = api.bundles.map(({ name }) => name).sort();
    if (names.join() !== deployed.join()) {
      throw new Error(`Deployed ${deployed.join(", ")} of ${names.join(", ")}: see config.toml`);
    }
    const guarded = api.bundles.filter(({ verifyJwt }) => verifyJwt);
    if (guarded.length > 0) {
      throw new Error(`${guarded.map(({ name }) => name).join()} would ask Vapi for a JWT`);
    }
    return [...api.bundles];
  } finally {
    await api.stop();
  }
}

async function checkTypes({ directory, entrypoint, importMap }: Bundle): Promise<void> {
  const args = ["check", "--quiet", "--no-lock", "--config", importMap, entrypoint];
  await run(hostedDeno, args, hostedEnvironment, directory);
}

/** The deployed functions answer in place of the repository's; everything else is the stack's. */
async function playCall(bundles: readonly Bundle[]): Promise<void> {
  const stack = await startStack({
    port: findFreePort(8000),
    stateDir: defaultStateDir("deploy"),
    fresh: true,
  });
  const served = await Promise.all(bundles.map(serve));
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

interface Served {
  readonly name: string;
  readonly url: string;
  stop(): Promise<void>;
}

/** One process for each function, with the environment that the stack has set for its own functions. */
async function serve({ name, directory, entrypoint, importMap }: Bundle): Promise<Served> {
  const server = fileURLToPath(new URL("serve_bundle.ts", import.meta.url));
  const child = new Deno.Command(hostedDeno, {
    args: [
      ...["run", "-A", "--no-lock", "--no-check", "--config", importMap],
      ...[server, new URL(`file://${join(directory, entrypoint)}`).href],
    ],
    cwd: directory,
    env: hostedEnvironment,
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let output = "";
  const port = await new Promise<string>((resolve, reject) => {
    (async () => {
      for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
        output += text;
        const found = /Listening on (\d+)/.exec(output)?.[1];
        if (found) resolve(found);
      }
      reject(new Error(`${name} ended: ${output}`));
    })();
  });
  return {
    name,
    url: `http://127.0.0.1:${port}`,
    stop: async () => {
      child.kill();
      await child.status;
    },
  };
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
