/**
 * The plans of the statements inside the functions, at full length with a million live and a million
 * expired holds.
 */
import assert from "node:assert/strict";
import postgres from "postgres";
import { type TestDatabase, testWithDatabase } from "../support/database.ts";
import { atLength } from "../support/length.ts";
import { calledNumber, expire, fill, settle } from "../support/many_clinics.ts";

const { rows, clinics, doctors } = atLength({
  // More than a thousand for each doctor in both lengths, so that a plan that reads all of them is noticed.
  short: { rows: 24_000, clinics: 4, doctors: 5 },
  full: { rows: 1_000_000, clinics: 20, doctors: 20 },
});
/** With few rows and no statistics, any index looks good to the planner, and is. */
const states = atLength<readonly ("before" | "after")[]>({
  short: ["after"],
  full: ["before", "after"],
});
/**
 * As the functions set it. At full length also with every statement planned each time, and planned only
 * once.
 */
const planModes = atLength<readonly (string | null)[]>({
  short: [null],
  full: [null, "force_custom_plan", "force_generic_plan"],
});
/** How many rows of `appointments` one node may read: some days of one doctor. */
const mostRows = 400;

/** The fields of a plan node that are checked. */
interface PlanNode {
  readonly "Node Type": string;
  readonly "Relation Name"?: string;
  readonly "Index Name"?: string;
  readonly "Actual Rows"?: number;
  readonly "Actual Loops"?: number;
  readonly "Rows Removed by Filter"?: number;
  readonly "Rows Removed by Index Recheck"?: number;
  readonly Plans?: readonly PlanNode[];
}

/** A statement that ran, with its plan. */
interface Explained {
  readonly "Query Text": string;
  readonly Plan: PlanNode;
  readonly JIT?: unknown;
}

testWithDatabase(
  `a claim and a look at the calendar read few rows of ${rows}, live or expired`,
  async (database, test) => {
    const { sql, admin } = database;
    await settle(sql, { clinics, doctors });
    await admin`alter table public.appointments set (autovacuum_enabled = false)`;
    await fill(admin, { rows, expired: false });
    for (const kind of ["live", "expired"] as const) {
      if (kind === "expired") await expire(admin);
      for (const state of states) {
        if (state === "after") await admin`analyze public.appointments`;
        for (const mode of planModes) {
          const name = `${kind} holds, ${state} analyze, ${mode ?? "planned as the functions say"}`;
          await withPlanMode(
            mode,
            admin,
            () => test.step(name, () => checkPlans(database, kind === "expired")),
          );
        }
      }
    }
  },
);

/** Sets how entry functions, and those with their own setting, are planned while work runs. */
async function withPlanMode(
  mode: string | null,
  admin: postgres.Sql,
  work: () => Promise<unknown>,
): Promise<void> {
  const functions = await admin<{ signature: string; own: string | null }[]>`
    select p.oid::regprocedure as signature, (
      select split_part(c, '=', 2) from unnest(p.proconfig) as c where c like 'plan_cache_mode=%') as own
    from pg_proc as p
    where p.prosecdef and p.pronamespace = 'public'::regnamespace
      or p.proconfig::text like '%plan_cache_mode%'`;
  for (const { signature } of mode === null ? [] : functions) {
    await admin.unsafe(`alter function ${signature} set plan_cache_mode = ${mode}`);
  }
  await work();
  for (const { signature, own } of mode === null ? [] : functions) {
    const change = own === null ? "reset plan_cache_mode" : `set plan_cache_mode = ${own}`;
    await admin.unsafe(`alter function ${signature} ${change}`);
  }
}

