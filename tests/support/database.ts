/**
 * A database of one's own for a test: a copy of one migrated template, on one cluster for the run.
 *
 * @module
 */

import { rmSync } from "node:fs";
import { join } from "node:path";
import postgres from "postgres";
import { migrate } from "../../supabase/local/migrations.ts";
import {
  defaultStateDir,
  type PostgresRole,
  startPostgres,
} from "../../supabase/local/postgres.ts";

/** Names the cluster of a run: the port of a server whose template is ready. */
export const clusterVariable = "TEST_POSTGRES_PORT";

/** A running cluster with its template. */
export interface TestCluster {
  readonly port: number;
  /** Ends the server and removes its files; waits for nothing when called while unloading. */
  stop(): Promise<void>;
}

/** One database of one test. */
export interface TestDatabase {
  readonly name: string;
  readonly port: number;
  /** As the role postgres, which is no superuser. */
  readonly sql: postgres.Sql;
  url(role?: PostgresRole): string;
  drop(): Promise<void>;
}

const template = "migrated";
let cluster: Promise<number> | undefined;

/** Starts a cluster without durability and migrates its template. */
export async function startTestCluster(): Promise<TestCluster> {
  const stateDir = join(defaultStateDir("test"), `run-${Deno.pid}`);
  const server = await startPostgres({ stateDir, durable: false, fresh: true });
  const sql = postgres(server.url(), { max: 1, onnotice: () => {} });
  await sql.unsafe(`create database ${template}`);
  await migrate(server.url({ database: template }), new URL("../../migrations/", import.meta.url));
  await sql.unsafe(`alter database ${template} with allow_connections false`);
  await sql.end();
  return {
    port: server.port,
    stop: async () => {
      const stopped = server.stop("immediate");
      await stopped;
      rmSync(stateDir, { recursive: true, force: true });
    },
  };
}

/** The port of the run's cluster; a test file run by hand starts one and ends it with itself. */
async function findCluster(): Promise<number> {
  const given = Deno.env.get(clusterVariable);
  if (given) return Number(given);
  const started = await startTestCluster();
  globalThis.addEventListener("unload", () => void started.stop());
  return started.port;
}

/** Makes a migrated, empty database. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const port = await (cluster ??= findCluster());
  const name = `test_${crypto.randomUUID().replaceAll("-", "")}`;
  const url = (role: PostgresRole = "postgres", database = name) =>
    `postgres://${role}:postgres@127.0.0.1:${port}/${database}`;
  const admin = postgres(url("supabase_admin", "postgres"), { max: 1, onnotice: () => {} });
  await admin.unsafe(
    `create database ${name} template ${template} strategy file_copy owner postgres`,
  );
  const sql = postgres(url(), { max: 10, onnotice: () => {} });
  return {
    name,
    port,
    sql,
    url: (role) => url(role),
    drop: async () => {
      await sql.end({ timeout: 5 });
      await admin.unsafe(`drop database ${name} with (force)`);
      await admin.end({ timeout: 5 });
    },
  };
}
