/**
 * Two clinics. Every id from one of them is sent to the other, which must answer as to an id that does
 * not exist. Afterwards the database is checked for all holds.
 */
import { Call, findTime, playing, reportLeak, requireTarget } from "./support/call.ts";

export const options = playing({
  crossing: { executor: "per-vu-iterations", vus: 10, iterations: 6, maxDuration: "60s" },
});

export const setup = requireTarget;
export { handleSummary } from "./support/summary.ts";

const name = "Ada Brown";

export default function () {
  const [here = "", there = ""] = Math.random() < 0.5
    ? [__ENV.CLINIC, __ENV.OTHER_CLINIC]
    : [__ENV.OTHER_CLINIC, __ENV.CLINIC];
  const patient = new Call(here);
  const slotId = findTime(patient);
  if (slotId === undefined) return;
  const { holdId = "" } = patient.ask("hold_slot", { slotId, patientName: name }, ["held"]);
  // The missing result is already counted.
  if (holdId === "") return;
  const nobodys = "11111111-1111-4111-8111-111111111111";
  for (const [tool, args] of [["send_otp", {}], ["verify_otp", { code: "123456" }]] as const) {
    const answers = [holdId, nobodys].map((id) => {
      const stranger = new Call(there);
      return stranger.ask(tool, { ...args, holdId: id }, ["hold_not_found", "call_needed"]);
    });
    const [about, control] = answers.map((answer) => JSON.stringify(answer));
    if (about !== control) reportLeak(`${tool} of another clinic's hold: ${about}, not ${control}`);
    if (about?.includes(holdId)) reportLeak(`${tool} repeats the hold: ${about}`);
  }
  const clinics = {
    [__ENV.CLINIC ?? ""]: __ENV.CLINIC_ID,
    [__ENV.OTHER_CLINIC ?? ""]: __ENV.OTHER_ID,
  };
  const claimed = new Call(there).ask(
    "check_availability",
    { date: slotId.slice(13, 23), serviceType: "consultation", tenantId: clinics[here] },
    ["cross_tenant_denied"],
  );
  if (claimed.slots) reportLeak("another clinic's times");
  const found = new Call(there).ask("find_appointments", { patientName: name }, ["code_needed"]);
  if (JSON.stringify(found).includes(slotId)) reportLeak("another clinic's appointment");
}
