/** Metrics: every answer is counted once, cheaply, after the answer, and for operators only. */
import assert from "node:assert/strict";
import checkAvailability from "../../functions/check-availability/index.ts";
import holdSlot from "../../functions/hold-slot/index.ts";
import metricsFunction from "../../functions/metrics/index.ts";
import { readConfig } from "../../shared/config.ts";
import type { Counter } from "../../shared/database/metrics.ts";
import { openLog } from "../../shared/logging.ts";
import { Recorder, type RecorderOptions, type SendCounts } from "../../shared/recording.ts";
import { createRuntime } from "../../shared/runtime.ts";
import {
  aClinic,
  aDay,
  aPhone,
  aRequest,
  type Bench,
  metricsToken,
  readSaid,
  testWithBench as test,
} from "../support/clinic.ts";
import { type TestDatabase, withDatabase } from "../support/database.ts";
import { readExposition, valueOf } from "../support/exposition.ts";
import { cpuMs } from "../support/processor.ts";

const calls = "master_orchestrator_tool_calls_total";

const scrape = (bench: Bench, token: string | null = metricsToken, query = "") => {
  const headers = new Headers(token === null ? {} : { authorization: `Bearer ${token}` });
  return metricsFunction.using(bench.runtime).fetch(
    new Request(`http://functions.test/${query}`, { headers }),
  );
};

const readMetrics = async (bench: Bench) => readExposition(await (await scrape(bench)).text());

test("the tools' answers are in the metrics at once: calls by outcome, latency by part", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  const call = { called: clinic.number, caller: aPhone(), callId: crypto.randomUUID() };
  const before = await readMetrics(bench);
  assert.equal(valueOf(before, calls), 0);
  const slotId = `consultation/${aDay()}T10:00`;
  await bench.ask(holdSlot, {
    ...call,
    tool: "hold_slot",
    args: { slotId, patientName: "Ada" },
  });
  await bench.ask(holdSlot, {
    ...call,
    tool: "hold_slot",
    args: { slotId: "no", patientName: "A" },
  });
  await bench.ask(checkAvailability, { ...call, tool: "check_availability" });
  await holdSlot.using(bench.runtime).fetch(aRequest({ tool: "hold_slot", secret: "wrong" }));
  const denied = { date: aDay(), serviceType: "consultation", tenantId: crypto.randomUUID() };
  await bench.ask(checkAvailability, { ...call, tool: "check_availability", args: denied });

  const families = await readMetrics(bench);
  assert.equal(valueOf(families, calls, { tool: "hold_slot", outcome: "held" }), 1);
  assert.equal(valueOf(families, calls, { tool: "hold_slot", outcome: "invalid_slot" }), 1);
  assert.equal(valueOf(families, calls, { outcome: "invalid_arguments" }), 1);
  assert.equal(valueOf(families, calls), 4);
  const total = "master_orchestrator_tool_duration_seconds_count";
  assert.equal(valueOf(families, total, { tool: "hold_slot" }), 2);
  const database = "master_orchestrator_tool_database_seconds_count";
  assert.equal(valueOf(families, database, { tool: "check_availability" }), 1);
  assert.equal(valueOf(families, "master_orchestrator_authentication_failures_total"), 1);
  assert.equal(valueOf(families, "master_orchestrator_cross_tenant_denials_total"), 1);
  assert.equal(valueOf(families, "master_orchestrator_holds_live"), 1);
  const audited = "master_orchestrator_audited_total";
  assert.equal(valueOf(families, audited, { action: "hold_slot", outcome: "held" }), 1);
});

test("metrics name no organization, caller or call", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  const call = { called: clinic.number, caller: aPhone(), callId: crypto.randomUUID() };
  const args = { slotId: `consultation/${aDay()}T10:00`, patientName: "Zacharias Quell" };
  const held = await bench.ask(holdSlot, { ...call, tool: "hold_slot", args });
  const text = await (await scrape(bench)).text() +
    await (await scrape(bench, metricsToken, "?format=json")).text();
  const secrets = [clinic.id, clinic.number, call.caller, call.callId, "Quell", held.holdId];
  for (const secret of secrets) assert.ok(!text.includes(String(secret)), String(secret));
});

