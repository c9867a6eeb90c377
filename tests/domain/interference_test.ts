/**
 * Before a proof, nothing reveals what is stored. Unproven calls to pairs of clinics, one with
 * appointments and one without, hear the same, cost the same and leave the same rows.
 *
 * INTERFERENCE_SEED repeats a run.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import cancelAppointment from "../../functions/cancel-appointment/index.ts";
import findAppointments from "../../functions/find-appointments/index.ts";
import rescheduleAppointment from "../../functions/reschedule-appointment/index.ts";
import sendOtp from "../../functions/send-otp/index.ts";
import verifyOtp from "../../functions/verify-otp/index.ts";
import { writeClock } from "../../supabase/tasks/clinic/notation.ts";
import { aCaller, openLines, readCode, sendCode } from "../support/callers.ts";
import { atLength } from "../support/length.ts";
import {
  aClinic,
  aDay,
  aRequest,
  type Bench,
  type Clinic,
  readSaid,
  testWithBench as test,
} from "../support/clinic.ts";

const seed = Number(Deno.env.get("INTERFERENCE_SEED") ?? Math.floor(Math.random() * 1e9));
const { pairs, timedPairs } = atLength({
  short: { pairs: 8, timedPairs: 24 },
  full: { pairs: 100, timedPairs: 1000 },
});

const tools = {
  cancel_appointment: cancelAppointment,
  reschedule_appointment: rescheduleAppointment,
  find_appointments: findAppointments,
  send_otp: sendOtp,
  verify_otp: verifyOtp,
};

/** A caller's question; `slot` counts half hours of a day without appointments. */
type Question =
  | { readonly tool: "cancel_appointment" | "find_appointments"; readonly args: object }
  | { readonly tool: "reschedule_appointment"; readonly args: object; readonly slot: number }
  | { readonly tool: "send_otp" | "verify_otp"; readonly args: object };

/** An appointment that one of the two clinics has. */
interface Stored {
  readonly name: string;
  readonly time: string;
  readonly day: number;
  readonly state: "confirmed" | "cancelled" | "past" | "held";
}

const names = ["Ada Brown", "Ben Brown", "Zoë O'Brien-Núñez", "Cleo Stone", "Ada"];
const times = ["09:00", "11:30", "15:00"];
const name = fc.constantFrom(...names, "Ada Maria Brown", "Brown", "nobody at all");
const said = fc.record({
  appointmentDate: fc.option(fc.constantFrom(aDay(5), aDay(6)), { nil: undefined }),
  appointmentTime: fc.option(fc.constantFrom(...times), { nil: undefined }),
  providerName: fc.option(fc.constantFrom("Dr Number 1", "Number 2", "Smith"), { nil: undefined }),
  appointmentId: fc.option(fc.uuid(), { nil: undefined }),
});
const question: fc.Arbitrary<Question> = fc.oneof(
  fc.tuple(name, said).map(([patientName, more]) => ({
    tool: "cancel_appointment" as const,
    args: { patientName, ...more },
  })),
  fc.tuple(name, said, fc.integer({ min: 0, max: 20 })).map(([patientName, more, slot]) => ({
    tool: "reschedule_appointment" as const,
    args: { patientName, ...more },
    slot,
  })),
  name.map((patientName) => ({ tool: "find_appointments" as const, args: { patientName } })),
  fc.constant({ tool: "send_otp" as const, args: {} }),
  fc.constantFrom("000000", "123456", "999999").map((code) => ({
    tool: "verify_otp" as const,
    args: { code },
  })),
);
const stored: fc.Arbitrary<Stored> = fc.record({
  name: fc.constantFrom(...names),
  time: fc.constantFrom(...times),
  day: fc.constantFrom(5, 6),
  state: fc.constantFrom("confirmed", "confirmed", "confirmed", "cancelled", "past", "held"),
});

let phones = 0;
/** Two numbers with the same last digits, since the answer repeats them. */
const twoPhones = () => {
  const digits = String(phones++).padStart(7, "0");
  return [`+44771${digits}`, `+44772${digits}`] as const;
};

/** Inserts an appointment, with its contact, as if it had been booked long ago. */
async function store({ database: { sql } }: Bench, clinic: Clinic, phone: string, one: Stored) {
  await sql`
    with contact as (
      insert into public.contacts (org_id, phone, name) values (${clinic.id}, ${phone}, ${one.name})
      on conflict (org_id, phone) do update set name = excluded.name returning id
    ), time as (
      select (${`${aDay(one.day)} ${one.time}`}::timestamp at time zone ${clinic.zone})
        - case when ${one.state} = 'past' then interval '30 days' else interval '0' end as at
    )
    insert into public.appointments (
      org_id, provider_id, service_id, contact_id, patient_name, patient_phone, patient_country,
      starts_at, ends_at, busy, session_key, status, expires_at
    )
    select ${clinic.id}, p.id, s.id, contact.id, ${one.name}, ${phone}, 'GB', time.at,
      time.at + interval '30 minutes', tstzrange(time.at, time.at + interval '30 minutes'),
      gen_random_uuid(), case ${one.state} when 'past' then 'completed' else ${one.state} end,
      case when ${one.state} = 'held' then clock_timestamp() + interval '9 minutes' end
    from contact, time, public.providers as p
    join public.services as s on s.org_id = p.org_id
    where p.org_id = ${clinic.id}
    order by p.name limit 1
    on conflict do nothing`;
}

