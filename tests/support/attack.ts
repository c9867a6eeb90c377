/**
 * An attack on one clinic's line by many callers at once, and what honest patients experience during
 * it.
 *
 * The attackers start a new call in every round, which resets every limit that is tied to the call.
 * They hold times, text strangers, guess codes, and ask about the appointment of a patient whose name
 * and number they know. A third of them withhold their number, a third share one number, and each of
 * the others has a number of their own.
 *
 * @module
 */

import assert from "node:assert/strict";
import cancelAppointment from "../../functions/cancel-appointment/index.ts";
import checkAvailability from "../../functions/check-availability/index.ts";
import holdSlot from "../../functions/hold-slot/index.ts";
import rescheduleAppointment from "../../functions/reschedule-appointment/index.ts";
import sendOtp from "../../functions/send-otp/index.ts";
import verifyOtp from "../../functions/verify-otp/index.ts";
import { writeClock } from "../../supabase/tasks/clinic/notation.ts";
import { aDay, type Bench, type Clinic, type Said } from "./clinic.ts";
import { aTextingClinic, PhoneCall } from "./phone_call.ts";

/** The size of an attack. */
export interface Attack {
  readonly attackers: number;
  readonly seconds: number;
  /** Honest patients who call during the attack, evenly spread. */
  readonly patients: number;
  readonly doctors: number;
}

/** The result of an attack. */
export interface AttackReport {
  /** Tool calls made by the attackers. */
  readonly requests: number;
  /** What the attackers heard: counts by `tool outcome`. */
  readonly heard: ReadonlyMap<string, number>;
  /** Different numbers that the attackers called from. */
  readonly numbers: number;
  /** Possible starts on the attacked day. `held`: those that attackers held at the end. */
  readonly starts: number;
  readonly held: number;
  /** Texts that the clinic sent to strangers and to the patient whom the attackers know. */
  readonly texts: number;
  /** Other people's codes that the attackers guessed. */
  readonly guessed: number;
  /** The last outcome that each honest patient heard. */
  readonly patients: readonly string[];
  /** How long each patient waited for answers in total, in milliseconds. */
  readonly waits: readonly number[];
  /** The outcome when the patient whom the attackers know moves the appointment at the end. */
  readonly moved: string;
}

const day = () => aDay(3);
const victim = { name: "Ada Brown", phone: "+447700900001" };
const shared = "+447700900002";

/** The number an attacker calls from; null if it is withheld. */
function numberOf(attacker: number): string | null {
  switch (attacker % 3) {
    case 0:
      return null;
    case 1:
      return shared;
    default:
      return `+44771${String(attacker).padStart(7, "0")}`;
  }
}

/** Runs an attack on a new clinic that is open from 9:00 to 17:30. */
export async function attack(bench: Bench, size: Attack): Promise<AttackReport> {
  const clinic = await aTextingClinic(bench, {
    ...{ providers: size.doctors, startMin: 540, endMin: 1050 },
  });
  const known = await book(new PhoneCall(bench, clinic, victim.phone), victim.name, aDay(4));
  assert.equal(known, "confirmed");
  const textsBefore = bench.twilio.messages.length;
  const attackers = new Attackers(bench, clinic);
  const until = performance.now() + size.seconds * 1000;
  const waits: number[] = [];
  const [patients] = await Promise.all([
    Promise.all(Array.from({ length: size.patients }, async (_, index) => {
      await sleep((index + 0.5) * size.seconds * 1000 / size.patients);
      const phone = `+44772${String(index).padStart(7, "0")}`;
      const startedAt = performance.now();
      const outcome = await book(
        new PhoneCall(bench, clinic, phone),
        `Patient ${inLetters(index)} Honest`,
      );
      waits.push(performance.now() - startedAt);
      return outcome;
    })),
    ...Array.from({ length: size.attackers }, async (_, index) => {
      while (performance.now() < until) await attackers.strike(index);
    }),
  ]);
  await bench.runtime.background.settled();
  const texts = bench.twilio.messages.slice(textsBefore)
    .filter(({ to }) => !to.startsWith("+44772")).length;
  const [row] = await bench.database.sql<{ held: number }[]>`
    select count(*)::int as held from public.appointments
    where org_id = ${clinic.id} and status = 'held' and patient_name like 'Mallory%'`;
  return {
    requests: [...attackers.heard.values()].reduce((sum, count) => sum + count, 0),
    heard: attackers.heard,
    numbers: 1 + Math.floor(size.attackers / 3),
    starts: 17 * size.doctors,
    held: row?.held ?? 0,
    texts,
    guessed: attackers.guessed,
    patients,
    waits,
    moved: await move(new PhoneCall(bench, clinic, victim.phone)),
  };
}

