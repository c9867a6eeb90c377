/** Sending the texts about appointments: each at most once, whatever Twilio and the senders do. */
import assert from "node:assert/strict";
import appointmentTexts from "../../functions/appointment-texts/index.ts";
import { claimTexts } from "../../shared/database/appointment_texts.ts";
import { readMetrics } from "../../shared/database/metrics.ts";
import { startBudget } from "../../shared/deadline.ts";
import { postQueue } from "../../supabase/local/requests.ts";
import { aBooking, passDue, statesOf } from "../support/appointment_texts.ts";
import { jobsSecret, testWithBench as test, withClaimFollowedBy } from "../support/clinic.ts";
import { aHold, aTextingClinic } from "../support/phone_call.ts";
import { someWait, start } from "../support/requests.ts";
import { sendDue } from "../support/text_answers.ts";

test("delivery reports are recorded, and the passcodes' figures stay the same", async (bench) => {
  const clinic = await aTextingClinic(bench);
  await aBooking(bench, clinic);
  await bench.twilio.sendReports();
  const counted = async (name: string) => {
    await bench.runtime.recorder.flush();
    const { totals } = await readMetrics(bench.runtime.database.within(startBudget(5000)), 60);
    return totals.filter((counter) => counter.name === name).map(({ labels, value }) => ({
      ...labels,
      value,
    }));
  };
  const before = await counted("sms");
  await sendDue(bench);
  const reports = await bench.twilio.sendReports();
  assert.ok(reports.length > 0 && reports.every(({ answered }) => answered === 204));
  assert.deepEqual(await counted("sms"), before);
  assert.deepEqual(await counted("appointment_texts"), [
    { kind: "confirmation", result: "accepted", value: 1 },
    { kind: "confirmation", result: "delivered", value: 1 },
  ]);
  const [text] = await bench.database.sql`
    select delivery from public.sms_messages where origin = 'confirmation'`;
  assert.equal(text?.["delivery"], "delivered");
});

test("only the job's secret opens the function, and only for a POST", async (bench) => {
  await aBooking(bench);
  const ask = (method: string, given: string | undefined) =>
    appointmentTexts.using(bench.runtime).fetch(
      new Request("http://functions.test/", {
        method,
        headers: given === undefined ? {} : { authorization: `Bearer ${given}` },
      }),
    );
  for (const wrong of [undefined, "", "wrong", `${jobsSecret}x`, "test-vapi-secret"]) {
    assert.equal((await ask("POST", wrong)).status, 401, String(wrong));
  }
  assert.equal((await ask("GET", jobsSecret)).status, 405);
  assert.deepEqual(await statesOf(bench), ["confirmation waiting"]);
});

test("a sender that dies between claim and answer has sent once or never: it is not sent again", async (bench) => {
  const booking = await aBooking(bench);
  const dies = withClaimFollowedBy(
    bench.runtime,
    () => Promise.reject(new Error("killed")),
    claimTexts.sqlName,
  );
  assert.equal(await sendDue(bench, dies), 503);
  assert.deepEqual(await statesOf(bench), ["confirmation sending"]);
  await bench.database.sql`select public.send_appointment_texts()`;
  assert.deepEqual(await sendDue(bench), {});
  await passDue(bench);
  await bench.database.sql`select public.send_appointment_texts()`;
  await passDue(bench);
  assert.deepEqual(await sendDue(bench), {});
  assert.deepEqual(await statesOf(bench), ["confirmation unknown no_answer"]);
  assert.deepEqual(booking.told(), []);
});

