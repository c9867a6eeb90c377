/**
 * The gateway when the database or a caller goes away, and what one request can leave for the next.
 *
 * @module
 */
import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import postgres from "postgres";
import { bearer, define, hangMs, rpc, type Stage, until, withStage } from "./support/stage.ts";

/** The answer, unless the request hangs. */
async function inTime(answer: Promise<Response>): Promise<Response> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("a request hangs")), hangMs);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}

const naps = (db: postgres.Sql) => async () => {
  const [row] = await db<{ n: number }[]>`
    select count(*)::int as n from pg_stat_activity where query like '%nap%' and state = 'active'
      and pid <> pg_backend_pid() and datname = current_database()`;
  return row?.n ?? 0;
};

/** Occupies a connection of the gateway with a request that waits for a lock until it is released. */
async function occupy(stage: Stage) {
  const { db, dbUrl, gateway } = stage;
  await define(
    stage,
    `create function public.take_turn() returns text language plpgsql as $$
    begin
      perform pg_catalog.pg_advisory_xact_lock(1);
      return 'rested';
    end $$`,
  );
  const holder = postgres(dbUrl, { max: 1, onnotice: () => {} });
  await holder`select pg_advisory_lock(1)`;
  const answer = gateway.fetch(rpc("take_turn", {}));
  await until(async () =>
    (await db`select from pg_locks as l join pg_database as d on d.oid = l.database
      where l.locktype = 'advisory' and not l.granted and d.datname = current_database()`)
      .length === 1
  );
  return { answer, letGo: () => holder.end() };
}

Deno.test(
  "a database that restarts under load gives 503 and right answers again",
  async () => {
    await withStage({ acquisitionTimeoutMs: 2000 }, async ({ cluster, gateway }) => {
      const statuses = new Map<number, number>();
      let running = true;
      const callers = Array.from({ length: 10 }, async () => {
        while (running) {
          const answer = await inTime(gateway.fetch(rpc("add_numbers", { a: 1, b: 2 })));
          const body = await answer.json();
          statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
          if (answer.status === 200) assert.equal(body, 3);
          else assert.match(body.code, /^(?:PGRST00[01]|57P01)$/);
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
      });
      try {
        await until(() => Promise.resolve((statuses.get(200) ?? 0) > 50));
        await cluster.stopServer();
        await until(() => Promise.resolve((statuses.get(503) ?? 0) > 20));
        const away = await gateway.fetch(rpc("add_numbers", { a: 1, b: 2 }));
        assert.equal(away.status, 503);
        assert.equal((await away.json()).code, "PGRST000");
        assert.equal(away.headers.get("retry-after"), "0");
        await cluster.startServer();
        await until(
          async () => (await gateway.fetch(rpc("greet", { name: "x" }))).status === 200,
        );
      } finally {
        running = false;
        await Promise.all(callers);
      }
      assert.deepEqual([...statuses.keys()].sort(), [200, 503]);
    }, { alone: true });
  },
);

Deno.test(
  "notify pgrst shows a new function, even after the database was restarted",
  async () => {
    await withStage({}, async (stage) => {
      const { cluster, gateway } = stage;
      await define(stage, "select 1");
      await cluster.stopServer();
      await cluster.startServer();
      await until(async () => (await gateway.fetch(rpc("nothing", {}))).status === 204);
      await until(() => define(stage, "select 1").then(() => true, () => false));
    }, { alone: true });
  },
);

Deno.test(
  "an exhausted pool answers 504 PGRST003 after the acquisition timeout",
  async () => {
    await withStage({ poolSize: 1, acquisitionTimeoutMs: 150 }, async (stage) => {
      const { gateway } = stage;
      const long = await occupy(stage);
      const startedAt = performance.now();
      const answer = await gateway.fetch(rpc("add_numbers", { a: 1, b: 2 }));
      assert.equal(answer.status, 504);
      assert.equal((await answer.json()).code, "PGRST003");
      assert.ok(performance.now() - startedAt >= 140);
      await long.letGo();
      assert.equal((await long.answer).status, 200);
      assert.equal((await gateway.fetch(rpc("add_numbers", { a: 1, b: 2 }))).status, 200);
    });
  },
);

Deno.test(
  "requests whose callers stop waiting for a connection never start, and nobody waits behind them",
  async () => {
    await withStage({ poolSize: 1 }, async (stage) => {
      const { db, gateway } = stage;
      await define(
        stage,
        `create function public.write(code text) returns text language plpgsql security definer set search_path = '' as $$
      begin
        insert into public.rooms (code) values (code);
        return code;
      end $$`,
      );
      const long = await occupy(stage);
      const leaving = new AbortController();
      const waiting = Array.from(
        { length: 20 },
        () => gateway.fetch(rpc("write", { code: "left" }, { signal: leaving.signal })),
      );
      const staying = gateway.fetch(rpc("write", { code: "stayed" }));
      leaving.abort();
      // They are answered while the connection is still taken: none of them has to get it first.
      for (const left of waiting) assert.equal((await inTime(left)).status, 499);
      await long.letGo();
      assert.equal((await long.answer).status, 200);
      assert.equal((await inTime(staying)).status, 200);
      assert.deepEqual(
        (await db`select code from public.rooms where code in ('left', 'stayed')`).map(
          ({ code }) => code,
        ),
        ["stayed"],
      );
      assert.equal((await inTime(gateway.fetch(rpc("add_numbers", { a: 1, b: 2 })))).status, 200);
    });
  },
);

Deno.test(
  "a caller that leaves has its transaction rolled back and its connection given back clean",
  async () => {
    await withStage({ poolSize: 1 }, async (stage) => {
      const { db, gateway } = stage;
      await define(
        stage,
        `
      create function public.write_and_nap(code text) returns text language plpgsql security definer set search_path = '' as $$
      begin
        insert into public.rooms (code) values (code);
        perform pg_catalog.pg_sleep(300); -- nap
        return 'rested';
      end $$;`,
      );
      const leaving = new AbortController();
      const left = gateway.fetch(
        rpc("write_and_nap", { code: "left" }, { signal: leaving.signal }),
      );
      await until(async () => await naps(db)() === 1);
      leaving.abort();
      await inTime(left);
      const next = await inTime(gateway.fetch(rpc("transaction_mode", {})));
      assert.equal(next.status, 200);
      assert.equal(await naps(db)(), 0);
      const rooms = await db`select 1 from public.rooms where code = 'left'`;
      assert.equal(rooms.length, 0);
    });
  },
);

Deno.test("a request is dropped at once whenever its caller leaves", async () => {
  await withStage({ poolSize: 1 }, async ({ gateway }) => {
    for (let moment = 0; moment < 500; moment++) {
      const leaving = new AbortController();
      const left = gateway.fetch(rpc("nap", { seconds: 60 }, { signal: leaving.signal }));
      // Up to three milliseconds: the time in which the statements arrive one after another.
      const end = performance.now() + moment % 30 / 10;
      while (performance.now() < end) await new Promise((resolve) => setImmediate(resolve));
      leaving.abort();
      await inTime(left);
    }
  });
});

Deno.test("a caller that hangs up in the middle leaves nothing behind", async () => {
  await withStage({ poolSize: 1 }, async (stage) => {
    const { db, gateway } = stage;
    await define(
      stage,
      `create function public.write_and_nap(code text) returns text language plpgsql security definer set search_path = '' as $$
      begin
        insert into public.rooms (code) values (code);
        perform pg_catalog.pg_sleep(300); -- nap
        return 'rested';
      end $$`,
    );
    const server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      (request) => gateway.fetch(request),
    );
    try {
      const socket = await Deno.connect({ hostname: "127.0.0.1", port: server.addr.port });
      const body = '{"code":"hung up"}';
      const head =
        "POST /rpc/write_and_nap HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
      const request = `${head}Content-Length: ${body.length}\r\n\r\n${body}`;
      await socket.write(new TextEncoder().encode(request));
      await until(async () => await naps(db)() === 1);
      socket.close();
      const next = await inTime(gateway.fetch(rpc("add_numbers", { a: 1, b: 2 })));
      assert.equal(await next.json(), 3);
      assert.equal(await naps(db)(), 0);
      assert.equal((await db`select from public.rooms where code = 'hung up'`).length, 0);
    } finally {
      await server.shutdown();
    }
  });
});

