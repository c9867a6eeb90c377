/** Smoke test: whole calls at both clinics of the seed. Bodies are checked, because every answer is 200. */
import exec from "k6/execution";
import { book, Call, playing, requireTarget } from "./support/call.ts";

const clinics = ["+442079460123", "+12125550123"];

export const options = playing(
  {
    calls: {
      executor: "constant-arrival-rate",
      rate: 2,
      timeUnit: "1s",
      duration: __ENV.DURATION || "10s",
      preAllocatedVUs: 50,
    },
  },
  { completed_calls: ["count>0"] },
);

export const setup = requireTarget;
export { handleSummary } from "./support/summary.ts";

export default function () {
  const clinic = clinics[exec.scenario.iterationInTest % clinics.length] ?? "";
  const first = new Call(clinic);
  if (!book(first)) return;
  const next = new Call(clinic, first.caller);
  const patient = { patientName: "Ada Brown" };
  next.ask("find_appointments", patient, ["code_needed"]);
  next.ask("cancel_appointment", patient, ["code_needed"]);
}
