/**
 * What an attacker tries, over HTTP like everybody else, and what an honest caller experiences in the meantime.
 *
 * @module
 */

import type { FakeTwilio } from "../local/twilio/server.ts";
import { sign } from "../local/twilio/reports.ts";
import { type Arguments, LineCall, type ToolUse } from "../tasks/talk/line.ts";
import { readBook } from "./book.ts";
import type { SwitchedDatabase } from "./database.ts";
import { insist } from "./phone_calls.ts";
import { countBy, drawNumbers, inLetters } from "./rush.ts";
import { makeTarget, type Target } from "./target.ts";

/** The attacks by their names. */
export const attackNames = ["names", "hoarding", "codes", "report"] as const;
/** The name of an attack. */
export type AttackName = typeof attackNames[number];

/** What came of an attack. */
export interface AttackReport {
  readonly name: AttackName;
  readonly requests: number;
  /** How often the attackers were answered what, by tool and outcome or by status. */
  readonly heard: Readonly<Record<string, number>>;
  /** What they reached, in sentences. */
  readonly findings: readonly string[];
  /** How an honest patient's call ended in the meantime, and how long its tools took. */
  readonly honest: { readonly outcome: string; readonly ms: number };
}

/** What attacks work with. */
export interface Battlefield {
  readonly database: SwitchedDatabase;
  readonly twilio: FakeTwilio;
  /** The address of the stack. */
  readonly url: string;
  /** Signs the requests, as Vapi does: the attackers are callers, who have no secret. */
  readonly secret: string;
  /** Stores a Twilio account for every clinic that has none. */
  readonly provision: () => Promise<void>;
}

/** Plays an attack on a clinic of its own. */
export async function attack(field: Battlefield, name: AttackName): Promise<AttackReport> {
  const target = await makeTarget(field.database, field.url, field.provision);
  const { day, open } = await readBook(field.database, target.slug);
  const [victim = "", patient = "", ...attackers] = drawNumbers(60);
  const scene = new Scene(field, target, day, { victim, attackers });
  if (name === "names") await scene.book(victim, "Ada Brown");
  const startedAt = performance.now();
  const [findings, honest] = await Promise.all([
    play(scene, name, open.length),
    scene.book(patient, "Grace Honest").then(({ outcome }) => ({
      outcome,
      ms: performance.now() - startedAt,
    })),
  ]);
  const heard = countBy(scene.heard);
  return { name, requests: scene.heard.length, heard, findings, honest };
}

function play(scene: Scene, name: AttackName, starts: number): Promise<string[]> {
  switch (name) {
    case "names":
      return tryNames(scene);
    case "hoarding":
      return hoard(scene, starts);
    case "codes":
      return guess(scene);
    case "report":
      return forge(scene);
  }
}

const names = [
  ...["Zoe Quill", "Ada Brown", "Max Frost", "Eva Stone", "Tom Reed", "Amy Wood", "Leo Hart"],
  ...["Mia Lane", "Sam Cole", "Ivy Nash", "Dan Page", "Joy Webb"],
];

/** Asks to cancel the appointment of a known number, with one name after the other. */
async function tryNames(scene: Scene): Promise<string[]> {
  const said: string[] = [];
  for (const [place, patientName] of names.entries()) {
    const call = scene.call(place);
    const asked = await scene.ask(call, "cancel_appointment", {
      patientName,
      patientPhone: scene.numbers.victim,
    });
    const sent = await scene.ask(call, "send_otp", {});
    said.push([asked, sent].map(({ outcome, message }) => `${outcome} ${message}`).join(" "));
  }
  const right = names.indexOf("Ada Brown");
  const isSame = said[right] === said[right - 1];
  return [
    `${names.length} names were tried; one of them has an appointment. ` +
    (isSame
      ? "With the right name the caller heard, word for word, what the wrong name before it heard."
      : "The right name was answered differently from the wrong one."),
    `${await scene.count("cancelled")} appointments were cancelled.`,
  ];
}

/** Holds every time of a day under invented names, from three numbers and withheld ones. */
async function hoard(scene: Scene, starts: number): Promise<string[]> {
  const { open } = await readBook(scene.field.database, scene.target.slug, scene.day);
  await Promise.all(
    open.map((time, place) =>
      scene.ask(scene.call(place), "hold_slot", {
        slotId: time.slotId,
        patientName: `Mallory ${inLetters(place)}`,
        patientPhone: scene.numbers.attackers[place % 40 + 10] ?? "",
      })
    ),
  );
  const held = await scene.count("held", "Mallory%");
  return [
    `From three numbers and from none, they asked for ${starts} times and hold ${held} of them, ` +
    "for a few minutes.",
  ];
}

