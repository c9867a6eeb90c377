/** The launcher: persistent state, servers that outlived their runner, ports and folders in use. */
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import type postgres from "postgres";
import { withConnection } from "../../supabase/local/connection.ts";
import {
  type PostgresOptions,
  type PostgresServer,
  startPostgres,
} from "../../supabase/local/postgres.ts";
import { testBinDir, testStateDir } from "../support/state_dir.ts";

/**
 * Creates one cluster. Each test starts with a copy of its files, so that no test waits for another's.
 */
const made = (async () => {
  const stateDir = folderOf("made");
  const server = await startPostgres({ stateDir, binDir: await testBinDir(), durable: false });
  await server.stop();
  return stateDir;
})();

function folderOf(purpose: string): string {
  return testStateDir(`test-${Deno.pid}-${purpose}`);
}

Deno.test.afterAll(async () => rmSync(await made, { recursive: true, force: true }));

/** Runs a test with its own folder and stops what it started. */
async function withFolder(
  test: (start: (more?: Partial<PostgresOptions>) => Promise<PostgresServer>) => Promise<void>,
): Promise<void> {
  const stateDir = folderOf(crypto.randomUUID());
  const binDir = await testBinDir();
  const started: PostgresServer[] = [];
  try {
    await copy(await made, stateDir);
    await test(async (more) => {
      const server = await startPostgres({ stateDir, binDir, durable: false, ...more });
      started.push(server);
      return server;
    });
  } finally {
    for (const server of started) await server.stop("immediate");
    rmSync(stateDir, { recursive: true, force: true });
  }
}

/** Copies a folder with owners and modes, which PostgreSQL insists on. */
async function copy(from: string, to: string): Promise<void> {
  const { success } = await new Deno.Command("cp", { args: ["-Rp", from, to] }).output();
  assert.ok(success, `${from} cannot be copied`);
}

async function ask<Row extends postgres.Row>(url: string, query: string): Promise<Row[]> {
  return await withConnection(url, async (sql) => {
    return await sql.unsafe<Row[]>(query);
  });
}

Deno.test("a cluster keeps its state across a restart, and --fresh starts empty", () =>
  withFolder(async (start) => {
    const first = await start();
    await ask(first.url(), "create table kept as select 'it' as what");
    await first.stop();
    const second = await start();
    assert.deepEqual([...await ask(second.url(), "select what from kept")], [{ what: "it" }]);
    await second.stop();
    const third = await start({ fresh: true });
    await assert.rejects(ask(third.url(), "select what from kept"), /does not exist/);
  }));

Deno.test("a cluster without its version is damaged, and the message names its folder", async () => {
  const stateDir = folderOf(crypto.randomUUID());
  const binDir = await testBinDir();
  try {
    await copy(await made, stateDir);
    rmSync(`${stateDir}/data/PG_VERSION`);
    const start = startPostgres({ stateDir, binDir, durable: false });
    await assert.rejects(start, {
      message: new RegExp(`^Cannot use ${stateDir}/data: it is damaged`),
    });
  } finally {
    rmSync(stateDir, { recursive: true, force: true });
  }
});

Deno.test("a server that outlived its runner is stopped, with its state kept", () =>
  withFolder(async (start) => {
    const left = await start();
    await ask(left.url(), "create table kept as select 'it' as what");
    // Nobody stops it: the next start has to.
    const next = await start();
    assert.notEqual(next.pid, left.pid);
    assert.deepEqual([...await ask(next.url(), "select what from kept")], [{ what: "it" }]);
  }));

Deno.test("clusters started at once get a port each", async () => {
  const folders = [0, 1, 2].map(() =>
    withFolder(async (start) => {
      const server = await start();
      const [row] = await ask<{ port: number }>(server.url(), "select inet_server_port() as port");
      assert.equal(row?.port, server.port);
    })
  );
  await Promise.all(folders);
});

Deno.test("a port that is taken is reported at once", () =>
  withFolder(async (start) => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr;
    await assert.rejects(start({ port }), /did not start.* on port \d+: .*Address already in use/);
    await start();
  }));

Deno.test("the server listens on the loopback only, and postgres has the rights it has when hosted", () =>
  withFolder(async (start) => {
    const server = await start();
    const [row] = await ask(
      server.url(),
      `select current_setting('listen_addresses') as address, rolsuper, rolcreaterole, rolcreatedb,
         rolbypassrls, upper('é') as upper, to_regnamespace('extensions') is not null as extensions,
         has_table_privilege('auth.users', 'references') as references
       from pg_roles where rolname = current_user`,
    );
    assert.deepEqual(row, {
      address: "127.0.0.1",
      rolsuper: false,
      rolcreaterole: true,
      rolcreatedb: true,
      rolbypassrls: true,
      upper: "É",
      extensions: true,
      references: true,
    });
    const [api] = await ask(
      server.url({ role: "authenticator" }),
      `select current_setting('statement_timeout') as statement, current_setting('lock_timeout') as lock,
         pg_has_role('anon', 'member') and pg_has_role('authenticated', 'member')
           and pg_has_role('service_role', 'member') as member`,
    );
    assert.deepEqual(api, { statement: "8s", lock: "8s", member: true });
  }));