test("metrics answer a bare 401 without the token, and to everybody while no token is set", async (bench) => {
  const wrong = [
    null,
    "",
    "wrong",
    metricsToken.slice(1),
    `${metricsToken}x`,
    "test-vapi-secret",
  ];
  for (const token of wrong) {
    const response = await scrape(bench, token);
    assert.equal(response.status, 401);
    assert.equal(await response.text(), "");
  }
  const unset = createRuntime(
    readConfig({ ...bench.environment, METRICS_TOKEN: "" }),
    openLog("error", () => {}),
  );
  for (const token of ["", "undefined", metricsToken]) {
    const headers = { authorization: `Bearer ${token}` };
    const request = new Request("http://f.test/", { headers });
    assert.equal((await metricsFunction.using(unset).fetch(request)).status, 401);
  }
  assert.equal(bench.restCalls.length, 0);
  assert.equal((await scrape(bench)).status, 200);
  assert.equal((await scrape(bench, metricsToken, "?format=json&minutes=0")).status, 400);
  assert.throws(
    () => readConfig({ ...bench.environment, METRICS_TOKEN: "short" }),
    /METRICS_TOKEN/,
  );
});

test("metrics answer 503 while the database does not answer", async (bench) => {
  const lines: string[] = [];
  const away = createRuntime(
    readConfig({ ...bench.environment, SUPABASE_URL: "http://127.0.0.1:9" }),
    openLog("error", (line) => lines.push(line)),
  );
  const headers = { authorization: `Bearer ${metricsToken}` };
  const request = new Request("http://f.test/", { headers });
  const response = await metricsFunction.using(away).fetch(request);
  assert.equal(response.status, 503);
  assert.ok(lines.some((line) => line.includes("metrics_failed")));
});

const count = async ({ sql }: TestDatabase, name: string) => {
  const [row] = await sql<{ n: number }[]>`
    select coalesce(sum((t ->> 'value')::float), 0)::float as n
    from jsonb_array_elements(public.read_metrics() -> 'totals') as t where t ->> 'name' = ${name}`;
  return row?.n;
};

Deno.test(
  "a batch that arrives many times at once counts once, and batches during reads lose nothing",
  () =>
    withDatabase(async (database) => {
      const record = (batch: string, value: number) =>
        database.sql`select public.record_metrics(${batch}, ${
          database.sql.json([
            { name: "tool_calls", labels: { tool: "b", outcome: "held" }, value },
            { name: "tool_calls", labels: { tool: "a", outcome: "held" }, value },
          ])
        }) ->> 'outcome' as outcome`;
      const batch = crypto.randomUUID();
      const same = await Promise.all(Array.from({ length: 20 }, () => record(batch, 1)));
      assert.equal(same.filter(([row]) => row?.["outcome"] === "recorded").length, 1);
      assert.equal(await count(database, "tool_calls"), 2);
      await Promise.all(Array.from({ length: 300 }, (_, index) =>
        index % 3 === 0 ? count(database, "tool_calls") : record(crypto.randomUUID(), 1)));
      assert.equal(await count(database, "tool_calls"), 402);
      const [left] = await database.sql`select count(*)::int as n from public.metric_events`;
      assert.equal(left?.["n"], 0);
    }),
);

Deno.test(
  "a transaction that is rolled back is not counted",
  () =>
    withDatabase(async (database) => {
      const clinic = await aClinic(database.sql);
      const deny = (sql: TestDatabase["sql"]) =>
        sql`select private.audit(${clinic.id}, null, 'hold_slot', null, 'held')`;
      await assert.rejects(database.sql.begin(async (sql) => {
        await sql`select private.audit(${clinic.id}, null, 'hold_slot', null, 'held')`;
        throw new Error("no");
      }));
      assert.equal(await count(database, "audit"), 0);
      await deny(database.sql);
      assert.equal(await count(database, "audit"), 1);
    }),
);

