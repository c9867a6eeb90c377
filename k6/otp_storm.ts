/**
 * Callers request codes for a few numbers and guess them, far beyond every limit. Afterwards the texts
 * and the database are checked: nothing is confirmed, and no number got more texts than allowed.
 */
import exec from "k6/execution";
import { Call, findTime, playing, requireTarget } from "./support/call.ts";

export const options = playing({
  storm: { executor: "per-vu-iterations", vus: 40, iterations: 5, maxDuration: "120s" },
});

export const setup = requireTarget;
export { handleSummary } from "./support/summary.ts";

const victims: readonly string[] = (__ENV.VICTIMS ?? "").split(",");
const sends = [
  "sent",
  "cooldown",
  "call_send_limit",
  "phone_send_limit",
  "locked",
  "hold_not_found",
];
const guesses = [
  "wrong_code",
  "code_locked",
  "locked",
  "no_code",
  "hold_expired",
  "hold_not_found",
];

export default function () {
  const victim = victims[exec.scenario.iterationInTest % victims.length] ?? "";
  // Half of them forge the number they call from.
  const call = Math.random() < 0.5
    ? new Call(__ENV.CLINIC ?? "", victim)
    : new Call(__ENV.CLINIC ?? "");
  const slotId = findTime(call);
  if (slotId === undefined) return;
  const patient = { slotId, patientName: "Ada Brown", patientPhone: victim };
  const held = call.ask("hold_slot", patient, ["held", "slot_taken", "hold_limit"]);
  if (held.outcome !== "held") return;
  for (let round = 0; round < 3; round++) {
    call.ask("send_otp", { holdId: held.holdId }, sends);
    for (let guess = 0; guess < 4; guess++) {
      const code = String(Math.floor(Math.random() * 1_000_000)).padStart(6, "0");
      call.ask("verify_otp", { holdId: held.holdId, code }, guesses);
    }
  }
}