/**
 * What a call hears and leaves, without its own ids and the seconds that have passed, and how many
 * milliseconds it waited for answers. The text itself is sent after the answers.
 */
async function talk(
  bench: Bench,
  clinic: Clinic,
  phone: string,
  questions: readonly Question[],
) {
  const callId = crypto.randomUUID();
  const heard: unknown[] = [];
  let waited = 0;
  for (const asked of questions) {
    const args = "slot" in asked
      ? { ...asked.args, slotId: `consultation/${aDay(9)}T${clockOf(asked.slot)}` }
      : asked.args;
    const calls = bench.restCalls.length;
    const request = aRequest({
      ...{ tool: asked.tool, called: clinic.number, caller: null, callId },
      args: "patientName" in args ? { ...args, patientPhone: phone } : args,
    });
    const startedAt = performance.now();
    const answer = await readSaid(await tools[asked.tool].using(bench.runtime).fetch(request));
    waited += performance.now() - startedAt;
    const trips = bench.restCalls.slice(calls);
    await bench.runtime.background.settled();
    const { retryAfterSeconds: _, message, ...rest } = answer;
    heard.push({
      ...rest,
      message: message.replace(/in \d+ seconds/, "in N seconds"),
      trips: asked.tool === "send_otp" ? trips.filter((path) => path.includes("begin")) : trips,
    });
  }
  return { told: { heard, left: await leftBy(bench, clinic, callId) }, waited };
}

const clockOf = (half: number) => writeClock(480 + 30 * half);

/** What the call leaves in the database, except for the text itself. */
async function leftBy({ database: { sql } }: Bench, clinic: Clinic, callId: string) {
  const [row] = await sql`
    select
      (select row_to_json(c) from (select attempts, sends, change_requests, patient_names
        from public.calls where call_id = ${callId}) as c) as call,
      (select json_agg(p order by p) from (select state = 'locked' as locked, code_attempts, sends,
        proven_until, mac is null as dead from public.one_time_passcodes
        where call_id = ${callId}) as p) as codes,
      (select json_agg(m.status <> 'refused') from public.sms_messages as m
        where m.call_id = ${callId}) as texts,
      (select json_agg(a.status order by a.starts_at, a.created_at) from public.appointments as a
        where a.call_id = ${callId}) as holds,
      (select json_agg(l.action || ' ' || l.outcome order by l.at) from public.audit_logs as l
        where l.call_id = ${callId} and l.outcome <> 'sent') as trail,
      (select json_agg(x order by x) from (select cardinality(n.sent_at) as texts,
        cardinality(n.wrong_at) as wrong, cardinality(n.holds) as holds
        from public.phone_counts as n) as x) as counts,
      (select json_agg(a.status order by a.starts_at, a.status) from public.appointments as a
        where a.org_id = ${clinic.id} and a.call_id is null) as others`;
  return row;
}

test(`unproven calls hear, cost and leave the same whatever is stored (seed ${seed})`, async (bench) => {
  const conversations = fc.sample(
    fc.tuple(
      fc.array(stored, { minLength: 1, maxLength: 4 }),
      fc.array(question, { minLength: 2, maxLength: 9 }),
    ),
    { seed, numRuns: pairs },
  );
  conversations.push([
    [{ name: "Ada Brown", time: "09:00", day: 5, state: "confirmed" }],
    [{ tool: "find_appointments", args: { patientName: "Ada Brown" } }],
  ]);
  let texts = 0;
  for (const [appointments, drawn] of conversations) {
    // Most callers get as far as a text and a guess.
    const questions: Question[] = [
      ...drawn,
      { tool: "send_otp", args: {} },
      { tool: "verify_otp", args: { code: "000000" } },
    ];
    const outcomes = [];
    const [known, unknown] = twoPhones();
    for (const phone of [known, unknown]) {
      const clinic = await aClinic(bench.database.sql, { providers: 2 });
      await bench.provision(clinic);
      // Which of two free providers is chosen depends on their ids.
      await bench.database.sql`
        update public.providers as p set name = 'Dr Number ' || r.rank
        from (select id, row_number() over (order by id) as rank from public.providers
          where org_id = ${clinic.id}) as r
        where p.org_id = ${clinic.id} and p.id = r.id`;
      for (const one of appointments) await store(bench, clinic, known, one);
      await bench.database.sql`delete from public.phone_counts`;
      outcomes.push((await talk(bench, clinic, phone, questions)).told);
    }
    const [fits, none] = outcomes;
    assert.deepEqual(fits, none, JSON.stringify({ appointments, questions }));
    texts += bench.twilio.messages.filter(({ to }) => to === known).length;
    assert.equal(bench.twilio.messages.filter(({ to }) => to === unknown).length, 0);
  }
  assert.ok(texts > 0, "no conversation got as far as a text");
});