/** Guesses codes that were texted to somebody else. */
async function guess(scene: Scene): Promise<string[]> {
  const { open } = await readBook(scene.field.database, scene.target.slug, scene.day);
  let [guessed, compared] = [0, 0];
  for (let round = 0; round < 10; round++) {
    const call = scene.call(round);
    await scene.ask(call, "hold_slot", {
      slotId: open[round]?.slotId ?? "",
      patientName: `Mallory ${inLetters(round)}`,
      patientPhone: scene.numbers.victim,
    });
    await scene.ask(call, "send_otp", {});
    for (let digit = 0; digit < 10; digit++) {
      const { outcome } = await scene.ask(call, "verify_otp", { code: `${digit}`.repeat(6) });
      if (outcome === "confirmed") guessed++;
      if (outcome === "wrong_code") compared++;
    }
  }
  const texts = scene.field.twilio.messages.filter(({ to }) => to === scene.numbers.victim).length;
  return [
    `Of 100 guesses, ${compared} were compared with a code, and the limits refused the rest. ` +
    `${guessed} confirmed an appointment.`,
    `The owner of the number got ${texts} texts.`,
  ];
}

/** Reports on a text as if Twilio did: unsigned, signed with a guess, and for another clinic. */
async function forge(scene: Scene): Promise<string[]> {
  const { field, numbers: { victim }, target } = scene;
  const booking = await scene.book(victim, "Ada Brown");
  const text = field.twilio.messages.findLast(({ to }) => to === victim);
  const address = text?.statusCallback ?? `${field.url}/functions/v1/sms-status`;
  const form = {
    ...{ AccountSid: text?.accountSid ?? "", MessageSid: text?.sid ?? "", To: victim },
    ...{ MessageStatus: "failed", SmsStatus: "failed", ErrorCode: "30006" },
  };
  const elsewhere = address.replace(target.orgId, crypto.randomUUID());
  const tries: [string, string | undefined][] = [
    [address, undefined],
    [address, sign("guess", address, form)],
    [address, sign("local-auth-token", elsewhere, form)],
    [elsewhere, sign("local-auth-token", elsewhere, form)],
  ];
  for (const [to, signature] of tries) {
    const headers = signature === undefined ? undefined : { "x-twilio-signature": signature };
    const body = new URLSearchParams(form);
    const answer = await fetch(to, { method: "POST", body, ...(headers && { headers }) });
    await answer.body?.cancel();
    scene.heard.push(`sms-status ${answer.status}`);
  }
  const failed = await scene.field.database.ask((sql) =>
    sql`
      select from public.sms_messages where org_id = ${target.orgId} and error_code is not null`
  );
  return [
    "Four reports said that a text had failed: one without a signature, one signed with a guess, " +
    "one with the signature of another address, and one for another clinic.",
    `The database has ${failed.length} texts that failed; the patient's call ended ${booking.outcome}.`,
  ];
}

/** The calls of an attack. */
class Scene {
  /** What the attackers were answered. */
  readonly heard: string[] = [];

  constructor(
    readonly field: Battlefield,
    readonly target: Target,
    readonly day: string,
    readonly numbers: { readonly victim: string; readonly attackers: readonly string[] },
  ) {}

  /** A new call of an attacker: a third withhold their number, the others have three together. */
  call(attacker: number): LineCall {
    const [first, ...others] = this.numbers.attackers;
    const second = others[Math.floor(attacker / 3) % 2];
    return this.#from([undefined, first, second][attacker % 3]);
  }

  /** Asks as an attacker. */
  async ask(call: LineCall, tool: string, args: Arguments): Promise<ToolUse["answer"]> {
    const { answer } = await call.use(tool, args);
    this.heard.push(`${tool} ${answer.outcome}`);
    return answer;
  }

  /** Books as a patient does, with the first time that can still be had. */
  async book(caller: string, patientName: string): Promise<ToolUse["answer"]> {
    const call = this.#from(caller);
    const use = async (tool: string, args: Arguments) =>
      (await insist(() => call.use(tool, args))).answer;
    const wish = { date: this.day, serviceType: "consultation" };
    let answer = await use("check_availability", wish);
    for (let tries = 0; tries < 5 && answer.outcome !== "held"; tries++) {
      const slotId = answer.slots?.[0]?.slotId;
      if (slotId === undefined) return answer;
      answer = await use("hold_slot", { slotId, patientName });
    }
    if (answer.outcome !== "held") return answer;
    const sent = await use("send_otp", {});
    const texts = this.field.twilio.messages.filter(({ to }) => to === caller);
    const code = texts.map(({ body }) => /\b\d{6}\b/.exec(body)?.[0]).findLast(Boolean);
    return code === undefined ? sent : await use("verify_otp", { code });
  }

  /** Appointments of the clinic in a status. */
  async count(status: string, name = "%"): Promise<number> {
    const rows = await this.field.database.ask((sql) =>
      sql`
        select from public.appointments where org_id = ${this.target.orgId}
          and status = ${status} and patient_name like ${name}`
    );
    return rows.length;
  }

  #from(caller: string | undefined): LineCall {
    return new LineCall(this.target.line, { secret: this.field.secret, signs: true, caller });
  }
}