Deno.test(
  "a terminated backend gives 503, and the next request gets another one",
  async () => {
    await withStage({ poolSize: 1 }, async (stage) => {
      const { db, gateway } = stage;
      await define(
        stage,
        `create function public.naps() returns setof text language sql volatile as $$ select public.nap(300) $$`,
      );
      const headers = { accept: "application/vnd.pgrst.object+json" };
      for (const cut of [rpc("nap", { seconds: 300 }), rpc("naps", {}, { headers })]) {
        const answering = gateway.fetch(cut);
        await until(async () => await naps(db)() === 1);
        await db`select pg_terminate_backend(pid) from pg_stat_activity
        where application_name = 'rest' and datname = current_database()`;
        const answer = await inTime(answering);
        assert.deepEqual([answer.status, (await answer.json()).code], [503, "57P01"]);
        const next = await inTime(gateway.fetch(rpc("add_numbers", { a: 1, b: 2 })));
        assert.equal(next.status, 200);
      }
    });
  },
);

Deno.test(
  "a body over the limit gets 413 and one that drips gets 408, and neither holds a connection",
  async () => {
    await withStage(
      { poolSize: 1, maxBodyBytes: 1000, bodyTimeoutMs: 100 },
      async ({ gateway }) => {
        const large = await gateway.fetch(rpc("greet", { name: "x".repeat(2000) }));
        assert.equal(large.status, 413);
        const drip = new ReadableStream<Uint8Array>({
          start: (controller) => controller.enqueue(new TextEncoder().encode('{"name":')),
        });
        const dripping = gateway.fetch(rpc("greet", {}, { body: drip }));
        assert.equal((await gateway.fetch(rpc("greet", { name: "y" }))).status, 200);
        assert.equal((await inTime(dripping)).status, 408);
      },
    );
  },
);

Deno.test(
  "no setting leaks from one request to the next on the same connection",
  async () => {
    await withStage({ poolSize: 1 }, async ({ gateway }) => {
      const ask = async (name: string, init: RequestInit = {}) =>
        await (await gateway.fetch(rpc(name, {}, init))).json();
      const expected = {
        anon: "anon",
        authenticated: "authenticated",
        service_role: "service_role",
      };
      await Promise.all(
        Array.from({ length: 30 }, (_, index) => Object.keys(expected)[index % 3] ?? "anon").map(
          async (role) => {
            assert.equal((await ask("whoami", { headers: bearer(role) })).user, role);
            assert.deepEqual(await ask("claims", { headers: bearer(role) }), { role });
          },
        ),
      );
      assert.equal(await ask("show_timeout", { headers: bearer("corpus_slow") }), "300ms");
      assert.equal(await ask("show_timeout"), "0");
      const extra = { headers: { "content-profile": "extra" } };
      assert.match(await ask("show_search_path", extra), /^"extra"/);
      assert.match(await ask("show_search_path"), /^"public"/);
      await ask("plain_raise", { headers: bearer("service_role") });
      assert.equal((await ask("whoami")).user, "anon");
    });
  },
);
