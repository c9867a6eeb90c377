// deno-lint-ignore-file no-console -- the console is watched
/** Nothing personal and no secret leaves through the log, the console or an answer, whatever happens. */
import assert from "node:assert/strict";
import cancelAppointment from "../../functions/cancel-appointment/index.ts";
import checkAvailability from "../../functions/check-availability/index.ts";
import holdSlot from "../../functions/hold-slot/index.ts";
import metrics from "../../functions/metrics/index.ts";
import rescheduleAppointment from "../../functions/reschedule-appointment/index.ts";
import sendOtp from "../../functions/send-otp/index.ts";
import verifyOtp from "../../functions/verify-otp/index.ts";
import type { DatabasePool } from "../../shared/database/client.ts";
import type { ServedTool } from "../../shared/request.ts";
import {
  aClinic,
  aDay,
  aPhone,
  aPost,
  aRequest,
  type Bench,
  metricsToken,
  newestCode,
  vapiSecret,
  withBench,
  wrongCodes,
} from "../support/clinic.ts";

const tools: Readonly<Record<string, ServedTool>> = {
  check_availability: checkAvailability,
  hold_slot: holdSlot,
  send_otp: sendOtp,
  verify_otp: verifyOtp,
  cancel_appointment: cancelAppointment,
  reschedule_appointment: rescheduleAppointment,
};
const patientName = "Zebediah Quixley";
const email = "zebediah@quixley.example";
const authToken = "5f3d0c2b9a8e7f6d5c4b3a2918070605";
const consoleMethods = ["debug", "log", "info", "warn", "error", "trace"] as const;

/** The output so far, and what must not be in it. */
interface Watch {
  readonly bench: Bench;
  readonly phones: Set<string>;
  readonly codes: Set<string>;
  readonly answers: string[];
  readonly printed: string[];
}

async function watched(work: (watch: Watch) => Promise<void>): Promise<void> {
  const printed: string[] = [];
  const methods = Object.fromEntries(consoleMethods.map((method) => [method, console[method]]));
  const note = (...parts: unknown[]) => printed.push(parts.map(String).join(" "));
  Object.assign(console, Object.fromEntries(consoleMethods.map((method) => [method, note])));
  try {
    await withBench(async (bench) => {
      const watch: Watch = { bench, phones: new Set(), codes: new Set(), answers: [], printed };
      await work(watch);
      check(watch);
    });
  } finally {
    Object.assign(console, methods);
  }
}

function check({ bench, phones, codes, answers, printed }: Watch): void {
  assert.deepEqual(printed, [], "only the log writes to the console");
  for (const { body } of bench.twilio.messages) codes.add(/^\d{6}/.exec(body)?.[0] ?? "none");
  const log = bench.lines.join("\n");
  assert.ok(!/quixley|zebediah/i.test(log), "the patient's name");
  const out = `${log}\n${answers.join("\n")}`;
  for (
    const secret of [vapiSecret, metricsToken, authToken, "sb_secret_test", btoa("p".repeat(32))]
  ) {
    assert.ok(!out.includes(secret), secret);
  }
  const squeezed = out.replace(/[\s().-]/g, "");
  for (const phone of phones) assert.ok(!squeezed.includes(phone.slice(3)), phone);
  for (const code of codes) assert.doesNotMatch(out, new RegExp(`(?<!\\d)${code}(?!\\d)`), code);
}

/** Asks and records the answer. */
async function ask(
  { bench, answers }: Watch,
  tool: ServedTool,
  request: Request,
  runtime = bench.runtime,
): Promise<string> {
  const response = await tool.using(runtime).fetch(request);
  const answer = `${response.status} ${await response.text()}`;
  answers.push(answer);
  return answer;
}

async function aCall(watch: Watch) {
  const { bench, phones } = watch;
  const clinic = await aClinic(bench.database.sql);
  await bench.provision(clinic, authToken);
  const call = { called: clinic.number, caller: aPhone(), callId: crypto.randomUUID() };
  phones.add(call.caller);
  phones.add(clinic.number);
  const say = (name: string, args: unknown, more: object = {}) =>
    ask(watch, tools[name] ?? holdSlot, aRequest({ ...call, tool: name, args, ...more }));
  return { clinic, call, say };
}

const slotAt = (time: string) => `consultation/${aDay()}T${time}`;

Deno.test(
  "a whole call with wrong codes, changes and texts that fail leaves nothing personal behind",
  () =>
    watched(async (watch) => {
      const { bench } = watch;
      const { say } = await aCall(watch);
      await bench.database.sql`update public.organizations set caller_holds = 50,
        caller_hourly_sends = 50`;
      await say("check_availability", { date: aDay(), serviceType: "consultation" });
      const faults = [
        21211,
        21610,
        21408,
        20003,
        30007,
        "http_500",
        "html",
        "failed",
        "no_sid",
      ] as const;
      for (const [index, fault] of faults.entries()) {
        const patientPhone = aPhone();
        watch.phones.add(patientPhone);
        const slotId = slotAt(`${String(index + 8).padStart(2, "0")}:00`);
        await say("hold_slot", { slotId, patientName, patientPhone }, { callId: `call-${index}` });
        bench.twilio.addFault(fault);
        await say("send_otp", {}, { callId: `call-${index}` });
        await say("send_otp", {}, { callId: `call-${index}` });
        for (const code of wrongCodes(newestCode(bench.twilio), 2)) {
          watch.codes.add(code);
          await say("verify_otp", { code }, { callId: `call-${index}` });
        }
      }
      await say("hold_slot", { slotId: slotAt("20:00"), patientName });
      await say("send_otp", {});
      const code = newestCode(bench.twilio);
      await say("verify_otp", { code: `my code is ${code.split("").join(" ")}` });
      for (const name of ["reschedule_appointment", "cancel_appointment"]) {
        await say(name, { patientName, slotId: slotAt("21:00") }, { callId: "another" });
        await say("send_otp", {}, { callId: "another" });
        await say("verify_otp", { code: newestCode(bench.twilio) }, { callId: "another" });
      }
      const outcomes = new Set(bench.lines.map((line) => JSON.parse(line).outcome));
      for (const wanted of ["held", "sent", "bad_destination", "wrong_code", "confirmed"]) {
        assert.ok(outcomes.has(wanted), `no call ended with ${wanted}`);
      }
    }),
);

