// deno-lint-ignore-file no-console -- a command-line program
/**
 * `deno task rest --db URL`: the gateway alone on any PostgreSQL 15 to 17, with PostgREST's settings
 * from the environment.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { createGateway, type GatewayOptions } from "./gateway.ts";

const help = `deno task rest --db URL [--host 127.0.0.1] [--port 3000]

PGRST_DB_URI, PGRST_DB_SCHEMAS, PGRST_DB_EXTRA_SEARCH_PATH, PGRST_DB_ANON_ROLE, PGRST_DB_MAX_ROWS,
PGRST_DB_POOL, PGRST_DB_POOL_ACQUISITION_TIMEOUT (s), PGRST_JWT_SECRET, PGRST_SERVER_HOST,
PGRST_SERVER_PORT mean what they mean to PostgREST; SUPABASE_PUBLISHABLE_KEY and SUPABASE_SECRET_KEY,
when set, are the keys that every request needs.`;

function number(name: string): number | undefined {
  const text = Deno.env.get(name);
  if (text === undefined) return undefined;
  if (!/^\d+$/.test(text)) throw new Error(`${name} is "${text}", not a number`);
  return Number(text);
}

const list = (name: string, fallback: string): string[] =>
  (Deno.env.get(name) ?? fallback).split(",").map((part) => part.trim()).filter((part) =>
    part !== ""
  );

function readOptions(dbUrl: string): GatewayOptions {
  const optional = {
    jwtSecret: Deno.env.get("PGRST_JWT_SECRET"),
    publishableKey: Deno.env.get("SUPABASE_PUBLISHABLE_KEY"),
    secretKey: Deno.env.get("SUPABASE_SECRET_KEY"),
  };
  const { jwtSecret, publishableKey, secretKey } = optional;
  return {
    dbUrl,
    schemas: list("PGRST_DB_SCHEMAS", "public"),
    extraSearchPath: list("PGRST_DB_EXTRA_SEARCH_PATH", "public"),
    basePath: "/rest/v1", // optional: a request without it is taken as well
    anonRole: Deno.env.get("PGRST_DB_ANON_ROLE") ?? "anon",
    maxRows: number("PGRST_DB_MAX_ROWS") ?? null,
    poolSize: number("PGRST_DB_POOL") ?? 10,
    acquisitionTimeoutMs: (number("PGRST_DB_POOL_ACQUISITION_TIMEOUT") ?? 10) * 1000,
    ...(jwtSecret === undefined ? {} : { jwtSecret }),
    ...(publishableKey === undefined ? {} : { publishableKey }),
    ...(secretKey === undefined ? {} : { secretKey }),
  };
}

const { values } = parseArgs({
  options: {
    db: { type: "string" },
    host: { type: "string" },
    port: { type: "string" },
    help: { type: "boolean" },
  },
});
const dbUrl = values.db ?? Deno.env.get("PGRST_DB_URI");
if (values.help || dbUrl === undefined) {
  console.log(help);
  Deno.exit(values.help ? 0 : 2);
}
const gateway = await createGateway(readOptions(dbUrl));
const server = Deno.serve({
  hostname: values.host ?? Deno.env.get("PGRST_SERVER_HOST") ?? "127.0.0.1",
  port: values.port === undefined ? number("PGRST_SERVER_PORT") ?? 3000 : Number(values.port),
  onListen: ({ hostname, port }) => console.log(`Listening on http://${hostname}:${port}`),
}, (request) => gateway.fetch(request));

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  Deno.addSignalListener(signal, () => {
    void server.shutdown().then(() => gateway.close()).then(() => Deno.exit(0));
  });
}
