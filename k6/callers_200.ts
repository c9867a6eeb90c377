/** Two hundred concurrent callers book without a pause, at a clinic whose Twilio takes 250 ms. */
import { book, Call, playing, requireTarget } from "./support/call.ts";

export const options = playing(
  { callers: { executor: "constant-vus", vus: 200, duration: __ENV.DURATION || "15s" } },
  { completed_calls: ["count>0"] },
);

export const setup = requireTarget;
export { handleSummary } from "./support/summary.ts";

export default function () {
  book(new Call(__ENV.CLINIC ?? ""));
}
