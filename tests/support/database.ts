/**
 * A private database for each test: a copy of one migrated template, on one cluster per run.
 *
 * The copy is cheap, but a new connection is not: it costs ten milliseconds of processor time, and the
 * first call of each entry function fifty more for parsing and planning. So a test gets the previous
 * test's database with its connections, emptied, as long as that test changed nothing but rows.
 *
 * @module
 */

import { rmSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import postgres from "postgres";
import { migrate } from "../../supabase/local/migrations.ts";
import { type PostgresRole, startPostgres } from "../../supabase/local/postgres.ts";
import { createGateway, type Gateway } from "../../supabase/local/rest/gateway.ts";
import { commandOf, takeFolder } from "../../supabase/local/postgres_cluster.ts";
import { testBinDir, testStateDir } from "./state_dir.ts";

/** Names the port of the run's cluster, whose template is ready. */
export const clusterVariable = "TEST_POSTGRES_PORT";

/** A running cluster with its template. */
export interface TestCluster {
  readonly port: number;
  /** Stops the server and removes its files. */
  stop(): Promise<void>;
  /** The same without waiting for anything but the disk. */
  stopNow(): void;
}

/** The database of one test. */
export interface TestDatabase {
  readonly name: string;
  readonly port: number;
  /** As the role postgres, which is not a superuser. */
  readonly sql: postgres.Sql;
  /** As the superuser supabase_admin. */
  readonly admin: postgres.Sql;
  url(role?: PostgresRole): string;
  /** `/rest/v1` of this database, as the functions reach it. */
  gateway(): Promise<Gateway>;
  /** Registers work for before the database is dropped, which may be after a later test. */
  beforeDrop(end: () => Promise<unknown>): void;
  /** Returns it: it is kept for the next test if it can be emptied, and dropped otherwise. */
  drop(): Promise<void>;
}

const template = "migrated";

/** What many hosted projects grant on every new object; the migrations must revoke it. */
export const grantingDefaults = ["tables", "sequences", "functions"].map((kind) =>
  `alter default privileges for role postgres in schema public
     grant all on ${kind} to anon, authenticated, service_role;`
).join("\n");

/** The migrations that every test's database has. */
export const migrations = new URL("../../migrations/", import.meta.url);
let cluster: Promise<number> | undefined;

/** Starts the run's cluster without durability and migrates its template. */
export async function startTestCluster(): Promise<TestCluster> {
  const stateDir = testStateDir(`test-${Deno.pid}`);
  await removeAbandoned(dirname(stateDir));
  const server = await startPostgres({
    stateDir,
    binDir: await testBinDir(),
    durable: false,
    fresh: true,
    settings: {
      max_connections: "600",
      ...{ wal_level: "minimal", max_wal_senders: "0" },
      // It would change plans in the middle of a test, and use processor time for rows that live for
      // seconds.
      autovacuum: "off",
    },
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
      // The server ends within milliseconds and may write until then.
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

/** Removes what killed runs left behind; a folder's name says which process it belongs to. */
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

/**
 * The port of the run's cluster. A test file that is run directly starts its own and stops it at its
 * end.
 */
async function findCluster(): Promise<number> {
  const given = Deno.env.get(clusterVariable);
  if (given) return Number(given);
  const started = await startTestCluster();
  // Asynchronous work no longer runs in this event.
  globalThis.addEventListener("unload", () => started.stopNow());
  return started.port;
}

/** Databases of this process that wait for their next test, and how to dispose of them. */
const idle: { readonly database: TestDatabase; readonly end: () => Promise<void> }[] = [];

/** Creates a migrated, empty database. */
export async function createTestDatabase(): Promise<TestDatabase> {
  return idle.pop()?.database ?? await copyTemplate();
}

// The cluster of a whole run outlives this file.
Deno.test.afterAll(async () => {
  await Promise.all(idle.splice(0).map(({ end }) => end()));
});

async function copyTemplate(): Promise<TestDatabase> {
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
  const untouched = await readTables(admin);
  const ends: (() => Promise<unknown>)[] = [];
  let gateway: Promise<Gateway> | undefined;
  const end = async () => {
    await Promise.all(ends.map((end) => end()));
    await Promise.all([sql.end({ timeout: 5 }), admin.end({ timeout: 5 })]);
    await maintenance.unsafe(`drop database ${name} with (force)`);
    await maintenance.end({ timeout: 5 });
  };
  const database: TestDatabase = {
    name,
    port,
    sql,
    admin,
    url: (role) => url(role),
    gateway: () => gateway ??= openGateway(database),
    beforeDrop: (end) => ends.push(end),
    drop: async () => {
      if (await empty(admin, untouched)) idle.push({ database, end });
      else await end();
    },
  };
  return database;
}

/** The API key of the gateways of the tests' databases. */
export const secretKey = "sb_secret_test";

async function openGateway(database: TestDatabase): Promise<Gateway> {
  const gateway = await createGateway({
    dbUrl: database.url("authenticator"),
    secretKey,
    jwtSecret: "test-jwt-secret-of-more-than-32-characters",
    basePath: "/rest/v1",
    acquisitionTimeoutMs: 40_000,
  });
  database.beforeDrop(() => gateway.close());
  return gateway;
}

/** The tables of a new database. */
interface Tables {
  /** Statements that empty the tables that are empty after the migrations. */
  readonly emptying: string;
  /** A query with one value, which changes with any other row, the schema, its statistics or settings. */
  readonly asking: string;
  readonly state: string;
}

const catalogs = [
  ...[
    "pg_class",
    "pg_attribute",
    "pg_type",
    "pg_constraint",
    "pg_index",
    "pg_trigger",
    "pg_rewrite",
  ],
  ...[
    "pg_proc",
    "pg_policy",
    "pg_namespace",
    "pg_default_acl",
    "pg_statistic",
    "pg_db_role_setting",
  ],
];

async function readTables(admin: postgres.Sql): Promise<Tables> {
  const rows = await admin<{ name: string; isEmpty: boolean }[]>`
    select format('%I.%I', n.nspname, c.relname) as name,
      (xpath('/row/n/text()', query_to_xml(format('select count(*) as n from %I.%I', n.nspname,
        c.relname), false, true, '')))[1]::text = '0' as "isEmpty"
    from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
    where c.relkind = 'r' and n.nspname not in ('pg_catalog', 'information_schema')`;
  const kept = rows.filter(({ isEmpty }) => !isEmpty).map(({ name }) => name);
  const asking = `select concat_ws(' ', ${
    [...catalogs, ...kept].map((name) =>
      `(select count(*) || ':' || max(xmin::text::bigint) from ${name})`
    ).join(", ")
  }) as state`;
  return {
    asking,
    emptying: rows.filter(({ isEmpty }) => isEmpty).map(({ name }) => `delete from ${name};`).join(
      " ",
    ),
    state: await readState(admin, asking),
  };
}

/** The state; empty if a table is gone. */
async function readState(admin: postgres.Sql, asking: string): Promise<string> {
  const [row] = await admin.unsafe<{ state: string }[]>(asking).catch(() => []);
  return row?.state ?? "";
}

/** Deletes what a test has written. @returns Whether the database is then like new. */
async function empty(admin: postgres.Sql, { asking, emptying, state }: Tables): Promise<boolean> {
  const [row] = await admin<{ others: number }[]>`
    select count(*)::int as others from pg_stat_activity where datname = current_database()
      and backend_type = 'client backend' and state <> 'idle' and pid <> pg_backend_pid()`;
  if (row?.others !== 0 || await readState(admin, asking) !== state) return false;
  // Without triggers: neither the order of the tables nor the protection of rows matters.
  return await admin.begin((transaction) =>
    transaction.unsafe(
      `set local session_replication_role = replica; set local lock_timeout = '1s'; ${emptying}`,
    ).simple()
  ).then(() => true, () => false);
}

/** Runs work with its own database. */
export async function withDatabase(work: (database: TestDatabase) => Promise<void>): Promise<void> {
  const database = await createTestDatabase();
  try {
    await work(database);
  } finally {
    await database.drop();
  }
}

/** Registers a test with its own database. */
export function testWithDatabase(
  name: string,
  work: (database: TestDatabase, t: Deno.TestContext) => Promise<void>,
): void {
  Deno.test(name, (t) => withDatabase((database) => work(database, t)));
}
