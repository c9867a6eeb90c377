/** `shared/metrics.ts` shows what the SQL and the functions count, under the same names. */
import assert from "node:assert/strict";
import { openLog } from "../../shared/logging.ts";
import { toPrometheus } from "../../shared/metrics.ts";
import { Recorder } from "../../shared/recording.ts";
import { readExposition } from "../support/exposition.ts";
import { readFunctions, readMigrations, withoutComments } from "../support/migrations.ts";
import { findCalls, resultsOf } from "../support/sql_text.ts";

type Counter = Parameters<typeof toPrometheus>[0]["totals"][number];

const sql = withoutComments(readMigrations().map(({ text }) => text).join("\n"));
const bodies = readFunctions(sql).map(({ body }) => body);
/** The arguments of every call of a function. */
const callsOf = (name: RegExp) =>
  bodies.flatMap((body) => findCalls(body, name).map(({ args }) => args));
const tallies = callsOf(/private\.tally/);

/** A literal without its quotes. */
function literal(text = ""): string {
  assert.match(text, /^'\w+'$/, `${text} is counted: write a literal`);
  return text.slice(1, -1);
}

function show(totals: readonly Counter[]) {
  const gauges = {
    holdsLive: 0,
    holdsLapsed: 0,
    passcodesWaiting: 0,
    cleanupLagSeconds: 0,
    overlaps: 0,
    indexRowsLost: 0,
    followUpsOpen: 0,
    followUpsKept: 0,
    followUpsLagSeconds: 0,
  };
  return readExposition(toPrometheus({ totals: [...totals], recent: [], gauges }));
}

/** Values of a label that a metric shows before anything is counted. */
function zerosOf(metric: string, label: string): (string | undefined)[] {
  const samples = show([]).get(`master_orchestrator_${metric}_total`)?.samples ?? [];
  return samples.map(({ labels }) => labels[label]).sort();
}

/** What the functions count, as reported by the recorder itself. */
async function recordedCounters(): Promise<Counter[]> {
  const counters: Counter[] = [];
  const send = (_batch: string, counts: readonly Counter[]) => {
    counters.push(...counts);
    return Promise.resolve();
  };
  const recorder = new Recorder(send, openLog("error"), { delayMs: 0 });
  recorder.toolCall({ tool: "t", outcome: "o", totalMs: 1, databaseMs: 1, smsMs: 1 });
  recorder.message("m", "o");
  recorder.authenticationFailure("f");
  await recorder.flush();
  return counters;
}

/** What the SQL counts: every action with every outcome, and its tallies. */
function sqlCounters(): Counter[] {
  const audits = callsOf(/private\.audit/);
  const actions = new Set(audits.flatMap(([, , action = ""]) => resultsOf(action)));
  const outcomes = new Set([
    ...audits.flatMap(([, , , , outcome = ""]) => resultsOf(outcome)),
    ...bodies.flatMap((body) => [...body.matchAll(/"outcome": "(\w+)"/g)].map(([, name]) => name)),
  ]);
  return [
    ...tallies.map(([name]) => ({ name: literal(name), labels: {}, value: 1 })),
    ...[...actions].flatMap((action) =>
      [...outcomes].map((outcome = "") => ({
        name: "audit",
        labels: { action, outcome },
        value: 1,
      }))
    ),
  ];
}

Deno.test("every counter is shown", async () => {
  const counters = [...await recordedCounters(), ...sqlCounters()];
  const all = show(counters);
  for (const name of new Set(counters.map((counter) => counter.name))) {
    const others = counters.filter((counter) => counter.name !== name);
    assert.notDeepEqual(all, show(others), `shared/metrics.ts does not show ${name}`);
  }
});

Deno.test("everything that is shown is counted", async () => {
  for (const [name, { type, samples }] of show([...await recordedCounters(), ...sqlCounters()])) {
    if (type === "gauge") continue;
    assert.ok(samples.some(({ value }) => value > 0), `nobody counts what ${name} shows`);
  }
});

Deno.test("the results of a text that the SQL counts are those that start at 0", () => {
  const results = callsOf(/private\.tally_text/).flatMap(([, result = ""]) => resultsOf(result));
  assert.deepEqual([...new Set(results)].sort(), zerosOf("sms", "result"));
});

Deno.test("the kinds of an alarm are those that start at 0, and all that is counted is of one", () => {
  const domain = sql.match(/create domain private\.alarm_kind[^;]*value in \(([^)]*)/)?.[1];
  const kinds = domain?.split(",").map((kind) => literal(kind.trim())).sort() ?? [];
  assert.deepEqual(kinds, zerosOf("alarms", "kind"));
  const counted = callsOf(/private\.(?:count_for_alarm|raise_alarm)/)
    // What is counted is raised by the kind that it was counted for.
    .filter(([, kind]) => kind !== "p_kind").map(([, kind]) => literal(kind));
  assert.deepEqual([...new Set(counted)].sort(), kinds);
});
