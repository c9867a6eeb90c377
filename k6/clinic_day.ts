/**
 * An hour of a clinic in a minute. Most callers book, some misread their code, some only ask or hang up
 * while a time is held, and some call again to move or cancel.
 */
import { book, Call, findTime, playing, prove, requireTarget } from "./support/call.ts";

export const options = playing(
  {
    day: {
      executor: "ramping-arrival-rate",
      startRate: 1,
      timeUnit: "1s",
      stages: [
        { target: 4, duration: "20s" },
        { target: 4, duration: "20s" },
        { target: 1, duration: "20s" },
      ],
      preAllocatedVUs: 100,
    },
  },
  { completed_calls: ["count>0"] },
);

export const setup = requireTarget;
export { handleSummary } from "./support/summary.ts";

const patientName = "Ada Brown";

/** What callers want, in percent. */
const wishes: readonly (readonly [number, (call: Call) => void])[] = [
  [45, (call) => book(call)],
  [15, misreadTheCode],
  [10, findTime],
  [10, hangUp],
  [10, bookAndCancel],
  [10, bookAndMove],
];

export default function () {
  let drawn = Math.random() * 100;
  for (const [share, play] of wishes) {
    drawn -= share;
    if (drawn < 0) return play(new Call(__ENV.CLINIC ?? ""));
  }
}

function hold(call: Call): string | undefined {
  const slotId = findTime(call);
  return slotId === undefined
    ? undefined
    : call.ask("hold_slot", { slotId, patientName }, ["held", "slot_taken"]).holdId;
}

function hangUp(call: Call): void {
  hold(call);
}

function misreadTheCode(call: Call): void {
  const holdId = hold(call);
  if (holdId === undefined) return;
  const code = call.receiveCode({ holdId });
  if (code === undefined) return;
  const wrong = String((Number(code) + 1) % 1_000_000).padStart(6, "0");
  call.ask("verify_otp", { holdId, code: wrong }, ["wrong_code"]);
  call.ask("verify_otp", { holdId, code }, ["confirmed"]);
}

function bookAndCancel(call: Call): void {
  if (!book(call)) return;
  const next = new Call(call.clinic, call.caller);
  next.ask("cancel_appointment", { patientName }, ["code_needed"]);
  prove(next, undefined, "cancelled");
}

function bookAndMove(call: Call): void {
  if (!book(call)) return;
  const next = new Call(call.clinic, call.caller);
  const slotId = findTime(next);
  if (slotId === undefined) return;
  const asked = { patientName, slotId };
  const said = next.ask("reschedule_appointment", asked, ["code_needed", "slot_taken"]);
  if (said.outcome === "code_needed") prove(next, undefined, "rescheduled");
}
