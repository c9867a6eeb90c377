/** Simulated callers keep every promise of the real tools, and a broken promise is noticed. */
import assert from "node:assert/strict";
import { play } from "../../supabase/tasks/simulate.ts";
import type { Experience } from "../../supabase/tasks/simulate/caller.ts";
import { findBroken, type Findings } from "../../supabase/tasks/simulate/checks.ts";
import { findNumbers, makeClinics } from "../../supabase/tasks/simulate/clinics.ts";
import { drawPersona, listNumbers, mostCallers } from "../../supabase/tasks/simulate/persona.ts";
import { type Bench, testWithBench as test, vapiSecret } from "../support/clinic.ts";
import { serveFunctions } from "../support/line.ts";

const seed = 7;

async function simulate(bench: Bench, places: readonly number[]) {
  const { functionsUrl, stop } = await serveFunctions(bench);
  try {
    const { sql } = bench.database;
    const url = new URL(functionsUrl).origin;
    const clinics = await makeClinics(sql, bench.environment, url, 20);
    const numbers = await findNumbers(sql, 20);
    const textsTo = (phone: string) =>
      Promise.resolve(bench.twilio.messages.filter(({ to }) => to === phone));
    const allTexts = () => Promise.resolve(bench.twilio.messages);
    const world = { clinics, numbers, secret: vapiSecret, textsTo, allTexts };
    return await play(sql, world, { seed, places, atOnce: 4 });
  } finally {
    await stop();
  }
}

/** The promises that are broken. */
const broken = (findings: Findings) =>
  Object.entries(findings).flatMap(([promise, found]) => found.length > 0 ? [promise] : []);

test("twenty callers are served and every promise is kept; each broken one is noticed", async (bench) => {
  const { sql } = bench.database;
  const { experiences, findings } = await simulate(
    bench,
    Array.from({ length: 20 }, (_, at) => at),
  );
  assert.deepEqual(broken(findings), [], JSON.stringify(findings, null, 2));
  const texts = bench.twilio.messages;
  const check = async (changed: readonly Experience[] = experiences, sent = texts) =>
    broken(await findBroken(sql, changed, sent));
  const booked = experiences.filter(({ beliefs }) =>
    beliefs.some(({ status }) => status === "confirmed")
  );
  const [one, other] = booked;
  assert.ok(one && other);
  const change = (experience: Experience, changes: Partial<Experience>) =>
    experiences.map((each) => each === experience ? { ...each, ...changes } : each);

  assert.deepEqual(await check(change(one, { beliefs: [] })), [
    "nothing is booked that no caller was told of",
    ...one.persona.errands.includes("book") && !one.persona.hangsUp
      ? ["every polite caller is served"]
      : [],
  ]);
  const polite = booked.find(({ persona }) => !persona.hangsUp);
  assert.ok(polite);
  assert.deepEqual(await check(change(polite, { isServed: false })), [
    "every polite caller is served",
  ]);
  assert.deepEqual(await check(change(one, { surprises: ["held, then slot_taken"] })), [
    "a repeated request has the answer of the first",
  ]);
  const [text] = texts;
  assert.ok(text);
  for (const stray of [{ ...text, to: "+447700900999" }, { ...text, body: "Your code is 1" }]) {
    assert.deepEqual(await check(experiences, [...texts, stray]), [
      "texts go to the callers who asked for them",
    ]);
  }

  const id = one.beliefs.find(({ status }) => status === "confirmed")?.appointmentId ?? "";
  const promised = "what a caller was promised is so";
  await sql`update public.appointments set patient_name = 'Somebody Else' where id = ${id}`;
  assert.deepEqual(await check(), [promised]);
  await sql`update public.appointments set patient_name = ${
    one.persona.patients[0]
  } where id = ${id}`;
  await sql`update public.appointments set status = 'held', expires_at = now() + interval '1 hour',
    contact_id = null where id = ${id}`;
  assert.deepEqual(await check(), [promised, "a call that has ended holds nothing"]);
  await sql`update public.appointments set status = 'cancelled' where id = ${id}`;
  assert.deepEqual(await check(), [promised]);
  await sql`insert into public.audit_logs (org_id, actor, action, outcome, details)
      values (${one.orgId}, 'call', 'hold_slot', 'held', ${sql.json({ who: one.phone })})`;
  assert.deepEqual(await check(), [promised, "the audit log has no names and numbers"]);

  await sql`alter table public.appointments drop constraint appointments_no_overlap`;
  await sql`drop index public.appointments_seat_unique`;
  await sql`alter table public.appointments disable trigger user`;
  await sql`update public.appointments as a set starts_at = b.starts_at, ends_at = b.ends_at,
      busy = b.busy, org_id = b.org_id, provider_id = b.provider_id, service_id = b.service_id,
      contact_id = b.contact_id, session_key = gen_random_uuid(), seat = 0
    from public.appointments as b
    where a.status = 'confirmed' and b.status = 'confirmed' and b.id = ${
    other.beliefs[0]?.appointmentId ?? ""
  }
      and a.id = (select c.id from public.appointments as c
        where c.status = 'confirmed' and c.org_id = b.org_id and c.id <> b.id limit 1)`;
  assert.ok((await check()).includes("nobody is booked twice"));
  await sql`update public.appointments set starts_at = starts_at + interval '12 hours',
    ends_at = ends_at + interval '12 hours', busy = tstzrange(lower(busy) + interval '12 hours',
    upper(busy) + interval '12 hours') where status = 'confirmed'`;
  assert.ok((await check()).includes("what is booked is within the doctors' hours"));
});

Deno.test("a seed draws the same callers again, another seed others, and every oddity occurs", () => {
  const draw = (from: number) => Array.from({ length: 300 }, (_, at) => drawPersona(from, at, 4));
  assert.deepEqual(draw(1), draw(1));
  assert.notDeepEqual(draw(1), draw(2));
  const personas = draw(1);
  const kinds = {
    families: personas.filter(({ patients }) => patients.length > 1),
    hangingUp: personas.filter(({ hangsUp }) => hangsUp),
    withheld: personas.filter(({ isWithheld }) => isWithheld),
    undecided: personas.filter(({ isUndecided }) => isUndecided),
    repeated: personas.filter(({ repeatsOneIn }) => repeatsOneIn > 0),
    late: personas.filter(({ isLate }) => isLate),
    ...Object.groupBy(personas.flatMap(({ mistakes }) => mistakes), (mistake) => mistake),
    ...Object.groupBy(personas.flatMap(({ errands }) => errands), (errand) => errand),
    ...Object.groupBy(personas.map(({ digitStyle }) => digitStyle), (style) => style),
    ...Object.groupBy(personas.map(({ dayStyle }) => dayStyle), (style) => style),
  };
  assert.equal(Object.keys(kinds).length, 6 + 4 + 6 + 6 + 4);
  for (const [kind, some] of Object.entries(kinds)) assert.ok((some?.length ?? 0) > 3, kind);
});

Deno.test("every caller of the largest run has a different number", () => {
  const numbers = listNumbers();
  assert.equal(new Set(numbers).size, numbers.length);
  assert.ok(numbers.length >= mostCallers);
  for (const number of numbers) assert.match(number, /^\+(447700900\d{3}|1\d{3}55501\d\d)$/);
});
