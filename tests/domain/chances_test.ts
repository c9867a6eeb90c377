/** The chances of a guess in docs/security.md follow from the limits that the SQL enforces. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type postgres from "postgres";
import { withConnection } from "../../supabase/local/connection.ts";
import { aClinic, type Clinic, letTimePass } from "../support/clinic.ts";
import { type TestDatabase, testWithDatabase as test } from "../support/database.ts";
import { atLength, isFull } from "../support/length.ts";

const page = new URL("../../docs/security.md", import.meta.url);
const codes = 1_000_000;
const hourSeconds = 3601;

/**
 * An attacker in SQL. `ring` calls a clinic, holds a slot for a phone and asks for texts to it; `guess`
 * tries wrong codes until none is compared any longer.
 */
const attacker = `
  create temporary table rung (call jsonb, hold text, texts integer);
  create temporary sequence starts minvalue 0;

  create function pg_temp.ring(p_number text, p_from text, p_phone text, p_texts integer default 1)
  returns integer language plpgsql as $$
  declare
    v_call jsonb := jsonb_strip_nulls(jsonb_build_object('callId', gen_random_uuid(),
      'callerNumber', p_from, 'calledNumber', p_number));
    v_start integer := nextval('starts');
    v_hold text := public.claim_slot_atomic(v_call, 'consultation/' || to_char(
      current_date + 2 + v_start / 40 + v_start % 40 * interval '30 minutes', 'YYYY-MM-DD"T"HH24:MI'),
      'Eve', p_phone, 'GB') ->> 'holdId';
    v_sent integer := 0;
  begin
    for v_text in 1..p_texts loop
      -- A patient attacker waits half a minute.
      update public.one_time_passcodes set claimed_at = claimed_at - interval '31 seconds'
      where call_id = v_call ->> 'callId';
      if public.begin_otp_send(v_call || jsonb_build_object('toolCallId', gen_random_uuid()), v_hold,
        gen_random_uuid(), encode(sha256(random()::text::bytea), 'hex'), 'v1', (
          select c.org_id from public.org_channels as c where c.value = p_number), null)
        ->> 'outcome' = 'claimed' then
        v_sent := v_sent + 1;
        if p_texts > 1 then
          perform pg_temp.guess(v_call, v_hold);
        end if;
      end if;
    end loop;
    if p_texts > 1 then
      -- Its hold would be one of the few that the phone may have.
      perform public.end_call(v_call, null, null, gen_random_uuid());
    end if;
    insert into rung values (v_call, v_hold, v_sent);
    return v_sent;
  end $$;

  create function pg_temp.guess(p_call jsonb, p_hold text) returns void language plpgsql as $$
  begin
    while public.verify_otp_and_confirm(
      p_call || jsonb_build_object('toolCallId', gen_random_uuid()), p_hold, jsonb_build_array(
        jsonb_build_object('keyId', 'v1', 'mac', encode(sha256(random()::text::bytea), 'hex'))))
      ->> 'outcome' = 'wrong_code' loop
    end loop;
  end $$;

  create function pg_temp.compared() returns integer language sql as
    'select coalesce(sum(cardinality(wrong_at)), 0)::integer from public.phone_counts'`;

interface Attack {
  /** A connection that has the attacker's functions. */
  readonly sql: postgres.Sql;
  readonly clinic: Clinic;
}

let phones = 0;
const aPhone = () => `+9990${String(++phones).padStart(9, "0")}`;

const compared = async ({ sql }: Attack) => {
  const [row] = await sql`select pg_temp.compared() as n`;
  return Number(row?.["n"]);
};

/** A call that asks for as many texts as it can get, and guesses after each. */
async function ring({ sql, clinic }: Attack, from: string, phone: string, texts: number) {
  const [row] = await sql`select pg_temp.ring(${clinic.number}, ${from}, ${phone}, ${texts}) as n`;
  return Number(row?.["n"]);
}