async function checkPlans(database: TestDatabase, expired: boolean): Promise<void> {
  const explained: Explained[] = [];
  const sql = postgres(database.url("supabase_admin"), {
    max: 1,
    onnotice: ({ message }) => {
      const plan = message?.match(/plan:\n(\{.*)/s)?.[1];
      if (plan !== undefined) explained.push(JSON.parse(plan));
    },
  });
  try {
    await sql.unsafe(`
      load 'auto_explain';
      set auto_explain.log_min_duration = 0;
      set auto_explain.log_nested_statements = on;
      set auto_explain.log_analyze = on;
      set auto_explain.log_timing = off;
      set auto_explain.log_format = json;
      set auto_explain.log_level = notice`);
    const day = new Date(Date.now() + 5 * 86_400_000).toISOString().slice(0, 10);
    const call = (id: string, callerNumber?: string) =>
      JSON.stringify({ calledNumber: calledNumber(3), callId: id, callerNumber });
    const phones = new Map<string, string>();
    const claim = async (slot: string, id: string = crypto.randomUUID()) => {
      const phone = phones.get(id) ?? `+44770090${1000 + phones.size}`;
      phones.set(id, phone);
      const [row] = await sql<{ outcome: string }[]>`
        select public.claim_slot_atomic(${call(id, phone)}::text::jsonb,
          ${`consultation/${day}T${slot}`}, 'Ada Brown', ${phone}, 'GB') ->> 'outcome' as outcome`;
      return row?.outcome;
    };
    // Often enough for cached plans.
    for (let time = 0; time < 8; time++) {
      assert.equal(await claim(`1${time}:30/doctor-4`), "held");
      assert.equal(await claim(`0${time}:30`), "held");
    }
    const again = crypto.randomUUID();
    assert.equal(await claim("20:30/doctor-4", again), "held");
    assert.equal(await claim("20:30/doctor-4", again), "held");
    assert.equal(await claim("20:30/doctor-4"), "slot_taken");
    assert.equal(await claim("21:00/doctor-4"), expired ? "held" : "slot_taken");
    for (const days of [1, 14]) {
      const [row] = await sql<{ total: number }[]>`
        select (public.check_availability(${
        call("x")
      }::text::jsonb, 'consultation', to_jsonb(${day}::date),
          ${days}) ->> 'total')::integer as total`;
      assert.ok((row?.total ?? 0) > 0);
    }
    // Eleven on this day are still held; they are deleted, so that every round finds the same.
    await sql`delete from public.appointments where call_id is not null and patient_country = 'GB'`;
    assert.ok(explained.length > 300, "auto_explain said nothing");

    for (const { "Query Text": text, Plan: plan, JIT: jit } of explained) {
      if (/^\s*delete/.test(text)) continue;
      assert.equal(jit, undefined, `compiled: ${text}`);
      for (const node of nodesOf(plan)) {
        assert.notEqual(node["Index Name"], "appointments_no_overlap", text);
        if (node["Relation Name"] !== "appointments") continue;
        const what = `${node["Node Type"]} ${node["Index Name"] ?? ""}: ${text}`;
        assert.notEqual(node["Node Type"], "Seq Scan", what);
        assert.notEqual(node["Index Name"], "appointments_expiring", what);
        const read = (node["Actual Rows"] ?? 0) + (node["Rows Removed by Filter"] ?? 0) +
          (node["Rows Removed by Index Recheck"] ?? 0);
        assert.ok(read <= mostRows, `read ${read} rows by ${what}`);
      }
    }

    explained.length = 0;
    await sql`select public.cleanup_expired_holds(100)`;
    const cleanUp = explained.flatMap(({ Plan: plan }) => nodesOf(plan))
      .filter((node) => node["Relation Name"] === "appointments");
    assert.ok(
      cleanUp.every((node) => node["Node Type"] !== "Seq Scan"),
      "the clean-up reads all rows",
    );

    explained.length = 0;
    await sql`select public.watch_overlaps(1)`;
    const watched = explained.flatMap(({ Plan: plan }) => nodesOf(plan))
      .filter((node) => node["Relation Name"] === "appointments");
    assert.ok(watched.length > 0);
    for (const node of watched) {
      assert.notEqual(node["Node Type"], "Seq Scan", "the watch reads all rows");
      assert.notEqual(node["Index Name"], "appointments_no_overlap");
      assert.ok((node["Actual Loops"] ?? 0) < 10, "the watch compares every row with the others");
    }
  } finally {
    await sql.end({ timeout: 5 });
  }
}

function nodesOf(plan: PlanNode): PlanNode[] {
  return [plan, ...(plan.Plans ?? []).flatMap(nodesOf)];
}