Deno.test(
  "arguments of odd types and forms, unknown tools and malformed bodies leave nothing personal",
  () =>
    watched(async (watch) => {
      const { call, say } = await aCall(watch);
      const phone = aPhone();
      watch.phones.add(phone);
      const odd = [
        patientName,
        phone,
        phone.replace("+44", "0").replace(/^(.{5})/, "$1 "),
        [patientName, phone],
        { patientName, phone, note: `${patientName}, ${phone}` },
        Number(phone),
        `${patientName} `.repeat(50),
        true,
        null,
      ];
      const fields = [
        "date",
        "slotId",
        "holdId",
        "code",
        "patientName",
        "patientPhone",
        "tenantId",
      ];
      for (const name of Object.keys(tools)) {
        for (const value of odd) {
          const args = Object.fromEntries(fields.map((field) => [field, value]));
          await say(name, { ...args, patientName });
          await say(name, { inboundPhoneNumber: value, patientName, slotId: slotAt("09:00") });
        }
        for (
          const args of [`{"patientName":"${patientName}`, [patientName], 7, JSON.stringify(odd)]
        ) {
          await say(name, args);
        }
        // The answer repeats the requested tool and its id; the log must not.
        const strange = {
          ...call,
          tool: `call_${phone}`,
          toolCallId: phone,
          args: { patientName },
        };
        await tools[name]?.using(watch.bench.runtime).fetch(aRequest(strange));
        for (const secret of ["wrong", null, `${vapiSecret}x`]) {
          await say(name, { patientName, phone }, { secret });
        }
        for (
          const body of [`${patientName} ${phone}`, "", "[]", `{"message":"${phone}"}`, "\ud800"]
        ) {
          const request = aPost(body);
          await ask(watch, tools[name] ?? holdSlot, request);
        }
        // A tool that the model made up out of what the caller said.
        const madeUp = aRequest({ ...call, tool: `text ${patientName}`, args: {} });
        await tools[name]?.using(watch.bench.runtime).fetch(madeUp);
        const unknown = aRequest({ ...call, called: phone, tool: name, args: { patientName } });
        await ask(watch, tools[name] ?? holdSlot, unknown);
      }
      await metrics.using(watch.bench.runtime).fetch(
        new Request(`http://functions.test/?token=${metricsToken}&phone=${phone}`, {
          headers: { authorization: `Bearer ${metricsToken}x` },
        }),
      );
      assert.ok(watch.bench.lines.some((line) => line.includes('"unknown_tool"')));
      assert.ok(watch.bench.lines.some((line) => line.includes('"authentication_failed"')));
      assert.ok(watch.bench.lines.some((line) => line.includes('"request_unreadable"')));
    }),
);

Deno.test(
  "secrets in an error's message, cause, stack and fields are all removed",
  () =>
    watched(async (watch) => {
      const { bench } = watch;
      const { call } = await aCall(watch);
      watch.codes.add("482913");
      const told = `${call.caller} ${email} your code is 482913, Bearer ${authToken} ${vapiSecret}`;
      const cyclic = new Error(told);
      cyclic.cause = cyclic;
      const thrown: readonly unknown[] = [
        new Error(`${told} sb_secret_test`),
        new Error("x", { cause: { message: told, details: patientName, phone: call.caller } }),
        Object.assign(new Error("x"), {
          stack: told,
          request: { headers: { authorization: told } },
        }),
        new AggregateError([new Error(told), told], told),
        Object.assign(new TypeError(told), { patientName, code: "482913", authToken }),
        { message: told, patientName, config: { password: authToken } },
        cyclic,
        told,
        undefined,
        new Error("y".repeat(1e6) + told),
      ];
      for (const each of thrown) {
        const runtime = { ...bench.runtime, database: failing(each) };
        for (const [name, tool] of Object.entries(tools)) {
          const args = {
            ...{ date: aDay(), serviceType: "consultation", slotId: slotAt("09:00") },
            ...{ patientName, code: "482913" },
          };
          const answer = await ask(watch, tool, aRequest({ ...call, tool: name, args }), runtime);
          assert.match(answer, /"error":/, name);
        }
      }
      const named = Object.assign(new Error(`no row for "${patientName}"`), { stack: patientName });
      const runtime = { ...bench.runtime, database: failing(named) };
      const args = { slotId: slotAt("09:00"), patientName };
      await ask(watch, holdSlot, aRequest({ ...call, tool: "hold_slot", args }), runtime);
      const faults = bench.lines.filter((line) => line.includes('"tool_call_failed"'));
      assert.equal(faults.length, thrown.length * Object.keys(tools).length + 1);
    }),
);

/** A database whose every call ends like this. */
function failing(thrown: unknown): DatabasePool {
  return { within: () => ({ call: () => Promise.reject(thrown) }) };
}
