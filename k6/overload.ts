/** A thousand callers at once: what cannot be answered in time is refused, and bookings go on. */
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
