/**
 * Two hundred callers want one of five times of one doctor. Five get a hold, and all others hear of
 * other times. Afterwards the database is checked.
 */
import { Counter } from "k6/metrics";
import exec from "k6/execution";
import { Call, playing, requireTarget } from "./support/call.ts";

const times = ["09:00", "10:00", "11:00", "12:00", "13:00"];
const held = new Counter("holds");

export const options = playing(
  { rush: { executor: "per-vu-iterations", vus: 200, iterations: 1, maxDuration: "60s" } },
  { holds: [`count==${times.length}`] },
);

export const setup = requireTarget;
export { handleSummary } from "./support/summary.ts";

export default function () {
  const time = times[exec.scenario.iterationInTest % times.length];
  const day = new Date(Date.now() + 7 * 86_400_000).toISOString().slice(0, 10);
  const wanted = { slotId: `consultation/${day}T${time}`, patientName: "Ada Brown" };
  const said = new Call(__ENV.CLINIC ?? "").ask("hold_slot", wanted, ["held", "slot_taken"]);
  if (said.outcome === "held") held.add(1);
}
