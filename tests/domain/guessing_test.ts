/**
 * Guessing at scale: how many guesses of a patient attacker with many phones, calls and clinics are
 * compared.
 */
import assert from "node:assert/strict";
import { testWithDatabase as test } from "../support/database.ts";
import { aClinic } from "../support/clinic.ts";
import { atLength } from "../support/length.ts";

const { guesses, guessesPerHold, phoneCount, hourlyTexts } = atLength({
  short: { guesses: 1200, guessesPerHold: 30, phoneCount: 2, hourlyTexts: 3 },
  full: { guesses: 20_000, guessesPerHold: 60, phoneCount: 12, hourlyTexts: 7 },
});
const workers = 4;

/**
 * One attacker in SQL: makes a new hold in a new call every few guesses, asks for a new text every 15,
 * skips cooldowns (the clock is moved), and guesses, once per transaction.
 */
const attack = (worker: number, count: number) => `
  do $attack$
  declare
    v_clinics constant jsonb := (select jsonb_agg(distinct c.value) from public.org_channels as c);
    v_phones constant text[] := (select array_agg(a.phone) from attackers as a);
    v_call jsonb;
    v_answer jsonb;
    v_hold text;
    v_phone text;
    v_mac text;
    v_slot timestamptz := date_trunc('day', now()) + interval '${2 + worker * 20} days';
  begin
    perform setseed(${worker / workers});
    for v_guess in 0..${count - 1} loop
      if v_guess % ${guessesPerHold} = 0 then
        -- The last call is over, so that its hold does not count any more.
        perform public.end_call(v_call, null, null, gen_random_uuid());
        v_phone := v_phones[1 + floor(random() * cardinality(v_phones))];
        v_call := jsonb_build_object('callId', gen_random_uuid(), 'callerNumber', v_phone,
          'calledNumber', v_clinics -> floor(random() * jsonb_array_length(v_clinics))::integer);
        loop
          v_slot := v_slot + interval '30 minutes';
          v_answer := public.claim_slot_atomic(v_call,
            'consultation/' || to_char(v_slot, 'YYYY-MM-DD"T"HH24:MI'), 'Eve', v_phone, 'GB');
          exit when v_answer ->> 'outcome' in ('held', 'hold_limit');
        end loop;
        v_hold := v_answer ->> 'holdId';
        commit;
      end if;
      if v_guess % 15 = 0 then
        update public.one_time_passcodes set claimed_at = claimed_at - interval '31 seconds'
        where call_id = v_call ->> 'callId';
        v_answer := public.begin_otp_send(v_call || jsonb_build_object(
          'toolCallId', gen_random_uuid()), v_hold, gen_random_uuid(), md5(random()::text)
          || md5(random()::text), 'v1', (select org_id from public.org_channels
          where value = v_call ->> 'calledNumber'), null);
        commit;
      end if;
      v_mac := md5(random()::text) || md5(random()::text);
      v_answer := public.verify_otp_and_confirm(
        v_call || jsonb_build_object('toolCallId', gen_random_uuid()), v_hold,
        jsonb_build_array(jsonb_build_object('keyId', 'v1', 'mac', v_mac)));
      commit;
    end loop;
  end
  $attack$`;

test(`${guesses} guesses over calls, phones and clinics stay within the caps`, async (database) => {
  const { sql } = database;
  const clinics = await Promise.all(
    Array.from({ length: 4 }, () => aClinic(sql, { providers: 4 })),
  );
  const capped = clinics[0]?.id ?? "";
  await sql`update public.organizations set sms_hourly_limit = ${hourlyTexts} where id = ${capped}`;
  // All different: each has its own limits.
  const phones = Array.from({ length: phoneCount }, (_, index) => `+447700900${100 + index}`);
  await sql`create table attackers as select unnest(${phones}::text[]) as phone`;
  await Promise.all(
    Array.from(
      { length: workers },
      (_, worker) => sql.unsafe(attack(worker, guesses / workers)).simple(),
    ),
  );
  const [row] = await sql`
      select
        (select count(*) from public.audit_logs where action = 'verify_otp')::int as guesses,
        (select count(*) from public.sms_messages)::int as texts,
        (select count(*) from public.sms_messages where org_id = ${capped})::int as capped,
        max(cardinality(sent_at)) <= 7 as texts_of_a_phone,
        sum(cardinality(wrong_at))::int as evaluated, max(cardinality(wrong_at)) as of_a_phone,
        (select max(attempts) from public.calls) as of_a_call,
        (select max(sends) from public.calls) <= 6 as texts_of_a_call
      from public.phone_counts`;
  assert.ok(row && row["texts"] <= phoneCount * 7, `${row?.["texts"]} texts`);
  assert.ok(
    row["capped"] <= hourlyTexts,
    `${row["capped"]} texts of the clinic with a low limit`,
  );
  assert.deepEqual({ ...row, texts: 0, capped: 0 }, {
    ...{ guesses, texts: 0, capped: 0 },
    // Twenty a day, and ten more because the attacker calls from the number itself.
    ...{ evaluated: phoneCount * 30, of_a_phone: 30, of_a_call: 10 },
    ...{ texts_of_a_phone: true, texts_of_a_call: true },
  });
});