test("an unproven call runs the same statements whatever is stored", async (bench) => {
  const clinic = await aClinic(bench.database.sql, { providers: 2 });
  const ran: string[] = [];
  const lines = await openLines(
    { url: () => bench.database.url("supabase_admin") },
    1,
    (message) => {
      const plan = /plan:\n(\{.*)/s.exec(message)?.[1];
      if (plan !== undefined) ran.push(JSON.parse(plan)["Query Text"].trim());
    },
  );
  try {
    const [line] = lines.all;
    assert.ok(line);
    await line.sql.unsafe(`
      load 'auto_explain';
      set auto_explain.log_min_duration = 0;
      set auto_explain.log_nested_statements = on;
      set auto_explain.log_format = json;
      set auto_explain.log_level = notice`);
    // A name is compared with each name at the number: in one statement, but by a separate function.
    const comparisons = await bench.database.sql<{ body: string }[]>`
      select prosrc as body from pg_proc where proname in ('is_same_name', 'words_of')`;
    const told: string[][] = [];
    const [known, unknown] = twoPhones();
    await store(bench, clinic, known, {
      name: "Ada Brown",
      time: "09:00",
      day: 5,
      state: "confirmed",
    });
    // The first call creates the clinic's counters.
    const [first] = twoPhones();
    for (const [half, phone] of [first, unknown, known].entries()) {
      ran.length = 0;
      const caller = { ...aCaller(clinic, phone), from: null };
      const slot = { p_slot_id: `consultation/${aDay(9)}T${clockOf(2 + half)}` };
      await line.once("find_appointments", caller);
      await line.once("cancel_appointment", caller, { p_provider: "Dr Number 1" });
      await line.once("reschedule_appointment", caller, slot);
      const outcomes = [];
      for (const _ of [1, 2]) {
        outcomes.push((await sendCode(line, caller, "482913")).outcome);
        outcomes.push((await readCode(line, caller, "000000")).outcome);
      }
      assert.deepEqual(outcomes, ["claimed", "wrong_code", "cooldown", "wrong_code"]);
      told.push(ran.filter((text) => !comparisons.some(({ body }) => body.includes(text))));
    }
    const [, without, fits] = told;
    assert.ok(without && without.length > 100, `${without?.length} statements`);
    assert.deepEqual(fits, without);
  } finally {
    await lines.close();
  }
});

test("the times of unproven calls differ by little, whatever is stored", async (bench, context) => {
  const clinic = await aClinic(bench.database.sql, { providers: 2 });
  await bench.provision(clinic);
  await bench.database.sql`update public.organizations set sms_hourly_limit = 1000000,
    unknown_caller_holds = 50`;
  const questions: Question[] = [
    { tool: "cancel_appointment", args: { patientName: "Ada Brown" } },
    { tool: "send_otp", args: {} },
    { tool: "verify_otp", args: { code: "000000" } },
  ];
  const waits: Record<"known" | "unknown", number[]> = { known: [], unknown: [] };
  for (let pair = 0; pair < timedPairs; pair++) {
    const [known, unknown] = twoPhones();
    await store(bench, clinic, known, {
      ...{ name: "Ada Brown", time: "09:00", day: 5 + pair, state: "confirmed" },
    });
    // One after another, in alternating order, so that both see the same load on the machine.
    const order = pair % 2 ? ["known", "unknown"] as const : ["unknown", "known"] as const;
    for (const which of order) {
      const phone = which === "known" ? known : unknown;
      waits[which].push((await talk(bench, clinic, phone, questions)).waited);
    }
  }
  const median = (times: number[]) => times.toSorted((a, b) => a - b)[times.length >> 1] ?? 0;
  const [known, unknown] = [median(waits.known), median(waits.unknown)];
  // Shown as a step's name, since a test's own output is not shown.
  const measured = `${timedPairs} pairs: ${known.toFixed(1)} ms with an appointment, ` +
    `${unknown.toFixed(1)} ms without`;
  await context.step(measured, () => {
    assert.ok(known < 3 * unknown + 20 && unknown < 3 * known + 20);
  });
});
