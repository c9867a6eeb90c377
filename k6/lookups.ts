/**
 * Free times of one clinic, asked for at a steady rate: nothing is held, booked or texted. For a project,
 * whose texts nobody can read here.
 */
import { Call, playing } from "./support/call.ts";

export const options = playing({
  lookups: {
    executor: "constant-arrival-rate",
    rate: 5,
    timeUnit: "1s",
    duration: __ENV.DURATION || "30s",
    preAllocatedVUs: 20,
  },
}, { dropped_iterations: ["count==0"] });

export { handleSummary } from "./support/summary.ts";

export default function () {
  const day = new Date(Date.now() + (1 + Math.floor(Math.random() * 20)) * 86_400_000);
  const asked = {
    date: day.toISOString().slice(0, 10),
    serviceType: __ENV.SERVICE || "consultation",
  };
  new Call(__ENV.CLINIC ?? "").ask("check_availability", asked, ["available", "fully_booked"]);
}
