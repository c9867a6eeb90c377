/**
 * `deno task rest --db URL`: the gateway alone on any PostgreSQL 15 to 17, with PostgREST's settings
 * from the environment.
 *
 * @module
 */
import { defineTask, main, Misuse, Stop, untilSignal } from "../../tasks/task.ts";
import { createGateway, type GatewayOptions } from "./gateway.ts";

const usage = `deno task rest --db URL [--host 127.0.0.1] [--port 3000]
  serves /rest/v1 of any PostgreSQL 15 to 17; Ctrl-C stops it
  PGRST_DB_URI, PGRST_DB_SCHEMAS (public), PGRST_DB_EXTRA_SEARCH_PATH (public),
  PGRST_DB_ANON_ROLE (anon), PGRST_DB_MAX_ROWS, PGRST_DB_POOL (10),
  PGRST_DB_POOL_ACQUISITION_TIMEOUT (10 s), PGRST_JWT_SECRET, PGRST_SERVER_HOST and
  PGRST_SERVER_PORT mean what they mean to PostgREST; options take precedence.
  SUPABASE_PUBLISHABLE_KEY and SUPABASE_SECRET_KEY, when set, are the keys that every request needs.
  exit code 0: stopped by Ctrl-C, 1: it could not start, 2: a wrong argument or setting`;

/** The task. */
export const rest = defineTask({
  usage,
  options: { db: { type: "string" }, host: { type: "string" }, port: { type: "string" } },
  codeAfterSignal: 0,
  run: async ({ values }, { running, terminal }) => {
    const dbUrl = values.db ?? setting("PGRST_DB_URI");
    if (dbUrl === undefined) throw new Misuse("No database: give --db URL");
    if (!/^postgres(ql)?:\/\//.test(dbUrl)) {
      throw new Misuse("The database's URL must begin with postgres://");
    }
    const port = number("The port", values.port ?? setting("PGRST_SERVER_PORT")) ?? 3000;
    const hostname = values.host ?? setting("PGRST_SERVER_HOST") ?? "127.0.0.1";
    const options = readOptions(dbUrl);
    const gateway = await running.start(createGateway(options), (started) => started.close())
      .catch((thrown) => {
        throw new Stop(1, `Cannot read the database's catalogue: ${messageOf(thrown)}`);
      });
    const onListen = (at: { hostname: string; port: number }) =>
      terminal.print(`Listening on http://${at.hostname}:${at.port}`);
    try {
      const server = Deno.serve({ hostname, port, onListen }, (request) => gateway.fetch(request));
      await running.start(Promise.resolve(server), (started) => started.shutdown());
    } catch (thrown) {
      throw new Stop(1, `Cannot listen on ${hostname}:${port}: ${messageOf(thrown)}`);
    }
    return await untilSignal();
  },
});

const messageOf = (error: unknown): string => error instanceof Error ? error.message : "unknown";

/** A setting. An empty one counts as missing. */
const setting = (name: string): string | undefined => Deno.env.get(name) || undefined;

function number(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,9}$/.test(text)) throw new Misuse(`${name} must be a number, not "${text}"`);
  return Number(text);
}

const list = (name: string): string[] =>
  (setting(name) ?? "public").split(",").map((part) => part.trim()).filter((part) => part !== "");

function readOptions(dbUrl: string): GatewayOptions {
  const jwtSecret = setting("PGRST_JWT_SECRET");
  if (jwtSecret !== undefined && jwtSecret.length < 32) {
    throw new Misuse("PGRST_JWT_SECRET must be at least 32 characters long");
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

if (import.meta.main) await main(rest);