Deno.test(
  "reading the metrics after a million calls costs what it costs after a thousand",
  () =>
    withDatabase((few) =>
      withDatabase(async (many) => {
        // As isolates do: a batch sums up the answers since the last one.
        const fill = ({ sql }: TestDatabase, batches: number, calls: number) =>
          Promise.all(Array.from({ length: batches }, (_, index) => {
            const tool = `t${index % 4}`;
            const counts = [
              { name: "tool_calls", labels: { tool, outcome: `o${index % 7}` }, value: calls },
              {
                name: "tool_seconds_bucket",
                labels: { tool, part: "total", le: "0.1" },
                value: calls,
              },
            ];
            return sql`select public.record_metrics(gen_random_uuid(), ${sql.json(counts)})`;
          }));
        await Promise.all([fill(few, 28, 36), fill(many, 1000, 1000)]);
        assert.equal(await count(many, "tool_calls"), 1_000_000);
        const clinic = await aClinic(many.sql);
        await many.sql`
          insert into public.appointments (org_id, provider_id, service_id, patient_name,
            patient_phone, starts_at, ends_at, busy, session_key, status)
          select p.org_id, p.id, s.id, 'Ada', '+447700900456', t, t + interval '1 hour',
            tstzrange(t, t + interval '1 hour'), gen_random_uuid(), 'expired'
          from public.providers as p join public.services as s using (org_id),
            generate_series(now() - interval '20000 hours', now(), interval '1 hour') as t
          where p.org_id = ${clinic.id}`;
        await many.sql`insert into public.audit_logs (org_id, actor, action, outcome)
          select ${clinic.id}, 'system', 'test', 'ok' from generate_series(1, 20000)`;
        await many.admin`analyze`;
        const readers = { few: await few.sql.reserve(), many: await many.sql.reserve() };
        const scanned = async () => {
          await readers.many`select pg_stat_force_next_flush()`;
          const [row] = await readers.many`select sum(seq_tup_read)::int as n
            from pg_stat_user_tables where relname in ('appointments', 'audit_logs')`;
          return row?.["n"];
        };
        const before = await scanned();
        const times: Record<keyof typeof readers, number[]> = { few: [], many: [] };
        for (let round = 0; round < 15; round++) {
          for (const name of ["few", "many"] as const) {
            const before = await cpuMs(readers[name]);
            await readers[name]`select public.read_metrics()`;
            times[name].push(await cpuMs(readers[name]) - before);
          }
        }
        assert.equal(await scanned(), before, "history is scanned");
        const ratio = Math.min(...times.many) / Math.min(...times.few);
        assert.ok(ratio < 4, `${ratio.toFixed(1)} times as long`);
        // Counters and pending batches, however many calls there were.
        const [rows] = await many.sql`select (select count(*) from public.metric_totals)
          + (select count(*) from public.metric_minutes)
          + (select count(*) from public.metric_events) as n`;
        assert.ok(Number(rows?.["n"]) < 200);
        for (const reader of Object.values(readers)) reader.release();
      })
    ),
);

/** A recorder with a simulated database, and what arrived there. */
function aRecorder(send: SendCounts, more: RecorderOptions = {}) {
  const lines: string[] = [];
  const recorder = new Recorder(send, openLog("debug", (line) => lines.push(line)), {
    delayMs: 1,
    ...more,
  });
  const call = { tool: "hold_slot", outcome: "held", totalMs: 12 };
  return { recorder, lines, record: () => recorder.toolCall(call) };
}

const sumOf = (batches: Map<string, readonly Counter[]>) =>
  [...batches.values()].flat().filter(({ name }) => name === "tool_calls")
    .reduce((sum, { value }) => sum + value, 0);

Deno.test(
  "calls are recorded in few batches; one whose answer was lost is sent again unchanged",
  async () => {
    const arrived = new Map<string, readonly Counter[]>();
    let sends = 0;
    const { recorder, record } = aRecorder((batchId, counts) => {
      const before = arrived.get(batchId);
      if (before) assert.deepEqual(counts, before);
      arrived.set(batchId, counts);
      return ++sends % 2 === 1 ? Promise.reject(new Error("lost")) : Promise.resolve();
    });
    for (let index = 0; index < 1000; index++) {
      record();
      if (index % 250 === 249) await recorder.flush();
    }
    await recorder.flush();
    assert.equal(sumOf(arrived), 1000);
    assert.ok(sends <= 10, `${sends} sends`);
  },
);

