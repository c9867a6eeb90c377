/**
 * What a request's single batch promises: it is one transaction, committed or rolled back as a whole,
 * with the settings of its own request and no other's.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Gateway } from "../../supabase/local/rest/gateway.ts";
import { bearer, define, rpc, withStage } from "./support/stage.ts";

const ask = async (gateway: Gateway, name: string, args: unknown = {}, init: RequestInit = {}) => {
  const answer = await gateway.fetch(rpc(name, args, init));
  return { status: answer.status, body: await answer.json() };
};

const single = { headers: { accept: "application/vnd.pgrst.object+json" } };

Deno.test(
  "an error at commit is the answer, and nothing is stored",
  async () => {
    await withStage({ poolSize: 1 }, async (stage) => {
      const { db, gateway } = stage;
      await define(
        stage,
        `create table public.deferred (room integer references public.rooms deferrable initially deferred);
      create function public.defer_violation() returns setof text language plpgsql security definer as $$
      begin insert into public.deferred values (999); return next 'too early'; end $$`,
      );
      for (const init of [{}, single]) {
        const { status, body } = await ask(gateway, "defer_violation", {}, init);
        assert.deepEqual([status, body.code], [409, "23503"]);
      }
      assert.equal((await db`select from public.deferred`).length, 0);
      assert.equal((await ask(gateway, "add_numbers", { a: 1, b: 2 })).body, 3);
    });
  },
);

Deno.test("requests that must not write get 405 if they try", async () => {
  await withStage({ poolSize: 1 }, async ({ gateway }) => {
    const mode = { isolation: "read committed", read_only: "on" };
    assert.deepEqual((await ask(gateway, "transaction_mode_stable")).body, mode);
    assert.deepEqual((await ask(gateway, "sneaky_write")).status, 405);
    assert.deepEqual((await ask(gateway, "sneaky_write", {}, single)).status, 405);
    const byGet = await gateway.fetch(new Request("http://gateway/rpc/add_room?code=G1"));
    assert.deepEqual([byGet.status, (await byGet.json()).code], [405, "25006"]);
    // The next request on the same connection may write again.
    assert.equal((await ask(gateway, "add_room", { code: "G2" })).status, 200);
  });
});

Deno.test("two rows where one was asked for roll the call back", async () => {
  await withStage({ poolSize: 1 }, async ({ db, gateway }) => {
    const { status, body } = await ask(gateway, "add_two_rooms", {}, single);
    assert.deepEqual([status, body.code], [406, "PGRST116"]);
    assert.equal((await db`select from public.rooms where code in ('N1', 'N2')`).length, 0);
    assert.equal((await ask(gateway, "rooms_on", { level: 2 }, single)).status, 200);
  });
});

Deno.test("a deadlock and a failed serialization are answered at once", async () => {
  await withStage({}, async (stage) => {
    const { db, gateway } = stage;
    await define(
      stage,
      `create function public.take_both(first integer, second integer) returns void language plpgsql as $$
      begin
        perform pg_advisory_xact_lock(first);
        -- Until the other one has its first lock too.
        while (select count(*) from pg_locks where locktype = 'advisory' and granted and classid = 0) < 2 loop
          perform pg_sleep(0.01);
        end loop;
        perform pg_advisory_xact_lock(second);
      end $$`,
    );
    await db`alter system set deadlock_timeout = '50ms'`;
    await db`select pg_reload_conf()`;
    const answers = await Promise.all([[1, 2], [2, 1]].map(async ([first, second]) => {
      const answer = await gateway.fetch(rpc("take_both", { first, second }));
      return [answer.status, await answer.text()] as const;
    }));
    assert.deepEqual(answers.map(([status]) => status).sort(), [204, 500]);
    assert.match(answers.map(([, text]) => text).join(""), /"code":"40P01"/);
    const { status, body } = await ask(gateway, "fail_with", { state: "40001" });
    assert.deepEqual([status, body.code], [500, "40001"]);
  });
});

Deno.test(
  "a plan made for one role never lets another role call a forbidden function",
  async () => {
    await withStage({ poolSize: 1 }, async ({ gateway }) => {
      // PostgreSQL may keep a generic plan from the sixth execution on.
      for (let time = 0; time < 8; time++) {
        const staff = await ask(gateway, "staff_only", {}, { headers: bearer("authenticated") });
        assert.equal(staff.body, "staff authenticated");
      }
      const { status, body } = await ask(gateway, "staff_only");
      assert.deepEqual([status, body.code], [401, "42501"]);
    });
  },
);

Deno.test(
  "a statement that failed is prepared again, and answers correctly",
  async () => {
    await withStage({ poolSize: 1 }, async ({ gateway }) => {
      for (const word of ["ten", "10", "ten", "11"]) {
        const { status, body } = await ask(gateway, "to_number", { word });
        if (word === "ten") assert.deepEqual([status, body.code], [400, "22P02"]);
        else assert.deepEqual([status, body], [200, Number(word)]);
      }
    });
  },
);

Deno.test(
  "a column whose type changed is read correctly after notify pgrst",
  async () => {
    await withStage({ poolSize: 2 }, async (stage) => {
      const { gateway } = stage;
      const read = async () => {
        const answer = await gateway.fetch(new Request("http://gateway/changing?select=n&n=eq.7"));
        return { status: answer.status, body: await answer.json() };
      };
      await define(
        stage,
        `create table public.changing (n integer); insert into public.changing values (7);
       grant select on public.changing to anon`,
      );
      await Promise.all([read(), read()]);
      assert.deepEqual(await read(), { status: 200, body: [{ n: 7 }] });
      await define(stage, "alter table public.changing alter n type text");
      for (let time = 0; time < 4; time++) {
        assert.deepEqual(await read(), { status: 200, body: [{ n: "7" }] });
      }
    });
  },
);

Deno.test(
  "a value is written to a column with its length, or is too long for it",
  async () => {
    await withStage({}, async (stage) => {
      await define(
        stage,
        `create domain public.country as character(2) check (value ~ '^[A-Z]{2}$');
       create table public.sized (id integer primary key, fixed character(2), short varchar(3),
         bits bit(3), amount numeric(4, 1), of public.country, fixed_list character(2)[]);
       grant select, insert, update on public.sized to anon`,
      );
      const write = async (method: "POST" | "PATCH", body: object) => {
        const answer = await stage.gateway.fetch(
          new Request(`http://gateway/sized${method === "PATCH" ? "?id=eq.1" : ""}`, {
            method,
            headers: { "content-type": "application/json", prefer: "return=representation" },
            body: JSON.stringify(body),
          }),
        );
        return { status: answer.status, body: await answer.json() };
      };
      const row = { id: 1, fixed: "GB", short: "abc", bits: "101", amount: 12.3, of: "GB" };
      const made = await write("POST", { ...row, fixed_list: ["GB", "U"] });
      assert.deepEqual(made, { status: 201, body: [{ ...row, fixed_list: ["GB", "U "] }] });
      const changed = await write("PATCH", { fixed: "U", of: "US" });
      assert.deepEqual(changed.body, [{ ...row, fixed: "U ", of: "US", fixed_list: ["GB", "U "] }]);
      for (
        const long of [{ fixed: "GBR" }, { short: "abcd" }, { of: "GBR" }, { fixed_list: ["GBR"] }]
      ) {
        const refused = await write("PATCH", long);
        assert.deepEqual([refused.status, refused.body.code], [400, "22001"], JSON.stringify(long));
      }
      assert.equal((await write("PATCH", { of: "gb" })).body.code, "23514");
    });
  },
);

Deno.test(
  "a response header that is set twice has both values, and replaces ours",
  async () => {
    await withStage({}, async ({ gateway }) => {
      const set = [{ "X-Corpus-A": "1" }, { "x-corpus-a": "2" }, { "Content-Range": "0-0/9" }];
      const answer = await gateway.fetch(rpc("answer_with", { headers: JSON.stringify(set) }));
      assert.equal(answer.headers.get("x-corpus-a"), "1, 2");
      assert.equal(answer.headers.get("content-range"), "0-0/9");
    });
  },
);

Deno.test(
  "requests of many roles on one connection keep to their own settings",
  async () => {
    await withStage({ poolSize: 1 }, async ({ gateway }) => {
      const roles = ["anon", "authenticated", "service_role", "corpus_slow"];
      await Promise.all(Array.from({ length: 40 }, async (_, index) => {
        const role = roles[index % roles.length] ?? "anon";
        const headers = { ...bearer(role), "x-corpus-in": String(index) };
        const [who, timeout, header] = await Promise.all([
          ask(gateway, "whoami", {}, { headers }),
          ask(gateway, "show_timeout", {}, { headers }),
          ask(gateway, "request_header", { name: "x-corpus-in" }, { headers }),
        ]);
        assert.equal(who.body.user, role);
        assert.equal(timeout.body, role === "corpus_slow" ? "300ms" : "0");
        assert.equal(header.body, String(index));
      }));
    });
  },
);
