/** A thousand concurrent callers: late requests are refused, and bookings continue. */
import { book, Call, promises, requireTarget } from "./support/call.ts";

export const options = {
  scenarios: {
    callers: { executor: "constant-vus", vus: 1000, duration: __ENV.DURATION || "20s" },
  },
  thresholds: { ...promises, completed_calls: ["count>0"] },
};

export const setup = requireTarget;

export default function () {
  book(new Call(__ENV.CLINIC ?? ""));
}
