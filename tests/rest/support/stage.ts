/**
 * The corpus's database on a separate cluster, with a gateway.
 *
 * @module
 */
import assert from "node:assert/strict";
import postgres from "postgres";
import {
  createGateway,
  type Gateway,
  type GatewayOptions,
} from "../../../supabase/local/rest/gateway.ts";
import { type Cluster, startCluster } from "./cluster.ts";
import { corpusSecret, schemaSql, signToken } from "./corpus.ts";

/** What a test runs on; `db` is a superuser's connection. */
export interface Stage {
  readonly cluster: Cluster;
  readonly db: postgres.Sql;
  readonly gateway: Gateway;
  /** The database as the role authenticator. */
  readonly dbUrl: string;
}

/** One cluster for a file's tests, each with its own database. */
let shared: Promise<Cluster> | undefined;
Deno.test.afterAll(async () => await (await shared)?.stop());

/**
 * Sets up a stage, runs the test, and tears the stage down. `alone`: on its own cluster, which the test
 * may stop.
 */
export async function withStage(
  options: Partial<GatewayOptions>,
  test: (stage: Stage) => Promise<void>,
  { alone = false } = {},
): Promise<void> {
  const cluster = await (alone ? startCluster() : shared ??= startCluster());
  const name = `corpus_${crypto.randomUUID().replaceAll("-", "")}`;
  const admin = postgres(cluster.url("postgres"), { max: 1, onnotice: () => {} });
  await admin.unsafe(`create database ${name}`);
  await admin.end();
  const db = postgres(cluster.url(name), { max: 1, onnotice: () => {}, backoff: () => 0.05 });
  await db.unsafe(schemaSql());
  const dbUrl = cluster.url(name, "authenticator");
  const gateway = await createGateway({
    dbUrl,
    schemas: ["public", "extra"],
    jwtSecret: corpusSecret,
    ...options,
  });
  try {
    await test({ cluster, db, gateway, dbUrl });
  } finally {
    await gateway.close();
    await db.end({ timeout: 1 });
    if (alone) await cluster.stop();
  }
}

/** The header of a valid token for a role. */
export const bearer = (role: string): Record<string, string> => ({
  authorization: `Bearer ${signToken({ role }, corpusSecret)}`,
});

/** A POST of arguments to a function. */
export const rpc = (name: string, args: unknown, init: RequestInit = {}): Request =>
  new Request(`http://gateway/rpc/${name}`, {
    method: "POST",
    body: JSON.stringify(args),
    ...init,
    headers: {
      "content-type": "application/json",
      ...Object.fromEntries(new Headers(init.headers)),
    },
  });

/** Anything slower than this hangs, even on a busy machine. */
export const hangMs = 30_000;

/** Waits until a condition is true. @throws if it stays false */
export async function until(condition: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + hangMs;
  while (!await condition()) {
    assert.ok(Date.now() < end, "the condition did not come true");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Creates objects and waits until the gateway knows them. */
export async function define({ db, gateway }: Stage, sql: string): Promise<void> {
  const name = `known_${crypto.randomUUID().replaceAll("-", "")}`;
  await db.unsafe(`${sql};
    create function public.${name}() returns integer language sql as 'select 1';
    grant execute on all functions in schema public to anon, authenticated, service_role;
    notify pgrst`);
  await until(async () => (await gateway.fetch(rpc(name, {}))).status === 200);
}
