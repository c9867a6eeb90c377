/**
 * Single requests of a call, which can be delivered twice, and requests that wait for a lock.
 *
 * @module
 */

import assert from "node:assert/strict";
import type postgres from "postgres";
import { aCaller, type Answer, type Caller, type Line, readCode, sendCode } from "./callers.ts";
import { aDay, type Clinic } from "./clinic.ts";

/** The passcode in every text. */
export const code = "482913";

/** The part of a tool call that describes its call. */
export const envelope = ({ clinic, callId, phone, from = phone }: Caller, toolCallId: string) => ({
  p_call: {
    calledNumber: clinic.number,
    ...(from === null ? {} : { callerNumber: from }),
    ...{ callId, toolCallId },
  },
});

/** A consultation on the day that all tests book. */
export const slot = (time: string) => ({ p_slot_id: `consultation/${aDay()}T${time}` });

/** Asks for a hold. */
export const hold = (
  line: Line,
  caller: Caller,
  time: string,
  toolCallId: string = crypto.randomUUID(),
): Promise<Answer> =>
  line.ask("claim_slot_atomic", caller, { ...slot(time), ...envelope(caller, toolCallId) });

/** Books an appointment. Returns a caller for its patient's next call. */
export async function anAppointment(line: Line, clinic: Clinic, time: string): Promise<Caller> {
  const first = aCaller(clinic);
  assert.equal((await hold(line, first, time)).outcome, "held");
  await sendCode(line, first, code);
  assert.equal((await readCode(line, first, code)).outcome, "confirmed");
  return aCaller(clinic, first.phone);
}

/** Starts a send. */
export const send = (
  line: Line,
  caller: Caller,
  toolCallId: string,
  sendId: string = crypto.randomUUID(),
): Promise<Answer> =>
  line.ask("begin_otp_send", caller, {
    ...envelope(caller, toolCallId),
    p_hold: null,
    p_key_id: "v1",
    p_send_id: sendId,
    p_mac: code.padStart(64, "0"),
    p_expected_org: caller.clinic.id,
    p_sender: null,
  });

/** Completes a send, as after Twilio's answer. */
export const complete = async (line: Line, { clinic }: Caller, sendId: string): Promise<void> => {
  await line.sql`select public.complete_otp_send('{}', ${clinic.id}, ${sendId}, 'SM1')`;
};

/** Waits until `count` connections wait for a lock, or the work that could have waited has ended. */
export async function someWait(
  { database }: { readonly database: { readonly admin: postgres.Sql } },
  count: number,
  isOver: () => boolean,
): Promise<void> {
  while (!isOver()) {
    const rows = await database.admin`select from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`;
    if (rows.length >= count) return;
  }
}

/** Starts some work; `isOver` tells whether it has ended. */
export function start<T>(work: () => Promise<T>): { done: Promise<T>; isOver: () => boolean } {
  let isOver = false;
  const done = work().finally(() => isOver = true);
  // The test awaits the promise later.
  done.catch(() => {});
  return { done, isOver: () => isOver };
}
