/** Texts that cost money and guessed codes are refused before Twilio, and alarms are raised. */
import assert from "node:assert/strict";
import { readConfig } from "../../shared/config.ts";
import { openLog } from "../../shared/logging.ts";
import { createRuntime } from "../../shared/runtime.ts";
import { writeClock } from "../../supabase/tasks/clinic/notation.ts";
import {
  type Bench,
  type Clinic,
  insist,
  letTimePass,
  testWithBench as test,
  wrongCodes,
} from "../support/clinic.ts";
import { aTextingClinic, PhoneCall } from "../support/phone_call.ts";

const times = Array.from({ length: 40 }, (_, index) => writeClock(30 * index));

const aCallTo = (bench: Bench, clinic: Clinic) => new PhoneCall(bench, clinic);

async function hold(call: PhoneCall, time: string, more: object = {}) {
  const held = await insist(() => call.hold(time, more));
  assert.equal(held.outcome, "held", held.message);
}

async function passcodesIn(bench: Bench): Promise<number> {
  const [row] = await bench.database.sql`
    select count(*)::int as n from public.one_time_passcodes where mac is not null`;
  return row?.["n"];
}

test("a number of a country the clinic does not text gets none, under +1 by its area code", async (bench) => {
  const clinic = await aTextingClinic(bench);
  const abroad = ["+18765551234", "+18095551234", "+12425551234", "+16845551234"];
  const others = ["+16135550123", "+353851234567", "+447797123456"];
  for (const patientPhone of [...abroad, ...others]) {
    // The same if the caller gives no other number.
    for (const said of [{ patientPhone }, {}]) {
      const call = new PhoneCall(bench, clinic, said.patientPhone ? undefined : patientPhone);
      const refused = await call.hold("10:00", said);
      assert.equal(refused.outcome, "blocked_country", patientPhone);
      assert.deepEqual([refused.action, refused["fields"]], ["RETRY", ["patientPhone"]]);
      assert.match(refused.message, /another mobile number/);
      await hold(call, "10:00", { patientPhone: "+447400123456" });
      await bench.database.sql`delete from public.appointments`;
    }
  }
  assert.equal(bench.twilio.postCount, 0);
  assert.equal(await passcodesIn(bench), 0);

  await bench.database.sql`
    update public.organizations set sms_countries = '{JM}' where id = ${clinic.id}`;
  const jamaica = aCallTo(bench, clinic);
  await hold(jamaica, "20:00", { patientPhone: "+18765551234" });
  assert.equal((await jamaica.send()).outcome, "sent");
  const britain = aCallTo(bench, clinic);
  assert.equal((await britain.hold("20:30")).outcome, "blocked_country");
  // The clinic changes its countries between a hold and its text.
  await bench.database.sql`
    update public.organizations set sms_countries = '{GB}' where id = ${clinic.id}`;
  await hold(britain, "20:30");
  await bench.database.sql`
    update public.organizations set sms_countries = '{JM}' where id = ${clinic.id}`;
  assert.equal((await britain.send()).outcome, "blocked_country");
});

test("the number that texts and the clinic's own numbers are never texted", async (bench) => {
  const clinic = await aTextingClinic(bench);
  const [sender, second] = [aCallTo(bench, clinic), aCallTo(bench, clinic)];
  // Both became the clinic's after the hold: bench.provision texts from the called number.
  await hold(sender, "10:00", { patientPhone: "+447400123456" });
  await hold(second, "11:00", { patientPhone: "+447400123457" });
  await bench.provision({ ...clinic, number: "+447400123456" });
  await bench.database.sql`insert into public.org_channels (kind, value, org_id)
    values ('called_number', '+447400123457', ${clinic.id})`;
  for (const call of [sender, second]) {
    const refused = await call.send();
    assert.equal(refused.outcome, "bad_destination");
    assert.deepEqual(refused["fields"], ["patientPhone"]);
  }
  assert.equal(bench.twilio.postCount, 0);
  assert.equal(await passcodesIn(bench), 0);
});

test("a text that was never sent counts towards no limit; one that may have been sent does", async (bench) => {
  const { sql } = bench.database;
  const clinic = await aTextingClinic(bench);
  await sql`update public.organizations set sms_hourly_limit = 1 where id = ${clinic.id}`;
  const call = aCallTo(bench, clinic);
  await hold(call, "10:00");
  const closed = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  closed.close();
  const apiBase = `http://127.0.0.1:${closed.addr.port}`;
  const away = createRuntime(
    readConfig({ ...bench.environment, TWILIO_API_BASE: apiBase }),
    openLog("error", () => {}),
  );
  for (let time = 0; time < 7; time++) {
    assert.equal((await call.send({ runtime: away })).outcome, "sms_unreachable");
  }
  bench.twilio.addFault("reset_after");
  assert.equal((await call.send()).outcome, "sms_unreachable");
  assert.equal((await call.send()).outcome, "org_send_limit");
  await sql`update public.organizations set sms_hourly_limit = 10 where id = ${clinic.id}`;
  assert.equal((await call.send()).outcome, "sent");
  assert.equal((await call.verify(call.code)).outcome, "confirmed");
});

