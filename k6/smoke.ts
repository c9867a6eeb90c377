/**
 * Smoke run: whole calls at both clinics, every tool, bodies checked (every answer is 200).
 *
 * `http_req_waiting` is the time to first byte: how long the caller waits for our answer.
 */
import { check, group } from "k6";
import exec from "k6/execution";
import http from "k6/http";

const base = __ENV.BASE_URL || "http://127.0.0.1:8000";
const secret = __ENV.VAPI_SECRET || "local-vapi-secret";

/** A simulated call. */
interface Call {
  readonly id: string;
  readonly called: string;
  readonly caller: string;
}

/** The parts of a tool's answer that are read. */
interface Said {
  readonly outcome?: string;
  readonly slots?: readonly { readonly slotId: string }[];
  readonly holdId?: string;
}

/** A text stored by the stand-in for Twilio. */
interface Text {
  readonly to: string;
  readonly body: string;
}

const british = { number: "+442079460123", caller: () => `+447700900${random(0, 999, 3)}` };
const american = { number: "+12125550123", caller: () => `+1212555${random(100, 199, 4)}` };
const tools = ["check_availability", "hold_slot", "send_otp", "verify_otp"];

export const options = {
  scenarios: {
    calls: {
      executor: "constant-arrival-rate",
      rate: 2,
      timeUnit: "1s",
      duration: __ENV.DURATION || "10s",
      preAllocatedVUs: 10,
    },
  },
  thresholds: {
    checks: ["rate>0.99"],
    dropped_iterations: ["count==0"],
    ...Object.fromEntries(
      tools.map((tool) => [`http_req_waiting{tool:${tool}}`, ["p(95)<800"]]),
    ),
  },
};

export default function () {
  const iteration = exec.scenario.iterationInTest;
  const clinic = iteration % 2 === 0 ? british : american;
  const call = {
    id: `k6-${Date.now()}-${iteration}`,
    called: clinic.number,
    caller: clinic.caller(),
  };
  group("call", () => {
    const day = new Date(Date.now() + (1 + Math.floor(Math.random() * 60)) * 86_400_000);
    const found = ask(call, "check_availability", {
      date: day.toISOString().slice(0, 10),
      serviceType: "consultation",
    });
    const slots = found.slots ?? [];
    check(found, { "availability offers slots": () => slots.length > 0 });
    const slot = slots[Math.floor(Math.random() * slots.length)];
    if (!slot) return;
    const held = ask(call, "hold_slot", { slotId: slot.slotId, patientName: "Ada Brown" });
    check(held, {
      "hold is held or politely taken": ({ outcome }) =>
        outcome === "held" || outcome === "slot_taken",
    });
    if (held.outcome !== "held") return;
    const sent = ask(call, "send_otp", { holdId: held.holdId });
    check(sent, {
      "text is sent, or its number has had enough": ({ outcome }) =>
        outcome === "sent" || outcome === "phone_send_limit",
    });
    if (sent.outcome !== "sent") return;
    const kept = http.get(`${base}/local/sms`, { tags: { tool: "local" } }).body;
    const texts: readonly Text[] = JSON.parse(String(kept));
    const text = texts.filter(({ to }) => to === call.caller).pop();
    const code = text ? text.body.slice(0, 6) : "";
    check(ask(call, "verify_otp", { code, holdId: held.holdId }), {
      "code confirms": ({ outcome }) => outcome === "confirmed",
    });
  });
}

function ask(call: Call, tool: string, args: Readonly<Record<string, unknown>>): Said {
  const message = {
    type: "tool-calls",
    toolCallList: [{
      id: `call_${call.id}_${tool}`,
      type: "function",
      function: { name: tool, arguments: args },
    }],
    phoneNumber: { number: call.called },
    customer: { number: call.caller },
    call: { id: call.id },
  };
  const url = `${base}/functions/v1/${tool.replace("_", "-")}`;
  const response = http.post(url, JSON.stringify({ message }), {
    headers: { "content-type": "application/json", "x-vapi-secret": secret },
    tags: { tool },
  });
  const result = response.json("results.0.result");
  check(response, { "answer is a result": () => typeof result === "string" });
  return typeof result === "string" ? JSON.parse(result) : {};
}

/** A random whole number from a range, with leading zeros. */
function random(from: number, to: number, length: number): string {
  return String(from + Math.floor(Math.random() * (to - from + 1))).padStart(length, "0");
}
