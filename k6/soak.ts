/** Two calls a second for half an hour, or for DURATION. */
import { book, Call, playing, requireTarget } from "./support/call.ts";

export const options = playing(
  {
    calls: {
      executor: "constant-arrival-rate",
      rate: 2,
      timeUnit: "1s",
      duration: __ENV.DURATION || "30m",
      preAllocatedVUs: 50,
    },
  },
  { completed_calls: ["count>0"] },
);

export const setup = requireTarget;
export { handleSummary } from "./support/summary.ts";

export default function () {
  book(new Call(__ENV.CLINIC ?? ""));
}