/** Books as a patient would, at the first time still available; returns the last outcome. */
async function book(call: PhoneCall, patientName: string, date = day()): Promise<string> {
  let said: Said | undefined;
  for (let tries = 0; tries < 5 && said?.outcome !== "held"; tries++) {
    const found = await insist(() =>
      call.ask(checkAvailability, { date, serviceType: "consultation" })
    );
    const slotId = found.slots?.[tries % (found.slots?.length || 1)]?.slotId;
    if (slotId === undefined) return found.outcome;
    said = await insist(() => call.ask(holdSlot, { slotId, patientName }));
  }
  if (said?.outcome !== "held") return said?.outcome ?? "";
  const sent = await insist(() => call.send());
  if (sent.outcome !== "sent") return sent.outcome;
  return (await insist(() => call.verify(call.code))).outcome;
}

/** Moves the patient's appointment with a new code. */
async function move(call: PhoneCall): Promise<string> {
  const args = { patientName: victim.name, slotId: `consultation/${aDay(5)}T10:00` };
  await insist(() => call.ask(rescheduleAppointment, args));
  const sent = await insist(() => call.send());
  return sent.outcome === "sent" ? (await call.verify(call.code)).outcome : sent.outcome;
}

/** Asks again while the answer is `busy`, as an agent that is told to retry. */
async function insist(ask: () => Promise<Said>): Promise<Said> {
  let said = await ask();
  for (let tries = 0; said.outcome === "busy" && tries < 20; tries++) said = await ask();
  return said;
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Spells a number in letters, since names have no digits. */
const inLetters = (n: number) =>
  [...String(n)].map((digit) => "abcdefghij"[Number(digit)]).join("");

class Attackers {
  readonly heard = new Map<string, number>();
  guessed = 0;
  #rounds = 0;

  constructor(readonly bench: Bench, readonly clinic: Clinic) {}

  /** One call by an attacker. */
  async strike(attacker: number): Promise<void> {
    const round = this.#rounds++;
    const caller = numberOf(attacker);
    const callId = crypto.randomUUID();
    const ask = async (tool: Parameters<Bench["ask"]>[0], args: object) => {
      const asked = { tool: tool.tool.name, called: this.clinic.number, caller, callId, args };
      const said = await this.bench.ask(tool, asked);
      const key = `${tool.tool.name} ${said.outcome}`;
      this.heard.set(key, (this.heard.get(key) ?? 0) + 1);
      return said;
    };
    if (round % 2 === 0) {
      const time = writeClock(540 + 30 * (round % 17));
      await ask(holdSlot, {
        slotId: `consultation/${day()}T${time}`,
        patientName: `Mallory ${inLetters(round)}`,
        patientPhone: `+44773${String(round).padStart(7, "0")}`,
      });
    } else {
      await ask(cancelAppointment, { patientName: victim.name, patientPhone: victim.phone });
    }
    await ask(sendOtp, {});
    for (const code of ["123456", "000000", "111111"]) {
      const { success, outcome } = await ask(verifyOtp, { code });
      if (success && !outcome.startsWith("already")) this.guessed++;
    }
  }
}