test("concurrent senders send each text once", async (bench) => {
  const { sql } = bench.database;
  const clinic = await aTextingClinic(bench, { providers: 1 });
  const { holdId } = await aBooking(bench, clinic);
  // The same patient's, at other times.
  await sql`
    insert into public.appointments (org_id, provider_id, service_id, contact_id, patient_name,
      patient_phone, patient_country, status, starts_at, ends_at, busy, session_key)
    select a.org_id, a.provider_id, a.service_id, a.contact_id, a.patient_name, a.patient_phone,
      a.patient_country, a.status, t.at, t.at + interval '30 minutes',
      tstzrange(t.at, t.at + interval '30 minutes'), gen_random_uuid()
    from public.appointments as a, generate_series(1, 44) as n
    cross join lateral (select a.starts_at + n * interval '1 day' as at) as t
    where a.id = ${holdId}`;
  await sql`select private.queue_text(a.org_id, a.id, 'confirmation') from public.appointments as a`;
  const before = bench.twilio.messages.length;
  await Promise.all([sendDue(bench), sendDue(bench), sendDue(bench)]);
  const bodies = bench.twilio.messages.slice(before).map(({ body }) => body);
  assert.equal(bodies.length, 45);
  assert.equal(new Set(bodies).size, 45);
  assert.deepEqual(new Set(await statesOf(bench)), new Set(["confirmation sent"]));
});

for (
  const [fault, details, state, again] of [
    ["rate_limited", { ms: 90_000 }, "waiting rate_limited", true],
    ["http_500", {}, "unknown provider_error", false],
    ["reset_after", {}, "unknown unreachable", false],
    [20003, {}, "waiting unauthorized", true],
    [21211, {}, "failed bad_destination", false],
    [21610, {}, "failed opted_out", false],
  ] as const
) {
  test(`Twilio answers ${fault}: the text is ${state}${again ? ", and sent later" : ", for good"}`, async (bench) => {
    const booking = await aBooking(bench);
    const taken = booking.told().length;
    bench.twilio.addFault(fault, details);
    await sendDue(bench);
    assert.deepEqual(await statesOf(bench), [`confirmation ${state}`]);
    // Not at once.
    await sendDue(bench);
    assert.deepEqual(await statesOf(bench), [`confirmation ${state}`]);
    const posted = bench.twilio.postCount;
    await passDue(bench);
    await sendDue(bench);
    assert.equal(bench.twilio.postCount, posted + (again ? 1 : 0));
    assert.equal(booking.told().length, taken + (again || fault === "reset_after" ? 1 : 0));
  });
}

test("Twilio does not answer: the text may have been sent, and is not sent again", async (bench) => {
  const booking = await aBooking(bench);
  bench.deadlines.textMs = 300;
  bench.twilio.addFault("lost_answer");
  assert.deepEqual(await sendDue(bench), { unknown: 1 });
  await passDue(bench);
  assert.deepEqual(await sendDue(bench), {});
  assert.equal(booking.told().length, 1);
});

test("a text that can never be sent is given up after ten attempts", async (bench) => {
  await aBooking(bench);
  bench.twilio.addFault(20003, { times: 20 });
  const posted = bench.twilio.postCount;
  for (let attempt = 0; attempt < 12; attempt++) {
    await sendDue(bench);
    await passDue(bench);
  }
  assert.equal(bench.twilio.postCount, posted + 10);
  assert.deepEqual(await statesOf(bench), ["confirmation failed unauthorized"]);
});

test("a clinic at its hourly limit still texts passcodes, and texts about appointments wait", async (bench) => {
  const clinic = await aTextingClinic(bench, { providers: 2 });
  const booking = await aBooking(bench, clinic);
  await bench.database.sql`update public.organizations set sms_hourly_limit = 1`;
  assert.deepEqual(await sendDue(bench), {});
  assert.deepEqual(await statesOf(bench), ["confirmation waiting org_send_limit"]);
  await booking.pass(3700);
  await passDue(bench);
  assert.deepEqual(await sendDue(bench), { sent: 1 });
  // That text does not count as a passcode's.
  const next = await aHold(bench, { clinic, time: "12:00" });
  assert.equal((await next.send()).outcome, "sent");
});

