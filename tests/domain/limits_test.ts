/**
 * Limits that an attacker cannot reset: per call, caller, number and clinic; and the share reserved for
 * patients.
 */
import assert from "node:assert/strict";
import { writeClock } from "../../supabase/tasks/clinic/notation.ts";
import {
  aCaller,
  type Caller,
  countOutcomes,
  type Line,
  readCode,
  sendCode,
  testWithLines as test,
} from "../support/callers.ts";
import { aClinic, aDay, type Bench, type Clinic, letTimePass } from "../support/clinic.ts";

const code = "482913";
let starts = 0;

/** A start that nobody has asked for. */
function aSlot(): { p_slot_id: string } {
  const half = starts++;
  const clock = writeClock(30 * (half % 44));
  return { p_slot_id: `consultation/${aDay(2 + Math.floor(half / 44))}T${clock}` };
}

const hold = (line: Line, caller: Caller, more: Record<string, string> = {}) =>
  line.ask("claim_slot_atomic", caller, { ...aSlot(), ...more });
const child = (n: number) => ({ p_patient_name: `${"ABCDEFGHIJKLMNOPQRST"[n]}nna Example` });

/** Skips the cooldown and nothing else. */
const coolDown = ({ database }: Bench) =>
  database
    .sql`update public.one_time_passcodes set claimed_at = claimed_at - interval '31 seconds'`;

test("a call holds four slots at once, and a caller's number four over all calls and clinics", async ({ sql, one }) => {
  const clinic = await aClinic(sql);
  const other = await aClinic(sql);
  const caller = aCaller(clinic);
  for (let n = 0; n < 4; n++) {
    assert.equal((await hold(one, caller, child(n))).outcome, "held");
  }
  const fifth = await hold(one, caller, child(4));
  assert.deepEqual([fifth.outcome, fifth["of"]], ["hold_limit", "call"]);
  assert.equal((await hold(one, caller, child(0))).outcome, "held", "a move is not another hold");
  for (const at of [clinic, other]) {
    const next = await hold(one, aCaller(at, caller.phone), child(5));
    assert.deepEqual([next.outcome, next["of"]], ["hold_limit", "caller"]);
    const friend = await hold(one, aCaller(at, caller.phone, "+447700900998"), child(5));
    assert.deepEqual([friend.outcome, friend["of"]], ["hold_limit", "phone"]);
  }
  await sendCode(one, caller, code);
  assert.equal((await readCode(one, caller, code)).outcome, "confirmed");
  assert.equal((await hold(one, aCaller(other, caller.phone), child(6))).outcome, "held");
});

test("holds of strangers for a number do not prevent holds by calls from that number", async ({ sql, one }) => {
  const clinic = await aClinic(sql);
  const patient = aCaller(clinic);
  for (let n = 0; n < 5; n++) {
    const stranger = aCaller(clinic, patient.phone, `+44770090099${n % 2}`);
    const outcome = n < 4 ? "held" : "hold_limit";
    assert.equal((await hold(one, stranger, child(n))).outcome, outcome);
  }
  assert.equal((await hold(one, patient, child(5))).outcome, "held");
  // The same if the caller's own hold gets the number later.
  const other = aCaller(clinic, "+447700900981", patient.phone);
  const slot = aSlot();
  const ask = (caller: Caller) => one.ask("claim_slot_atomic", caller, { ...slot, ...child(6) });
  assert.equal((await ask(other)).outcome, "held");
  assert.equal((await ask({ ...other, phone: patient.phone })).outcome, "held");
  await sendCode(one, patient, code);
  assert.equal((await readCode(one, patient, code)).outcome, "confirmed");
});

test("a hold whose number is corrected again and again counts once", async ({ sql, one }) => {
  const clinic = await aClinic(sql);
  const caller = aCaller(clinic);
  const slot = aSlot();
  for (let n = 0; n < 5; n++) {
    const corrected = {
      ...caller,
      from: caller.phone,
      phone: n % 2 ? "+447700900998" : caller.phone,
    };
    const held = await one.ask("claim_slot_atomic", corrected, { ...slot, ...child(0) });
    assert.equal(held.outcome, "held");
  }
  for (let n = 1; n < 4; n++) {
    assert.equal((await hold(one, caller, child(n))).outcome, "held", `patient ${n + 1}`);
  }
  assert.equal((await hold(one, caller, child(4))).outcome, "hold_limit");
});

test("a caller's number makes twelve holds in an hour, however often it releases them", async ({ sql, one }) => {
  const clinic = await aClinic(sql);
  const phone = "+447700900997";
  const outcomes: string[] = [];
  for (let n = 0; n < 13; n++) {
    const caller = aCaller(clinic, phone);
    const held = await hold(one, caller);
    outcomes.push(held.outcome);
    await one.ask("cancel_appointment", caller, { p_appointment: held.holdId ?? "" });
  }
  assert.deepEqual(outcomes, [...Array(12).fill("held"), "hold_limit"]);
  await letTimePass(sql, clinic.id, 3601);
  assert.equal((await hold(one, aCaller(clinic, phone))).outcome, "held");
});

