/** A thousand concurrent callers: late requests are refused, and bookings continue. */
import { book, Call, playing, requireTarget } from "./support/call.ts";

export const options = playing(
  { callers: { executor: "constant-vus", vus: 1000, duration: __ENV.DURATION || "20s" } },
  { completed_calls: ["count>0"] },
);

export const setup = requireTarget;
export { handleSummary } from "./support/summary.ts";

export default function () {
  book(new Call(__ENV.CLINIC ?? ""));
}
