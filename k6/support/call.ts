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
import type { Options } from "k6/options";

const base = __ENV.BASE_URL || "http://127.0.0.1:8000";
const secret = __ENV.VAPI_SECRET || "local-vapi-secret";

/** Answers that the scenario does not expect at that point. */
const wrong = new Counter("wrong_answers");
/** Answers without a result, and requests without an answer. They are repeated. */
const faults = new Counter("faults");
/** Requests that still had no result after the last repetition. */
const errors = new Counter("errors");
/** Answers that contain data of another clinic. */
const leaks = new Counter("leaks");
/** Requests that were refused because of overload. */
const refused = new Counter("refused");
/** Calls that were completed. */
const completed = new Counter("completed_calls");

/** A request that takes longer counts as hanging. */
const hangMs = 30_000;

/** How often a request is repeated after a fault. On a slow machine, deadlines can pass. */
const maxFaults = 5;

/** The tools that a scenario may call. */
const tools = [
  "check_availability",
  "hold_slot",
  "send_otp",
  "verify_otp",
  "find_appointments",
  "cancel_appointment",
  "reschedule_appointment",
];

/** A threshold for the requests with each value of a tag. */
function waitingFor(tag: string, values: readonly string[], threshold: string) {
  return values.map((value) => [`http_req_waiting{${tag}:${value}}`, [threshold]]);
}

/**
 * The options of a scenario, with the thresholds that no scenario may break. Times are printed. They
 * are a threshold only with P95_MS, because machines differ.
 *
 * @param thresholds Additional ones of this scenario.
 */
export function playing(
  scenarios: NonNullable<Options["scenarios"]>,
  thresholds: Record<string, string[]> = {},
): Options {
  const p95 = __ENV.P95_MS ? `p(95)<${__ENV.P95_MS}` : "p(95)>=0";
  return {
    scenarios,
    thresholds: {
      wrong_answers: ["count==0"],
      errors: ["count==0"],
      faults: [__ENV.P95_MS ? "count==0" : "count>=0"],
      leaks: ["count==0"],
      http_req_duration: [`max<${hangMs}`],
      ...Object.fromEntries(waitingFor("tool", tools, p95)),
      ...Object.fromEntries(waitingFor("scenario", Object.keys(scenarios), "p(95)>=0")),
      ...Object.fromEntries(
        Object.keys(scenarios).map((name) => [`refused{scenario:${name}}`, ["count>=0"]]),
      ),
      ...thresholds,
    },
    summaryTrendStats: ["count", "med", "p(95)", "max"],
  };
}

/** The parts of a tool's answer that are read. */
export interface Said {
  readonly outcome: string;
  readonly slots?: readonly { readonly slotId: string }[];
  readonly holdId?: string;
  /** The beginning of an answer without a result. */
  readonly body?: string;
}

const isToBeRepeated = ({ outcome }: Said) => outcome === "busy" || outcome === "fault";

/** Aborts if no stack answers. */
export function requireTarget(): void {
  const { status } = http.get(`${base}/health`, { tags: { tool: "local" } });
  if (status !== 200) exec.test.abort(`No stack answers at ${base}: it said ${status}`);
}

/** A random British mobile number: the limits of a number count for a day. */
function aNumber(): string {
  return `+4474${String(Math.floor(Math.random() * 50_000_000)).padStart(8, "0")}`;
}

/** A phone call to a clinic. */
export class Call {
  readonly id: string;

  constructor(readonly clinic: string, readonly caller = aNumber()) {
    this.id = `k6-${exec.scenario.name}-${exec.scenario.iterationInTest}-${Math.random()}`;
  }

  /** Asks a tool until it has a result, like an agent that is told to retry. */
  ask(tool: string, args: object, expected: readonly string[]): Said {
    let said = this.#once(tool, args);
    let failures = 0;
    for (let tries = 0; isToBeRepeated(said) && tries < 100; tries++) {
      if (said.outcome === "fault" && ++failures > maxFaults) {
        errors.add(1);
        console.error(`${tool} failed ${failures} times: ${said.body}`);
        return said;
      }
      sleep(Math.random() * 0.2);
      said = this.#once(tool, args);
    }
    // After a fault the first request may have been carried out, which changes the answer.
    if (failures === 0 && !expected.includes(said.outcome)) {
      wrong.add(1);
      console.error(`${tool} answered ${said.outcome} instead of ${expected.join(" or ")}`);
    }
    return said;
  }

  #once(tool: string, args: object): Said {
    const body = this.#post(tool, args);
    try {
      const { result } = JSON.parse(body).results[0];
      if (typeof result === "string") {
        const said: Said = JSON.parse(result);
        if (said.outcome === "busy") refused.add(1);
        return said;
      }
    } catch {
      // Counted below.
    }
    faults.add(1);
    return { outcome: "fault", body: body.slice(0, 200) };
  }

  #post(tool: string, args: object): string {
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

  /** The texts with a passcode to the caller, oldest first; others tell of appointments. */
  texts(): readonly { readonly body: string }[] {
    const to = encodeURIComponent(this.caller);
    const { body } = http.get(`${base}/local/sms?to=${to}`, { tags: { tool: "local" } });
    const texts: { body: string }[] = JSON.parse(String(body));
    return texts.filter(({ body }) => /^\d{6} /.test(body));
  }

  /**
   * Requests a text and returns its code, or undefined if none was sent. For a change, the text may
   * follow the answer.
   */
  receiveCode(args: object): string | undefined {
    const before = this.texts().length;
    if (this.ask("send_otp", args, ["sent"]).outcome !== "sent") return undefined;
    let texts = this.texts();
    for (let tries = 0; texts.length === before && tries < 100; tries++) {
      sleep(0.1);
      texts = this.texts();
    }
    return texts.at(-1)?.body.slice(0, 6);
  }
}

/** A random free time of a clinic, if it has any. */
export function findTime(call: Call): string | undefined {
  const day = new Date(Date.now() + (2 + Math.floor(Math.random() * 55)) * 86_400_000);
  const asked = { date: day.toISOString().slice(0, 10), serviceType: "consultation" };
  const { slots = [] } = call.ask("check_availability", asked, ["available", "fully_booked"]);
  return slots[Math.floor(Math.random() * slots.length)]?.slotId;
}

/** Books as a patient does: find, hold, text, confirm. Returns whether it is booked. */
export function book(call: Call): boolean {
  const slotId = findTime(call);
  if (slotId === undefined) return false;
  const patient = { slotId, patientName: "Ada Brown" };
  const held = call.ask("hold_slot", patient, ["held", "slot_taken"]);
  return held.outcome === "held" && prove(call, held.holdId, "confirmed");
}

/** Requests a code and reads it out. Returns whether verify_otp answered the given outcome. */
export function prove(call: Call, holdId: string | undefined, outcome: string): boolean {
  const hold = holdId === undefined ? {} : { holdId };
  const code = call.receiveCode(hold);
  if (code === undefined) return false;
  const said = call.ask("verify_otp", { ...hold, code }, [outcome]);
  if (said.outcome === outcome) completed.add(1);
  return said.outcome === outcome;
}

/** Reports something that must not be said. */
export function reportLeak(what: string): void {
  leaks.add(1);
  console.error(`Leaked: ${what}`);
}