/** Reads wrong codes to holds of new calls, five per code, all at once. */
async function guess(bench: Bench, clinic: Clinic, count: number, firstTime: number) {
  const calls = Array.from({ length: Math.ceil(count / 5) }, () => aCallTo(bench, clinic));
  await Promise.all(calls.map((call, index) => hold(call, times[firstTime + index] ?? "")));
  const sent = await Promise.all(calls.map((call) => insist(() => call.send())));
  assert.ok(sent.every(({ outcome }) => outcome === "sent"));
  const answers = await Promise.all(
    calls.flatMap((call, index) =>
      wrongCodes(call.code, Math.min(5, count - 5 * index))
        .map((code) => insist(() => call.verify(code)))
    ),
  );
  const wrong = answers.filter(({ outcome }) => ["wrong_code", "code_locked"].includes(outcome));
  assert.equal(wrong.length, count);
}

const alarmsOf = async (bench: Bench, clinic: Clinic) => [
  ...await bench.database.sql<{ kind: string; events: number }[]>`
    select kind, events from public.alarms where org_id = ${clinic.id} order by raised_at`,
];
const alarmLines = (bench: Bench) =>
  bench.lines.filter((line) => line.includes('"event":"alarm_raised"'));

test("the fiftieth wrong code of an hour raises one alarm, however they are spread, and no other clinic's", async (bench) => {
  const clinic = await aTextingClinic(bench, { providers: 2 });
  const other = await aTextingClinic(bench);
  await guess(bench, other, 10, 0);
  await guess(bench, clinic, 25, 0);
  await letTimePass(bench.database.sql, clinic.id, 55 * 60);
  await guess(bench, clinic, 24, 10);
  assert.deepEqual(await alarmsOf(bench, clinic), []);
  assert.equal(alarmLines(bench).length, 0);
  await guess(bench, clinic, 1, 20);
  assert.deepEqual(await alarmsOf(bench, clinic), [{ kind: "wrong_codes", events: 50 }]);
  const [line = ""] = alarmLines(bench);
  for (const part of ['"level":"error"', '"kind":"wrong_codes"', clinic.id]) {
    assert.ok(line.includes(part), part);
  }
  // More of them within the hour belong to the same alarm.
  await guess(bench, clinic, 10, 21);
  assert.equal((await alarmsOf(bench, clinic)).length, 1);
  assert.equal(alarmLines(bench).length, 1);
  assert.deepEqual(await alarmsOf(bench, other), []);
  const audited = await bench.database.sql`
    select org_id, outcome from public.audit_logs where action = 'raise_alarm'`;
  assert.deepEqual(audited.map((row) => ({ ...row })), [
    { org_id: clinic.id, outcome: "wrong_codes" },
  ]);
});

test("wrong codes spread over more than an hour raise no alarm, and the next alarm may come after an hour", async (bench) => {
  const clinic = await aTextingClinic(bench, { providers: 3 });
  await guess(bench, clinic, 25, 0);
  await letTimePass(bench.database.sql, clinic.id, 61 * 60);
  await guess(bench, clinic, 25, 0);
  assert.deepEqual(await alarmsOf(bench, clinic), []);
  await guess(bench, clinic, 25, 10);
  assert.equal((await alarmsOf(bench, clinic)).length, 1);
  await letTimePass(bench.database.sql, clinic.id, 61 * 60);
  await guess(bench, clinic, 50, 0);
  assert.equal((await alarmsOf(bench, clinic)).length, 2);
});

test("the hundredth refused text within an hour raises one alarm, even if all come at once", async (bench) => {
  const clinic = await aTextingClinic(bench);
  const calls = Array.from({ length: 10 }, () => aCallTo(bench, clinic));
  await bench.database.sql`
    update public.organizations set sms_countries = '{JM}' where id = ${clinic.id}`;
  for (const [index, call] of calls.entries()) {
    await hold(call, times[index] ?? "", { patientPhone: `+1876555${1234 + index}` });
  }
  await bench.database.sql`
    update public.organizations set sms_countries = '{GB}' where id = ${clinic.id}`;
  // A number that is refused at the hold counts like one that is refused at the text.
  const atHold = await calls[0]?.hold("23:00", { patientPhone: "+18765551299" });
  assert.equal(atHold?.outcome, "blocked_country");
  const refuse = (count: number) =>
    Promise.all(
      Array.from({ length: count }, async (_, index) => {
        const asked = await (calls[index % calls.length] ?? aCallTo(bench, clinic)).send();
        assert.equal(asked.outcome, "blocked_country");
      }),
    );
  await refuse(98);
  assert.deepEqual(await alarmsOf(bench, clinic), []);
  await refuse(30);
  assert.deepEqual(await alarmsOf(bench, clinic), [{ kind: "refused_sends", events: 100 }]);
  assert.equal(alarmLines(bench).length, 1);
  assert.equal(bench.twilio.postCount, 0);
});

test("destinations that Twilio refuses count too, errors of our account do not", async (bench) => {
  const clinic = await aTextingClinic(bench);
  const call = aCallTo(bench, clinic);
  await hold(call, "10:00");
  const counted = async () => {
    const [row] = await bench.database.sql`
      select cardinality(happened_at) as n from public.alarm_counters
      where org_id = ${clinic.id} and kind = 'refused_sends'`;
    return row?.["n"] ?? 0;
  };
  for (const [kind, expected] of [[21606, 0], ["http_503", 0], [21614, 1]] as const) {
    bench.twilio.addFault(kind);
    assert.equal((await call.send()).success, false);
    assert.equal(await counted(), expected, String(kind));
  }
});
