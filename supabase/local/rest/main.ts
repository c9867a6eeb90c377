// deno-lint-ignore-file no-console -- a command-line program
/**
 * `deno task rest --db URL`: the gateway alone on any PostgreSQL 15 to 17, with PostgREST's settings
 * from the environment.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { createGateway, type GatewayOptions } from "./gateway.ts";

const usage = `deno task rest --db URL [--host 127.0.0.1] [--port 3000]

PGRST_DB_URI, PGRST_DB_SCHEMAS (public), PGRST_DB_EXTRA_SEARCH_PATH (public), PGRST_DB_ANON_ROLE (anon),
PGRST_DB_MAX_ROWS, PGRST_DB_POOL (10), PGRST_DB_POOL_ACQUISITION_TIMEOUT (10 s), PGRST_JWT_SECRET,
PGRST_SERVER_HOST, PGRST_SERVER_PORT mean what they mean to PostgREST; options come first.
SUPABASE_PUBLISHABLE_KEY and SUPABASE_SECRET_KEY, when set, are the keys that every request needs.`;

/** Says what is wrong and ends: 2 for the command or a setting, 1 for what happened later. */
function fail(message: string, code: 1 | 2): never {
  console.error(code === 2 ? `${message}\n\n${usage}` : message);
  Deno.exit(code);
}

const messageOf = (error: unknown): string => error instanceof Error ? error.message : "unknown";

function readArguments() {
  const text = { type: "string" } as const;
  try {
    const options = { db: text, host: text, port: text, help: { type: "boolean" } } as const;
    return parseArgs({ options }).values;
  } catch (error) {
    return fail(messageOf(error), 2);
  }
}

/** A setting; empty counts as absent. */
const setting = (name: string): string | undefined => Deno.env.get(name) || undefined;

function number(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,9}$/.test(text)) fail(`${name} must be a number, not "${text}"`, 2);
  return Number(text);
}

const list = (name: string): string[] =>
  (setting(name) ?? "public").split(",").map((part) => part.trim()).filter((part) => part !== "");

function readOptions(dbUrl: string): GatewayOptions {
  const jwtSecret = setting("PGRST_JWT_SECRET");
  if (jwtSecret !== undefined && jwtSecret.length < 32) {
    fail("PGRST_JWT_SECRET must be at least 32 characters long", 2);
  }
  const timeout = "PGRST_DB_POOL_ACQUISITION_TIMEOUT";
  const publishableKey = setting("SUPABASE_PUBLISHABLE_KEY");
  const secretKey = setting("SUPABASE_SECRET_KEY");
  return {
    dbUrl,
    schemas: list("PGRST_DB_SCHEMAS"),
    extraSearchPath: list("PGRST_DB_EXTRA_SEARCH_PATH"),
    anonRole: setting("PGRST_DB_ANON_ROLE") ?? "anon",
    maxRows: number("PGRST_DB_MAX_ROWS", setting("PGRST_DB_MAX_ROWS")) ?? null,
    poolSize: number("PGRST_DB_POOL", setting("PGRST_DB_POOL")) ?? 10,
    acquisitionTimeoutMs: (number(timeout, setting(timeout)) ?? 10) * 1000,
    basePath: "/rest/v1",
    ...(jwtSecret === undefined ? {} : { jwtSecret }),
    ...(publishableKey === undefined ? {} : { publishableKey }),
    ...(secretKey === undefined ? {} : { secretKey }),
  };
}

const args = readArguments();
if (args.help) {
  console.log(usage);
  Deno.exit(0);
}
const dbUrl = args.db ?? setting("PGRST_DB_URI") ?? fail("No database: give --db URL", 2);
const port = number("The port", args.port ?? setting("PGRST_SERVER_PORT")) ?? 3000;
const gateway = await createGateway(readOptions(dbUrl))
  .catch((error) => fail(`Cannot read the database's catalogue: ${messageOf(error)}`, 1));
const server = listen();

function listen(): Deno.HttpServer {
  const hostname = args.host ?? setting("PGRST_SERVER_HOST") ?? "127.0.0.1";
  const onListen = (at: { hostname: string; port: number }) =>
    console.log(`Listening on http://${at.hostname}:${at.port}`);
  try {
    return Deno.serve({ hostname, port, onListen }, (request) => gateway.fetch(request));
  } catch (error) {
    return fail(`Cannot listen on ${hostname}:${port}: ${messageOf(error)}`, 1);
  }
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  Deno.addSignalListener(signal, () => {
    void server.shutdown().then(() => gateway.close()).then(() => Deno.exit(0));
  });
}