test("each clinic's texts come from its own number", async (bench) => {
  const clinics = [await aTextingClinic(bench), await aTextingClinic(bench)];
  for (const clinic of clinics) await aBooking(bench, clinic);
  const before = bench.twilio.messages.length;
  assert.deepEqual(await sendDue(bench), { sent: 2 });
  assert.deepEqual(
    bench.twilio.messages.slice(before).map(({ from }) => from).sort(),
    clinics.map(({ number }) => number).sort(),
  );
});

for (
  const [event, said] of [["has its result stored", "known"], ["is given up", "false"]] as const
) {
  test(`a clinic can be deleted while one of its texts ${event}`, async (bench) => {
    const { clinic } = await aBooking(bench);
    const { sql, admin } = bench.database;
    const claimed = await claimTexts(bench.runtime.database.within(startBudget(5000)), 10);
    assert.ok(claimed.outcome === "claimed");
    const [{ sendId } = { sendId: "" }] = claimed.texts;
    await sql`update public.appointments set status = 'cancelled'`;
    await passDue(bench);
    const waiting = await admin.begin(async (tx) => {
      await tx`select from public.sms_messages where id = ${sendId} for update`;
      const deletion = start(() =>
        sql`select public.delete_clinic(${clinic.id}) ->> 'outcome' as said`
      );
      await someWait(bench, 1, deletion.isOver);
      const text = start(() =>
        said === "known"
          ? sql`select public.settle_appointment_text(${clinic.id}, ${sendId}, 'SM1', null, true)
              ->> 'outcome' as said`
          : sql`select public.send_appointment_texts()::text as said`
      );
      await someWait(bench, 2, text.isOver);
      return [deletion, text];
    });
    const answers = await Promise.all(waiting.map(({ done }) => done));
    assert.deepEqual(answers.map(([row]) => row?.["said"]), ["deleted", said]);
  });
}

test("the job asks the function only when a text is due, and knows where it is", async (bench) => {
  const { sql } = bench.database;
  const asks = async () => {
    const [row] = await sql`select public.send_appointment_texts() as asked`;
    return row?.["asked"];
  };
  await aBooking(bench);
  // Nobody has set the functions' address.
  assert.equal(await asks(), false);
  const paths: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    paths.push(new URL(request.url).pathname);
    return appointmentTexts.using(bench.runtime).fetch(request);
  });
  try {
    const url = `http://127.0.0.1:${server.addr.port}/functions/v1`;
    await sql`select public.set_functions_target(${url}, ${jobsSecret})`;
    await assert.rejects(sql`select public.set_functions_target(${url}, 'short')`, /16 characters/);
    assert.equal(await asks(), true);
    await postQueue(sql);
    assert.deepEqual(paths, ["/functions/v1/appointment-texts"]);
    assert.deepEqual(await statesOf(bench), ["confirmation sent"]);
    assert.equal(await asks(), false);
  } finally {
    await server.shutdown();
  }
});

test("if the project has Vault, the secret is kept there and not in the table", async (bench) => {
  const { sql, admin } = bench.database;
  await admin.unsafe(`
    create schema vault;
    create table vault.decrypted_secrets (id uuid default gen_random_uuid(), name text,
      decrypted_secret text);
    create function vault.create_secret(new_secret text, new_name text) returns void language sql
      as 'insert into vault.decrypted_secrets (name, decrypted_secret) values ($2, $1)';
    create function vault.update_secret(secret_id uuid, new_secret text) returns void language sql
      as 'update vault.decrypted_secrets set decrypted_secret = $2 where id = $1';
    grant usage on schema vault to postgres;
    grant all on vault.decrypted_secrets to postgres`);
  for (const secret of ["the-first-secret-of-jobs", "the-second-secret-of-jobs"]) {
    await sql`select public.set_functions_target('https://a.test/functions/v1', ${secret})`;
    const [row] = await sql`select private.read_functions_target() as target,
      (select count(*)::int from vault.decrypted_secrets) as kept,
      (select secret from private.functions_target) as open`;
    assert.deepEqual({ ...row }, {
      target: { url: "https://a.test/functions/v1", secret },
      kept: 1,
      open: null,
    });
  }
});