test("simultaneous calls from one number hold four slots, not one each", async ({ sql, one, two, three }) => {
  const clinic = await aClinic(sql, { providers: 9 });
  const lines = [one, two, three];
  const answers = await Promise.all(
    lines.flatMap((line, n) => [
      ...[0, 1, 2].map(async (m) => {
        await Promise.resolve(m);
        return await hold(line, aCaller(clinic, "+447700900996"), child(n * 3 + m));
      }),
    ]),
  );
  assert.deepEqual(countOutcomes(answers), { held: 4, hold_limit: 5 });
});

test("calls without a number hold three slots each and ten together, and other callers are not held up", async ({ sql, one }) => {
  const clinic = await aClinic(sql, { providers: 2 });
  const withheld = () => aCaller(clinic, undefined, null);
  const of: unknown[] = [];
  for (let call = 0; call < 4; call++) {
    const caller = withheld();
    for (let n = 0; n < 4; n++) of.push((await hold(one, caller, child(n)))["of"] ?? "held");
  }
  const three = ["held", "held", "held", "call"];
  assert.deepEqual(of, [...three, ...three, ...three, "held", "clinic", "clinic", "clinic"]);
  assert.equal((await hold(one, aCaller(clinic))).outcome, "held");
});

test("a switchboard, the clinic's own lines and its transfer number are no caller's number", async ({ sql, one }) => {
  const clinic = await aClinic(sql, { providers: 9 });
  await sql`insert into public.org_channels (kind, value, org_id)
    values ('shared_line', '+442079460999', ${clinic.id})`;
  await sql`update public.organizations set transfer_number = '+442079460998'
    where id = ${clinic.id}`;
  for (const from of ["+442079460999", "+442079460998", clinic.number]) {
    for (let call = 0; call < 3; call++) {
      assert.equal((await hold(one, aCaller(clinic, undefined, from))).outcome, "held");
    }
  }
  const [row] = await sql`
    select count(*)::int as calls, count(caller_hash)::int as known from public.calls`;
  assert.deepEqual({ ...row }, { calls: 9, known: 0 });
});

/** A hold and a text, by default in a call from another number than the patient's. */
async function text(line: Line, clinic: Clinic, phone?: string, from?: string | null) {
  const caller = aCaller(clinic, phone, from);
  const held = await hold(line, caller);
  assert.equal(held.outcome, "held", JSON.stringify(held));
  const sent = await sendCode(line, caller, code);
  await line.ask("cancel_appointment", caller, { p_appointment: held.holdId ?? "" });
  return sent.outcome;
}

test("a call asks for six texts, to three numbers", async ({ bench, sql, one }) => {
  const clinic = await aClinic(sql);
  const caller = aCaller(clinic);
  const held = await hold(one, caller);
  const move = (phone: string) =>
    one.ask("claim_slot_atomic", caller, {
      p_slot_id: `consultation/${String(held["startTime"]).slice(0, 16)}`,
      p_patient_phone: phone,
    });
  const numbers = ["+447700900901", "+447700900902", "+447700900903"];
  const outcomes: string[] = [];
  for (const phone of numbers) {
    await move(phone);
    outcomes.push((await sendCode(one, caller, code)).outcome);
  }
  assert.deepEqual(outcomes, ["claimed", "claimed", "claimed"]);
  await move("+447700900904");
  assert.equal((await sendCode(one, caller, code)).outcome, "call_send_limit");
  await move("+447700900903");
  for (let n = 0; n < 4; n++) {
    await coolDown(bench);
    outcomes.push((await sendCode(one, caller, code)).outcome);
  }
  assert.deepEqual(outcomes.slice(3), ["claimed", "claimed", "claimed", "call_send_limit"]);
});

test("strangers run out of texts to a number before calls from that number do", async ({ sql, one }) => {
  const clinic = await aClinic(sql);
  const phone = "+447700900995";
  const outcomes: string[] = [];
  for (let n = 0; n < 6; n++) {
    outcomes.push(await text(one, clinic, phone, `+44770090090${n}`));
  }
  assert.deepEqual(outcomes, [...Array(5).fill("claimed"), "phone_send_limit"]);
  for (let n = 0; n < 3; n++) outcomes.push(await text(one, clinic, phone));
  assert.deepEqual(outcomes.slice(6), ["claimed", "claimed", "phone_send_limit"]);
  const [row] = await sql`select public.clear_limits(${clinic.id}, ${phone}) as said`;
  assert.equal(row?.["said"].outcome, "cleared");
  assert.equal(await text(one, clinic, phone), "claimed");
  const [audited] = await sql`
    select outcome, details::text from public.audit_logs where action = 'clear_limits'`;
  assert.deepEqual({ ...audited }, { outcome: "cleared", details: '{"of": "number"}' });
});