/** Makes calls of one kind, one after another, until three in a row have no guess compared. */
async function exhaust(attack: Attack, call: () => Promise<unknown>): Promise<number> {
  const before = await compared(attack);
  for (let [idle, last] = [0, before]; idle < 3;) {
    await call();
    const now = await compared(attack);
    [idle, last] = [now === last ? idle + 1 : 0, now];
  }
  return await compared(attack) - before;
}

/**
 * First as many texts to strangers as possible, since guesses raise an alarm; then guesses at their
 * codes. The short run guesses at a dozen of them, enough to raise the alarm for wrong codes, which
 * stand for all.
 */
async function attackClinic(attack: Attack, isForged: boolean): Promise<number> {
  const { sql } = attack;
  await sql`truncate rung`;
  for (let refused = 0; refused < 3;) {
    const phone = aPhone();
    const sent = await ring(attack, isForged ? phone : aPhone(), phone, 1);
    refused = sent === 0 ? refused + 1 : 0;
  }
  const before = await compared(attack);
  const texted = await sql`select call, hold from rung where texts > 0`;
  const tried = texted.slice(0, atLength({ short: 12, full: texted.length }));
  for (const { call, hold } of tried) {
    await sql`select pg_temp.guess(${sql.json(call)}, ${hold})`;
  }
  return texted.length * (await compared(attack) - before) / tried.length;
}

async function withAttack(database: TestDatabase, work: (attack: Attack) => Promise<void>) {
  await withConnection(database.url(), async (sql) => {
    await sql.unsafe(attacker);
    await work({ sql, clinic: await aClinic(database.sql) });
  });
}

/** Cells of the table of chances, by row. */
function readTable(): Map<string, string[]> {
  const [, section = ""] = readFileSync(page, "utf8").split("## The chance of a guess");
  const [table = ""] = section.split("\n## ");
  const rows = table.split("\n").filter((line) => line.startsWith("| ") && !line.startsWith("| --"))
    .map((line) => line.split("|").map((cell) => cell.trim()).slice(1, -1));
  return new Map(rows.slice(1).map(([name = "", ...cells]) => [name, cells]));
}

const count = (value: number) => value.toLocaleString("en");
/** An upper bound: guesses at different codes add up. */
const chance = (guesses: number) => `1 in ${count(Math.floor(codes / guesses))}`;

test("the chances in docs/security.md follow from how codes are compared", async (database) => {
  const rows = new Map<string, string[]>();
  const note = (name: string, hour: number, day = hour) =>
    rows.set(name, [count(hour), chance(hour), count(day), chance(day)]);
  await withAttack(database, async (attack) => {
    const { sql } = attack;
    await ring(attack, aPhone(), aPhone(), 1);
    await sql`select pg_temp.guess(call, hold) from rung`;
    note("one passcode", await compared(attack));
  });
  await withAttack(database, async (attack) => {
    const before = await compared(attack);
    await ring(attack, aPhone(), aPhone(), 7);
    note("what one call holds", await compared(attack) - before);
  });
  await withAttack(database, async (attack) => {
    const phone = aPhone();
    const known = () => ring(attack, aPhone(), phone, 7);
    const forged = () => ring(attack, phone, phone, 7);
    const hour = await exhaust(attack, known);
    const forgedHour = hour + await exhaust(attack, forged);
    let [later, forgedLater] = [0, 0];
    for (let hours = 0; hours < 3; hours++) {
      await letTimePass(database.sql, attack.clinic.id, hourSeconds);
      later += await exhaust(attack, known);
      forgedLater += await exhaust(attack, forged);
    }
    note("one number", hour, hour + later);
    note("one number, forged", forgedHour, forgedHour + later + forgedLater);
  });
  for (const isForged of [false, true]) {
    await withAttack(database, async (attack) => {
      const hour = await attackClinic(attack, isForged);
      if (isFull) {
        await letTimePass(database.sql, attack.clinic.id, hourSeconds);
        assert.ok(await attackClinic(attack, isForged) <= hour, "the next hour is no worse");
      }
      note(isForged ? "one clinic, forged" : "one clinic", hour, 24 * hour);
    });
  }
  assert.deepEqual(readTable(), rows);
});
