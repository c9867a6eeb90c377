/**
 * `deno task call`: plays a whole call over HTTP, step by step.
 *
 * It knows the wire contract and nothing of the functions' code. If no stack answers at the URL, it
 * starts one for the duration.
 *
 * @module
 */

import { useStack } from "../../supabase/tasks/stack.ts";
import { defineTask, main, Misuse, readAddress, Stop } from "../../supabase/tasks/task.ts";
import type { Terminal } from "../../supabase/tasks/terminal.ts";

const usage = `deno task call [--clinic sunrise|hudson] [--url URL]
  plays a call at a clinic of the local stack: finds a time, holds it, texts and checks the passcode,
  and waits for the confirmation by text
  --clinic NAME  one of the two; both if left out
  --url URL      the stack, http://127.0.0.1:8000 if left out; one is started if none answers there
  exit code 0: the appointments are confirmed, 1: a step failed, 2: wrong arguments`;

const clinics: Readonly<Record<string, { name: string; number: string; caller: () => string }>> = {
  sunrise: {
    name: "Sunrise Dental",
    number: "+442079460123",
    caller: () => `+447700900${digits(3)}`,
  },
  hudson: {
    name: "Hudson Aesthetics",
    number: "+12125550123",
    caller: () => `+1212555010${digits(1)}`,
  },
};

/** Far longer than it takes, in milliseconds. */
const confirmationMs = 30_000;

interface Said {
  readonly success: boolean;
  readonly outcome: string;
  readonly message: string;
  readonly slots?: readonly { readonly slotId: string }[];
  readonly holdId?: string;
  readonly nextTool?: string;
}

/** The task. */
export const call = defineTask({
  usage,
  options: {
    clinic: { type: "string" },
    url: { type: "string", default: "http://127.0.0.1:8000" },
  },
  run: async ({ values: { clinic, url: given } }, { running, terminal }) => {
    if (clinic !== undefined && !(clinic in clinics)) {
      throw new Misuse(`--clinic takes ${Object.keys(clinics).join(" or ")}, not ${clinic}`);
    }
    const { url } = await useStack(readAddress(given), running, "call");
    for (const name of clinic === undefined ? Object.keys(clinics) : [clinic]) {
      await playCall(url, name, terminal);
    }
    return 0;
  },
});

/** Ends the call with what was expected and what was heard instead. */
function fail(message: string): never {
  throw new Stop(1, `FAILED: ${message}`);
}

/**
 * Plays one call and prints it.
 *
 * @throws {Stop} If a step goes wrong.
 */
async function playCall(url: string, clinicName: string, terminal: Terminal): Promise<void> {
  const clinic = clinics[clinicName];
  if (!clinic) fail(`there is no clinic ${clinicName}`);
  const caller = clinic.caller();
  const callId = crypto.randomUUID();
  terminal.print(`\nA call to ${clinic.name} (${clinic.number})`);

  const ask = async (tool: string, args: object): Promise<Said> => {
    const startedAt = performance.now();
    const response = await fetch(`${url}/functions/v1/${tool.replaceAll("_", "-")}`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-vapi-secret": "local-vapi-secret" },
      body: JSON.stringify({
        message: {
          type: "tool-calls",
          toolCallList: [{
            id: `call_${crypto.randomUUID()}`,
            type: "function",
            function: { name: tool, arguments: args },
          }],
          phoneNumber: { number: clinic.number },
          customer: { number: caller },
          call: { id: callId },
        },
      }),
    });
    if (response.status !== 200) fail(`${tool} answered ${response.status}, expected 200`);
    const { results: [answer] } = await response.json();
    const said: Said = answer.error
      ? { success: false, outcome: "error", message: answer.error }
      : JSON.parse(answer.result);
    const ms = Math.round(performance.now() - startedAt);
    terminal.print(`  ${tool.padEnd(20)} ${String(ms).padStart(4)} ms  ${said.outcome}`);
    terminal.print(`    "${said.message}"`);
    return said;
  };
  /** Asks again if the booking system could not be reached in time, as the caller is told to. */
  const insist = async (tool: string, args: object): Promise<Said> => {
    for (let tries = 1;; tries++) {
      const said = await ask(tool, args);
      if (!["error", "busy"].includes(said.outcome) || tries === 3) return said;
    }
  };
  const expect = (said: Said, ...outcomes: string[]): Said => {
    if (outcomes.includes(said.outcome)) return said;
    return fail(`expected ${outcomes.join(" or ")}, heard ${said.outcome}: ${said.message}`);
  };

  const date = new Date(Date.now() + 86_400_000).toISOString().slice(0, 10);
  const found = expect(
    await insist("check_availability", { date, serviceType: "consultation", days: 7 }),
    "available",
  );
  let held: Said | undefined;
  for (const { slotId } of found.slots ?? []) {
    const said = expect(
      await insist("hold_slot", { slotId, patientName: "Ada Brown" }),
      "held",
      "slot_taken",
    );
    if (said.outcome === "held") {
      held = said;
      break;
    }
  }
  if (!held) return fail("every offered slot was taken");
  if (held.nextTool === "send_otp") {
    expect(await insist("send_otp", { holdId: held.holdId }), "sent");
  }
  const readTexts = async (): Promise<string[]> => {
    const texts: { body: string }[] = await (
      await fetch(`${url}/local/sms?to=${encodeURIComponent(caller)}`)
    ).json();
    return texts.map(({ body }) => body);
  };
  const printText = (body: string) => {
    terminal.print(`  text to ***${caller.slice(-2)}: "${body}"`);
  };
  const texts = await readTexts();
  const text = texts.findLast((body) => /^\d{6} /.test(body));
  if (text === undefined) return fail("no text arrived at /local/sms");
  printText(text);
  const code = text.slice(0, 6).split("").join(" ");
  expect(await insist("verify_otp", { code, holdId: held.holdId }), "confirmed");
  printText(await untilLonger(readTexts, texts.length));
}

/** The first text after this many. The database asks for it within a second or two. */
async function untilLonger(read: () => Promise<string[]>, seen: number): Promise<string> {
  const endsAt = performance.now() + confirmationMs;
  while (performance.now() < endsAt) {
    const text = (await read())[seen];
    if (text !== undefined) return text;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return fail("the booking was not confirmed by text");
}

function digits(count: number): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(count)), (byte) => byte % 10).join("");
}

if (import.meta.main) await main(call);
