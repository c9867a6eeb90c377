// deno-lint-ignore-file no-console -- a scenario reports errors
/**
 * One phone call as a k6 scenario plays it, and metrics of its answers.
 *
 * Every answer is 200, so bodies are read. `http_req_waiting` is the time to first byte: how long the
 * caller waits for our answer.
 */
import { sleep } from "k6";
import exec from "k6/execution";
import http from "k6/http";
import { Counter } from "k6/metrics";

const base = __ENV.BASE_URL || "http://127.0.0.1:8000";
const secret = __ENV.VAPI_SECRET || "local-vapi-secret";

/** Answers that the scenario does not expect at that point. */
const wrong = new Counter("wrong_answers");
/** Sentences about a fault instead of a result, and requests without an answer. */
const faults = new Counter("faults");
/** Answers that contain data of another clinic. */
const leaks = new Counter("leaks");
/** Requests that were refused because of overload. */
const refused = new Counter("refused");
/** Calls that were completed. */
const completed = new Counter("completed_calls");

/** A request that takes longer counts as hanging. */
const hangMs = 30_000;

/** The tools of a booking, in its order. */
export const tools = ["check_availability", "hold_slot", "send_otp", "verify_otp"];

/** Thresholds that no scenario may break. Times are printed. */
export const promises: Record<string, string[]> = {
  wrong_answers: ["count==0"],
  faults: ["count==0"],
  leaks: ["count==0"],
  http_req_duration: [`max<${hangMs}`],
  ...Object.fromEntries(tools.map((tool) => [`http_req_waiting{tool:${tool}}`, ["p(95)>=0"]])),
};

/** The parts of a tool's answer that are read. */
export interface Said {
  readonly outcome: string;
  readonly slots?: readonly { readonly slotId: string }[];
  readonly holdId?: string;
}

/** Aborts if no stack answers. */
export function requireTarget(): void {
  const { status } = http.get(`${base}/health`, { tags: { tool: "local" } });
  if (status !== 200) exec.test.abort(`No stack answers at ${base}: it said ${status}`);
}

/** A caller with a unique number who calls a clinic. */
export class Call {
  readonly caller: string;
  readonly id: string;

  constructor(readonly clinic: string) {
    const count = exec.scenario.iterationInTest;
    this.caller = `+4477${String(count % 100_000_000).padStart(8, "0")}`;
    this.id = `k6-${exec.scenario.name}-${count}-${Date.now()}`;
  }

  /** Asks a tool until it is not refused, like an agent that is told to retry. */
  ask(tool: string, args: object, expected: readonly string[]): Said {
    let said = this.once(tool, args);
    for (let tries = 0; said.outcome === "busy" && tries < 100; tries++) {
      refused.add(1);
      sleep(Math.random() * 0.2);
      said = this.once(tool, args);
    }
    if (said.outcome !== "fault" && !expected.includes(said.outcome)) {
      wrong.add(1);
      console.error(`${tool} answered ${said.outcome} instead of ${expected.join(" or ")}`);
    }
    return said;
  }

  /** Asks a tool once. */
  once(tool: string, args: object): Said {
    const body = this.post(tool, args);
    try {
      const { result } = JSON.parse(body).results[0];
      if (typeof result === "string") return JSON.parse(result);
    } catch {
      // Counted below.
    }
    faults.add(1);
    console.error(`${tool} answered ${body.slice(0, 200)}`);
    return { outcome: "fault" };
  }

  /** The body of a tool's answer. */
  post(tool: string, args: object): string {
    const message = {
      type: "tool-calls",
      toolCallList: [{ id: "call_1", type: "function", function: { name: tool, arguments: args } }],
      phoneNumber: { number: this.clinic },
      customer: { number: this.caller },
      call: { id: this.id },
    };
    // A repeat keeps its id, but these are different requests.
    message.toolCallList[0]!.id = `call_${this.id}_${tool}_${Math.random()}`;
    const url = `${base}/functions/v1/${tool.replaceAll("_", "-")}`;
    const response = http.post(url, JSON.stringify({ message }), {
      headers: { "content-type": "application/json", "x-vapi-secret": secret },
      tags: { tool },
      timeout: hangMs,
    });
    return String(response.body ?? "");
  }

  /** The code in the newest text to the caller; blank when there is none. */
  code(): string {
    const to = encodeURIComponent(this.caller);
    const { body } = http.get(`${base}/local/sms?to=${to}`, { tags: { tool: "local" } });
    const texts: readonly { readonly body: string }[] = JSON.parse(String(body));
    return texts.at(-1)?.body.slice(0, 6) ?? "";
  }
}

/** Books as a patient does: find, hold, text, confirm. */
export function book(call: Call): void {
  const day = new Date(Date.now() + (2 + Math.floor(Math.random() * 55)) * 86_400_000);
  const asked = { date: day.toISOString().slice(0, 10), serviceType: "consultation" };
  const { slots = [] } = call.ask("check_availability", asked, ["available"]);
  const slot = slots[Math.floor(Math.random() * slots.length)];
  if (!slot) return;
  const patient = { slotId: slot.slotId, patientName: "Ada Brown" };
  const held = call.ask("hold_slot", patient, ["held", "slot_taken"]);
  if (held.outcome !== "held") return;
  if (call.ask("send_otp", { holdId: held.holdId }, ["sent"]).outcome !== "sent") return;
  const said = call.ask("verify_otp", { code: call.code(), holdId: held.holdId }, ["confirmed"]);
  if (said.outcome === "confirmed") completed.add(1);
}

/** Reports something that must not be said. */
export function reportLeak(what: string): void {
  leaks.add(1);
  console.error(`Leaked: ${what}`);
}
