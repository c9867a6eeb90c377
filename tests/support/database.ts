/**
 * A database of one's own for a test: a copy of one migrated template, on one cluster for the run.
 *
 * @module
 */

import { rmSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import postgres from "postgres";
import { migrate } from "../../supabase/local/migrations.ts";
import { type PostgresRole, startPostgres } from "../../supabase/local/postgres.ts";
import { commandOf, takeFolder } from "../../supabase/local/postgres_cluster.ts";
import { testBinDir, testStateDir } from "./state_dir.ts";
import { testWithConnections } from "./test.ts";

/** Names the cluster of a run: the port of a server whose template is ready. */
export const clusterVariable = "TEST_POSTGRES_PORT";

/** A running cluster with its template. */
export interface TestCluster {
  readonly port: number;
  /** Ends the server and removes its files. */
  stop(): Promise<void>;
  /** The same without waiting for anything but the disk. */
  stopNow(): void;
}

/** One database of one test. */
export interface TestDatabase {
  readonly name: string;
  readonly port: number;
  /** As the role postgres, which is no superuser. */
  readonly sql: postgres.Sql;
  /** As the superuser supabase_admin. */
  readonly admin: postgres.Sql;
  url(role?: PostgresRole): string;
  drop(): Promise<void>;
}

const template = "migrated";

/** What many hosted projects grant on all that is made later; the migrations must take it back. */
export const grantingDefaults = ["tables", "sequences", "functions"].map((kind) =>
  `alter default privileges for role postgres in schema public
     grant all on ${kind} to anon, authenticated, service_role;`
).join("\n");

/** The migrations that every test's database has. */
export const migrations = new URL("../../migrations/", import.meta.url);
let cluster: Promise<number> | undefined;

/** Starts a cluster of this run without durability and migrates its template. */
export async function startTestCluster(): Promise<TestCluster> {
  const stateDir = testStateDir(`test-${Deno.pid}`);
  await removeAbandoned(dirname(stateDir));
  const server = await startPostgres({
    stateDir,
    binDir: await testBinDir(),
    durable: false,
    fresh: true,
    settings: { max_connections: "600", wal_level: "minimal", max_wal_senders: "0" },
  });
  const sql = postgres(server.url(), { max: 1, onnotice: () => {} });
  try {
    await sql.unsafe(`create database ${template}`);
    const url = (role: PostgresRole) => server.url({ role, database: template });
    await runOnce(url("supabase_admin"), grantingDefaults);
    await migrate(url("postgres"), migrations);
    await sql.unsafe(`alter database ${template} with allow_connections false`);
  } catch (thrown) {
    await server.stop("immediate");
    throw thrown;
  } finally {
    await sql.end();
  }
  return {
    port: server.port,
    stop: async () => {
      await server.stop("immediate");
      rmSync(stateDir, { recursive: true, force: true });
    },
    stopNow: () => {
      Deno.kill(server.pid, "SIGQUIT");
      // It ends within milliseconds, and may write until then.
      rmSync(stateDir, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
    },
  };
}

async function runOnce(url: string, text: string): Promise<void> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    await sql.unsafe(text);
  } finally {
    await sql.end();
  }
}

/** Removes what runs left behind that were killed; the folder's name says whose it is. */
async function removeAbandoned(home: string): Promise<void> {
  const names = await readdir(home).catch(() => []);
  for (const name of names) {
    const pid = name.match(/^test-(\d+)/)?.[1];
    if (!pid || (await commandOf(Number(pid))).includes("deno")) continue;
    const stateDir = join(home, name);
    // Another run may be removing it too.
    await takeFolder(stateDir)
      .then(() => rm(stateDir, { recursive: true, force: true }))
      .catch(() => {});
  }
}

/** The port of the run's cluster; a test file run by hand starts one and ends it with itself. */
async function findCluster(): Promise<number> {
  const given = Deno.env.get(clusterVariable);
  if (given) return Number(given);
  const started = await startTestCluster();
  // Nothing asynchronous happens any more when this is told.
  globalThis.addEventListener("unload", () => started.stopNow());
  return started.port;
}

/** Makes a migrated, empty database. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const port = await (cluster ??= findCluster());
  const name = `test_${crypto.randomUUID().replaceAll("-", "")}`;
  const url = (role: PostgresRole = "postgres", database = name) =>
    `postgres://${role}:postgres@127.0.0.1:${port}/${database}`;
  const maintenance = postgres(url("supabase_admin", "postgres"), { max: 1, onnotice: () => {} });
  await maintenance.unsafe(
    `create database ${name} template ${template} strategy file_copy owner postgres`,
  );
  const sql = postgres(url(), { max: 10, onnotice: () => {} });
  const admin = postgres(url("supabase_admin"), { max: 2, onnotice: () => {} });
  return {
    name,
    port,
    sql,
    admin,
    url: (role) => url(role),
    drop: async () => {
      await Promise.all([sql.end({ timeout: 5 }), admin.end({ timeout: 5 })]);
      await maintenance.unsafe(`drop database ${name} with (force)`);
      await maintenance.end({ timeout: 5 });
    },
  };
}

/** Does something on a database of its own. */
export async function withDatabase(work: (database: TestDatabase) => Promise<void>): Promise<void> {
  const database = await createTestDatabase();
  try {
    await work(database);
  } finally {
    await database.drop();
  }
}

/** Registers a test on a database of its own. */
export function testWithDatabase(
  name: string,
  work: (database: TestDatabase, t: Deno.TestContext) => Promise<void>,
): void {
  testWithConnections(name, (t) => withDatabase((database) => work(database, t)));
}