Deno.test(
  "while the database is away counts are kept within bounds, then dropped with a log line",
  async () => {
    let isAway = true;
    const arrived = new Map<string, readonly Counter[]>();
    const { recorder, lines, record } = aRecorder((batchId, counts) => {
      if (isAway) return Promise.reject(new Error("away"));
      arrived.set(batchId, counts);
      return Promise.resolve();
    }, { attempts: 3, counterLimit: 10, delayMs: 1_000_000 });
    record();
    for (let attempt = 0; attempt < 3; attempt++) await recorder.flush();
    assert.equal(lines.filter((line) => line.includes("recording_delayed")).length, 2);
    assert.equal(lines.filter((line) => line.includes("recording_dropped")).length, 1);
    for (let index = 0; index < 5000; index++) {
      recorder.toolCall({ tool: `tool-${index}`, outcome: "held", totalMs: 1 });
    }
    isAway = false;
    await recorder.flush();
    assert.ok([...arrived.values()].flat().length <= 10);
    assert.ok(lines.some((line) => line.includes("too many different counters")));
  },
);

test("audit rows that came with a backup of another cluster are counted once", async ({ database }) => {
  const { sql, admin } = database;
  const write = async (count: number) => {
    for (let index = 0; index < count; index++) {
      await sql`select private.audit(gen_random_uuid(), null, 'test', null, 'ok')`;
    }
  };
  const count = async () => {
    await sql`select public.collect_metrics()`;
    const [row] = await sql`select value::int as n from public.metric_totals
      where labels ->> 'action' = 'test'`;
    return row?.["n"];
  };
  await write(3);
  assert.equal(await count(), 3);
  const ahead = (by: number) => `(pg_current_xact_id()::text::bigint + ${by})::text`;
  // The other cluster was slightly ahead, so this one will soon use the same ids.
  await admin.unsafe(`
    update public.audit_logs set transaction_id = ${ahead(20)}::xid8;
    update private.metric_progress set cluster = cluster + 1,
      seen = (${ahead(30)} || ':' || ${ahead(30)} || ':')::pg_snapshot`);
  // Written before the backup and not counted yet, and written here before the first count.
  await write(2);
  await admin.unsafe(`update public.audit_logs set transaction_id = ${ahead(100)}::xid8
    where at > (select counted_at from private.metric_progress)`);
  await write(50);
  assert.equal(await count(), 55);
  for (const more of [60, 20]) {
    const before = await count();
    await write(more);
    assert.equal(await count(), before + more);
  }
});

test("a database that takes recordings and stays silent delays no answer, and nothing is thrown", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  let batches = 0;
  const waiting: Promise<void>[] = [];
  Object.assign(globalThis, {
    EdgeRuntime: {
      waitUntil: (work: Promise<void>) => {
        waiting.push(work);
        throw new Error("not now");
      },
    },
  });
  const log = openLog("error", () => {});
  const recorder = new Recorder(
    () => {
      batches++;
      return new Promise(() => {});
    },
    log,
    { delayMs: 0 },
  );
  const runtime = { ...bench.runtime, recorder };
  const ask = async () => {
    const said = await readSaid(
      await checkAvailability.using(runtime).fetch(aRequest({
        tool: "check_availability",
        called: clinic.number,
        args: { date: aDay(), serviceType: "consultation" },
      })),
    );
    assert.equal(said.outcome, "available");
  };
  try {
    for (let index = 0; index < 5; index++) await ask();
    while (batches === 0) await new Promise((resolve) => setTimeout(resolve));
    for (let index = 0; index < 5; index++) await ask();
    assert.equal(batches, 1);
    assert.ok(waiting.length > 0, "the isolate is not asked to wait");
  } finally {
    Reflect.deleteProperty(globalThis, "EdgeRuntime");
  }
});