test("a caller's number asks for ten texts in an hour, whatever it texts", async ({ sql, one }) => {
  const clinic = await aClinic(sql);
  await sql`update public.organizations set caller_hourly_holds = 50`;
  const outcomes: string[] = [];
  for (let n = 0; n < 11; n++) {
    outcomes.push(
      await text(one, clinic, `+4477009008${String(n).padStart(2, "0")}`, "+447700900994"),
    );
  }
  assert.deepEqual(outcomes, [...Array(10).fill("claimed"), "call_send_limit"]);
});

test("a fifth of a clinic's texts is kept for callers' own numbers, and calls without one share a tenth", async ({ sql, one }) => {
  const clinic = await aClinic(sql);
  await sql`update public.organizations set sms_hourly_limit = 10`;
  assert.equal(await text(one, clinic, undefined, null), "claimed");
  assert.equal(await text(one, clinic, undefined, null), "org_send_limit");
  const others: string[] = [];
  for (let n = 0; n < 8; n++) others.push(await text(one, clinic, undefined, `+44770090080${n}`));
  assert.deepEqual(others, [...Array(7).fill("claimed"), "org_send_limit"]);
  assert.equal(await text(one, clinic), "claimed");
  assert.equal(await text(one, clinic), "claimed");
  assert.equal(await text(one, clinic), "org_send_limit");
});

test("an alarm brakes texts to other numbers, and no others, until an operator ends it", async ({ sql, one }) => {
  const clinic = await aClinic(sql);
  await sql`update public.organizations set sms_hourly_limit = 40`;
  const others: string[] = [];
  for (let n = 0; n < 22; n++) {
    others.push(await text(one, clinic, undefined, `+4477009007${String(n).padStart(2, "0")}`));
  }
  assert.deepEqual(others, [...Array(20).fill("claimed"), "org_send_limit", "org_send_limit"]);
  const alarms = await sql`select kind, events from public.alarms`;
  assert.deepEqual(alarms.map((row) => ({ ...row })), [{ kind: "other_numbers", events: 20 }]);
  assert.equal(await text(one, clinic), "claimed");
  await sql`select public.clear_limits(${clinic.id})`;
  assert.equal(await text(one, clinic, undefined, "+447700900799"), "claimed");
});

test("ten wrong codes in a call, twenty a day for a number, and ten more in calls from that number", async ({ bench, sql, one }) => {
  const clinic = await aClinic(sql);
  await sql`update public.organizations
    set phone_hourly_sends = 50, phone_daily_sends = 50`;
  const phone = "+447700900993";
  const guess = async (from: string) => {
    const caller = aCaller(clinic, phone, from);
    assert.equal((await hold(one, caller)).outcome, "held");
    const heard: string[] = [];
    for (let n = 0; n < 12; n++) {
      if (n % 5 === 0) {
        await coolDown(bench);
        await sendCode(one, caller, code);
      }
      heard.push((await readCode(one, caller, "000000")).outcome);
    }
    return heard.filter((outcome) => outcome === "wrong_code" || outcome === "code_locked")
      .length +
      (heard.includes("locked") ? 1 : 0);
  };
  assert.equal(await guess("+447700900701"), 10);
  assert.equal(await guess("+447700900702"), 10);
  const barred = aCaller(clinic, phone, "+447700900703");
  await hold(one, barred);
  assert.equal((await sendCode(one, barred, code)).outcome, "locked");
  assert.equal(await guess(phone), 10, "the patient's own calls have a reserve");
  const [row] = await sql`
    select max(cardinality(wrong_at)) as wrong from public.phone_counts`;
  assert.equal(row?.["wrong"], 30);
  await letTimePass(sql, clinic.id, 86_401);
  const later = aCaller(clinic, phone, "+447700900704");
  await hold(one, later);
  await sendCode(one, later, code);
  assert.equal(
    (await readCode(one, later, code)).outcome,
    "confirmed",
    "nothing is locked forever",
  );
});

test("five requests about appointments before a proof, then the front desk, whatever is stored", async ({ bench, sql, one }) => {
  const clinic = await aClinic(sql);
  const patient = aCaller(clinic);
  await hold(one, patient);
  await sendCode(one, patient, code);
  await readCode(one, patient, code);
  for (const phone of [patient.phone, "+447700900992"]) {
    const stranger = aCaller(clinic, phone, null);
    const outcomes: string[] = [];
    for (let n = 0; n < 6; n++) {
      outcomes.push((await one.ask("cancel_appointment", stranger, child(n))).outcome);
    }
    assert.deepEqual(outcomes, [...Array(5).fill("code_needed"), "change_limit"]);
    const texts: string[] = [];
    for (let n = 0; n < 3; n++) {
      texts.push((await sendCode(one, stranger, code)).outcome);
      await coolDown(bench);
    }
    assert.deepEqual(texts, ["claimed", "claimed", "call_send_limit"], "nothing came, twice");
  }
});
