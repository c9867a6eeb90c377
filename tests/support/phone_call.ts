/**
 * One phone call to a clinic, as the functions see it: ask, hold a time, get a code, read it out.
 *
 * @module
 */

import assert from "node:assert/strict";
import holdSlot from "../../functions/hold-slot/index.ts";
import sendOtp from "../../functions/send-otp/index.ts";
import verifyOtp from "../../functions/verify-otp/index.ts";
import type { Runtime } from "../../shared/runtime.ts";
import type { ServedTool } from "../../shared/request.ts";
import {
  aClinic,
  aDay,
  aPhone,
  aRequest,
  type Bench,
  type Clinic,
  codeTo,
  letTimePass,
  readSaid,
  type Said,
} from "./clinic.ts";

/** What a test can set in a tool call; the phone call fills in the rest. */
export interface Asked {
  readonly holdId?: string | undefined;
  readonly toolCallId?: string;
  readonly callId?: string;
  readonly runtime?: Runtime;
}

/** One phone call. Its functions are bound, so they can be destructured. */
export class PhoneCall {
  /** The id of the newest hold. */
  holdId = "";

  constructor(
    readonly bench: Bench,
    readonly clinic: Clinic,
    readonly phone: string = aPhone(),
    readonly callId: string = crypto.randomUUID(),
  ) {}

  /** Who calls whom, as `bench.ask` expects it. */
  get facts() {
    return { called: this.clinic.number, caller: this.phone, callId: this.callId };
  }

  /** The code in the newest text to the caller. */
  get code(): string {
    return codeTo(this.bench.twilio, this.phone);
  }

  /** How many texts the caller got. */
  get texts(): number {
    return this.bench.twilio.messages.filter(({ to }) => to === this.phone).length;
  }

  ask = async (tool: ServedTool, args: object = {}, asked: Asked = {}): Promise<Said> => {
    const { toolCallId, callId = this.callId, runtime = this.bench.runtime } = asked;
    const request = aRequest({
      ...this.facts,
      ...{ tool: tool.tool.name, args, callId },
      ...(toolCallId === undefined ? {} : { toolCallId }),
    });
    const said = await readSaid(await tool.using(runtime).fetch(request));
    await runtime.background.settled();
    return said;
  };

  hold = async (time = "10:00", more: object = {}, asked: Asked = {}): Promise<Said> => {
    const slotId = `consultation/${aDay()}T${time}`;
    const said = await this.ask(holdSlot, { slotId, patientName: "Ada Brown", ...more }, asked);
    this.holdId = said.holdId ?? this.holdId;
    return said;
  };

  send = (asked: Asked = {}): Promise<Said> => this.ask(sendOtp, { holdId: asked.holdId }, asked);

  verify = (code: string | number, asked: Asked = {}): Promise<Said> =>
    this.ask(verifyOtp, { code, holdId: asked.holdId }, asked);

  /** Simulates the passing of time for everything at the clinic. */
  pass = (seconds: number): Promise<void> =>
    letTimePass(this.bench.database.sql, this.clinic.id, seconds);

  async counters() {
    const [row] = await this.bench.database.sql`
      select o.code_attempts, c.attempts, o.sends
      from public.one_time_passcodes as o join public.calls as c using (org_id, call_id)
      where c.call_id = ${this.callId}`;
    return { ...row };
  }

  /** The status of the hold. */
  async status(): Promise<string | undefined> {
    const [row] = await this.bench.database.sql`
      select status from public.appointments where id = ${this.holdId}`;
    return row?.["status"];
  }
}

/** Creates a clinic that can text. */
export async function aTextingClinic(
  bench: Bench,
  { textsAtHold = false, ...options }:
    & Parameters<typeof aClinic>[1]
    & { readonly textsAtHold?: boolean } = {},
): Promise<Clinic> {
  const { sql } = bench.database;
  const clinic = await aClinic(sql, options);
  await bench.provision(clinic);
  await sql`
    update public.organizations set texts_at_hold = ${textsAtHold} where id = ${clinic.id}`;
  return clinic;
}

/** A call that has held a time, at the given clinic or at a new one that can text. */
export async function aHold(
  bench: Bench,
  { phone, clinic, time }: { phone?: string; clinic?: Clinic; time?: string } = {},
): Promise<PhoneCall> {
  const call = new PhoneCall(bench, clinic ?? await aTextingClinic(bench), phone);
  const held = await call.hold(time);
  assert.equal(held.outcome, "held", held.message);
  return call;
}
