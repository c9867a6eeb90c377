/**
 * The findings of the code review that this project began with, each with the behaviour that answers it:
 * every check runs the functions against a real database, a gateway and a fake Twilio over HTTP, and says
 * what it saw.
 *
 * @module
 */

import assert from "node:assert/strict";
import checkAvailability from "../../functions/check-availability/index.ts";
import holdSlot from "../../functions/hold-slot/index.ts";
import metrics from "../../functions/metrics/index.ts";
import sendOtp from "../../functions/send-otp/index.ts";
import verifyOtp from "../../functions/verify-otp/index.ts";
import { readConfig } from "../../shared/config.ts";
import { openLog } from "../../shared/logging.ts";
import { redact } from "../../shared/redaction.ts";
import { createRuntime } from "../../shared/runtime.ts";
import type { ServedTool } from "../../shared/request.ts";
import {
  aClinic,
  aDay,
  aPhone,
  aRequest,
  type Bench,
  type Clinic,
  codeTo,
  letTimePass,
  metricsToken,
  type Said,
  wrongCodes,
} from "../support/clinic.ts";

/** One finding of the review. */
export interface Finding {
  readonly name: string;
  /** Returns what it saw; throws if that is not as it should be. */
  check(bench: Bench): Promise<string>;
}

/** A caller at a clinic of its own. */
interface Caller {
  readonly clinic: Clinic;
  readonly phone: string;
  readonly callId: string;
  readonly holdId: string;
  ask(tool: ServedTool, args?: object, toolCallId?: string): Promise<Said>;
}

async function aCaller(
  bench: Bench,
  { account = true, clinic, time = "10:00" }: {
    account?: boolean;
    clinic?: Clinic;
    time?: string;
  } = {},
): Promise<Caller> {
  const at = clinic ?? await aClinic(bench.database.sql, { providers: 2 });
  if (account && !clinic) await bench.provision(at);
  const [phone, callId] = [aPhone(), crypto.randomUUID()];
  const ask: Caller["ask"] = (tool, args = {}, toolCallId) =>
    bench.ask(tool, {
      ...{ tool: tool.tool.name, args, called: at.number, caller: phone, callId },
      ...(toolCallId === undefined ? {} : { toolCallId }),
    });
  const slotId = `consultation/${aDay()}T${time}`;
  const held = await ask(holdSlot, { slotId, patientName: "Ada Brown" });
  assert.equal(held.outcome, "held");
  return { clinic: at, phone, callId, holdId: held.holdId ?? "", ask };
}

/** The passcode row of a hold. */
async function passcodeOf(bench: Bench, holdId: string) {
  const [row] = await bench.database.sql<
    { state: string; mac: Uint8Array | null; wrong: number; sends: number }[]
  >`select o.state, o.mac, c.attempts as wrong, o.sends
    from public.appointments as a join public.calls as c using (org_id, call_id)
    join public.one_time_passcodes as o using (org_id, call_id) where a.id = ${holdId}`;
  return row;
}

const textsTo = (bench: Bench, phone: string) =>
  bench.twilio.messages.filter(({ to }) => to === phone).length;

const logged = (bench: Bench) => bench.lines.map((line) => JSON.parse(line));

/** The findings, in the order of the review. */
export const findings: readonly Finding[] = [
  {
    name: "Credentials before state",
    check: async (bench) => {
      const caller = await aCaller(bench, { account: false });
      const said = await caller.ask(sendOtp);
      assert.equal(said.outcome, "sms_not_configured");
      assert.equal(await passcodeOf(bench, caller.holdId), undefined);
      assert.equal(textsTo(bench, caller.phone), 0);
      return "a clinic without an account: sms_not_configured, nothing stored, nothing sent";
    },
  },
  {
    name: "Passcode cleared on failure",
    check: async (bench) => {
      const caller = await aCaller(bench);
      bench.twilio.addFault("http_503");
      const failed = await caller.ask(sendOtp);
      const row = await passcodeOf(bench, caller.holdId);
      assert.deepEqual([row?.state, row?.mac], ["cleared", null]);
      assert.ok(logged(bench).some(({ event }) => event === "rolling back OTP storage"));
      assert.equal((await caller.ask(sendOtp)).outcome, "sent");
      return `Twilio answered 503: ${failed.outcome}, code forgotten, the next text went at once`;
    },
  },
  {
    name: "Redaction keeps dates and addresses",
    check: () => {
      const kept = ["2026-03-03", "14:30", "12 High Street", "3 March 2026"];
      const gone = ["+44 7700 900123", "ada@example.org", "482913"];
      const { text } = redact(
        `On ${kept[0]} at ${kept[1]} (${kept[3]}), ${kept[2]}. Call ${gone[0]}, mail ${gone[1]}, ` +
          `your code is ${gone[2]}.`,
      );
      for (const part of kept) assert.ok(text.includes(part), `${part} is gone: ${text}`);
      for (const part of gone) assert.ok(!text.includes(part), `something personal is in: ${text}`);
      return Promise.resolve(text);
    },
  },
  {
    name: "Organization checked",
    check: async (bench) => {
      const [victim, other] = [await aCaller(bench), await aCaller(bench)];
      await victim.ask(sendOtp);
      const code = codeTo(bench.twilio, victim.phone);
      const foreign = await other.ask(verifyOtp, { code, holdId: victim.holdId });
      const unknown = await other.ask(verifyOtp, { code, holdId: crypto.randomUUID() });
      assert.deepEqual(foreign, unknown);
      assert.equal((await passcodeOf(bench, victim.holdId))?.wrong, 0);
      const denied = await other.ask(sendOtp, { tenantId: victim.clinic.id });
      assert.equal(denied.outcome, "cross_tenant_denied");
      return `another clinic's hold: ${foreign.outcome}, as an unknown one; its name: ${denied.outcome}`;
    },
  },
  {
    name: "Structured logs",
    check: async (bench) => {
      const caller = await aCaller(bench);
      await caller.ask(sendOtp);
      const line = logged(bench).findLast(({ function: name }) => name === "send_otp");
      for (const field of ["level", "time", "event", "outcome", "orgId", "callId", "totalMs"]) {
        assert.ok(line?.[field] !== undefined, `${field} is missing`);
      }
      const text = JSON.stringify(line);
      assert.ok(!text.includes(caller.phone) && !text.includes(codeTo(bench.twilio, caller.phone)));
      return `${bench.lines.length} lines of JSON, with outcome, call and durations, without number or code`;
    },
  },
  {
    name: "Input validation",
    check: async (bench) => {
      const caller = await aCaller(bench);
      const before = bench.restCalls.length;
      const missing = await caller.ask(verifyOtp);
      const malformed = await caller.ask(verifyOtp, { code: "four eight" });
      const service = await caller.ask(checkAvailability, { date: aDay() });
      assert.deepEqual(
        [missing.outcome, missing["fields"], malformed.outcome, service.outcome, service["fields"]],
        ["invalid_arguments", ["code"], "malformed_code", "invalid_arguments", ["serviceType"]],
      );
      assert.equal(bench.restCalls.length, before);
      const date = await caller.ask(checkAvailability, { serviceType: "consultation" });
      assert.deepEqual([date.outcome, typeof date["today"]], ["date_unclear", "string"]);
      return "missing code, no six digits, no service: each named, the database not asked; " +
        "no date: asked for, with the clinic's today";
    },
  },
  {
    name: "Clean-up",
    check: async (bench) => {
      const { sql } = bench.database;
      const caller = await aCaller(bench);
      await caller.ask(sendOtp);
      await letTimePass(sql, caller.clinic.id, 601);
      const [row] = await sql`select public.cleanup_expired_holds() as n`;
      const [hold] = await sql`select status from public.appointments where id = ${caller.holdId}`;
      assert.equal(hold?.["status"], "expired");
      assert.equal((await passcodeOf(bench, caller.holdId))?.mac, null);
      return `cleanup_expired_holds() returned ${row?.["n"]}: hold expired, code forgotten`;
    },
  },
  {
    name: "Metrics",
    check: async (bench) => {
      await aCaller(bench);
      const scrape = (headers: HeadersInit) =>
        metrics.using(bench.runtime).fetch(new Request("http://functions.test/", { headers }));
      assert.equal((await scrape({})).status, 401);
      const text = await (await scrape({ authorization: `Bearer ${metricsToken}` })).text();
      const sample = /^master_orchestrator_tool_calls_total\{.*outcome="held".*\} [1-9]\d*$/m
        .exec(text)?.[0];
      assert.ok(sample, "holds are not counted");
      return `${sample}; without the token 401`;
    },
  },
  {
    name: "Typed slots",
    check: async (bench) => {
      const caller = await aCaller(bench);
      const asked = { date: aDay(), serviceType: "consultation" };
      const found = await caller.ask(checkAvailability, asked);
      const slot = found.slots?.[0];
      assert.ok(slot);
      assert.match(slot.startTime, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)$/);
      const held = await caller.ask(holdSlot, { slotId: slot.slotId, patientName: "Ada" });
      const nonsense = await caller.ask(holdSlot, { slotId: "tuesday at two", patientName: "Ada" });
      assert.deepEqual([held.outcome, nonsense.outcome], ["held", "invalid_slot"]);
      return `${slot.slotId} (${slot.startTime}) was offered and held; "tuesday at two": invalid_slot`;
    },
  },
  {
    name: "One error path",
    check: async (bench) => {
      const lines: string[] = [];
      const away = createRuntime(
        readConfig({ ...bench.environment, SUPABASE_URL: "http://127.0.0.1:9" }),
        openLog("debug", (line) => lines.push(line)),
      );
      const heard = new Set<string>();
      for (const tool of [holdSlot, sendOtp, verifyOtp]) {
        const args = { slotId: `consultation/${aDay()}T10:00`, patientName: "Ada", code: "123456" };
        const response = await tool.using(away).fetch(
          aRequest({ tool: tool.tool.name, args, called: "+442079460123" }),
        );
        assert.equal(response.status, 200);
        const { results: [{ error }] } = await response.json();
        heard.add(error);
      }
      assert.equal(heard.size, 1);
      const codes = lines.map((line) => JSON.parse(line)).filter(({ event }) =>
        event === "tool_call_failed"
      ).map(({ outcome }) => outcome);
      assert.deepEqual(new Set(codes), new Set(["database_unavailable"]));
      return `the database away: "${[...heard][0]}", and database_unavailable in the log`;
    },
  },
  {
    name: "Duplicate requests",
    check: async (bench) => {
      const caller = await aCaller(bench);
      const sent = await Promise.all([1, 2, 3].map(() => caller.ask(sendOtp, {}, "call_send")));
      const [wrong = ""] = wrongCodes(codeTo(bench.twilio, caller.phone), 1);
      const guessed = await Promise.all(
        [1, 2, 3].map(() => caller.ask(verifyOtp, { code: wrong }, "call_guess")),
      );
      for (const said of [sent, guessed]) {
        assert.equal(new Set(said.map((each) => JSON.stringify(each))).size, 1);
      }
      const row = await passcodeOf(bench, caller.holdId);
      assert.deepEqual([textsTo(bench, caller.phone), row?.wrong], [1, 1]);
      return "three deliveries at once of a send and of a wrong code: one text, one attempt, one answer";
    },
  },
  {
    name: "Distinct logged reasons",
    check: async (bench) => {
      const caller = await aCaller(bench);
      const before = bench.lines.length;
      await caller.ask(verifyOtp, { code: "123456" });
      await caller.ask(sendOtp);
      await caller.ask(sendOtp);
      const code = codeTo(bench.twilio, caller.phone);
      await caller.ask(verifyOtp, { code: wrongCodes(code, 1)[0] });
      await letTimePass(bench.database.sql, caller.clinic.id, 301);
      await caller.ask(verifyOtp, { code });
      await caller.ask(verifyOtp, { code, holdId: crypto.randomUUID() });
      await letTimePass(bench.database.sql, caller.clinic.id, 300);
      await caller.ask(verifyOtp, { code });
      const outcomes = logged(bench).slice(before).map(({ outcome }) => outcome)
        .filter((outcome) => outcome !== undefined);
      const expected = ["no_code", "sent", "cooldown", "wrong_code", "code_expired"];
      assert.deepEqual(outcomes, [...expected, "hold_not_found", "hold_expired"]);
      return outcomes.join(", ");
    },
  },
  {
    name: "Parallel or fewer lookups",
    check: async (bench) => {
      const caller = await aCaller(bench);
      await caller.ask(sendOtp);
      await letTimePass(bench.database.sql, caller.clinic.id, 31);
      const count = async (tool: ServedTool, args: object) => {
        const before = bench.restCalls.length;
        await caller.ask(tool, args);
        return `${tool.tool.name} ${bench.restCalls.length - before}`;
      };
      const slotId = `consultation/${aDay()}T10:00`;
      const counts = [
        await count(checkAvailability, { date: aDay(), serviceType: "consultation" }),
        await count(holdSlot, { slotId, patientName: "Ada Brown" }),
        await count(sendOtp, {}),
        await count(verifyOtp, { code: codeTo(bench.twilio, caller.phone) }),
      ].join(", ");
      assert.equal(counts, "check_availability 1, hold_slot 1, send_otp 2, verify_otp 1");
      return `database calls: ${counts}`;
    },
  },
  {
    name: "Credential cache",
    check: async (bench) => {
      const first = await aCaller(bench);
      const second = await aCaller(bench, { clinic: first.clinic });
      const reads = () =>
        bench.restCalls.filter((path) => path.endsWith("/get_org_credentials")).length;
      const before = reads();
      await Promise.all([first.ask(sendOtp), second.ask(sendOtp)]);
      assert.equal(reads() - before, 1);
      await bench.provision(first.clinic, "token-after-rotation");
      bench.twilio.setAccount(
        `AC${first.clinic.id.replaceAll("-", "")}`,
        "token-after-rotation",
      );
      await letTimePass(bench.database.sql, first.clinic.id, 31);
      assert.equal((await first.ask(sendOtp)).outcome, "sent");
      assert.equal(reads() - before, 2);
      return "two sends at once read the account once; after a refusal it was read again";
    },
  },
  {
    name: "Audit trail",
    check: async (bench) => {
      const caller = await aCaller(bench);
      await caller.ask(sendOtp);
      await caller.ask(verifyOtp, { code: codeTo(bench.twilio, caller.phone) });
      const rows = await bench.database.sql`
        select action || ' ' || outcome as entry from public.audit_logs
        where org_id = ${caller.clinic.id} and call_id = ${caller.callId} order by at`;
      const entries = rows.map((row) => String(row["entry"]));
      for (const entry of ["hold_slot held", "send_otp sent", "confirm_appointment confirmed"]) {
        assert.ok(entries.includes(entry), `${entry} is missing`);
      }
      await assert.rejects(
        async () => await bench.database.sql`update public.audit_logs set outcome = 'x'`,
        { code: "42501" },
      );
      return `${entries.join(", ")}; the owner may not rewrite it (42501)`;
    },
  },
  {
    name: "Retention",
    check: async (bench) => {
      const { sql } = bench.database;
      const [old, recent] = [await aCaller(bench), await aCaller(bench)];
      for (const { ask, clinic } of [old, recent]) {
        await ask(sendOtp);
        await letTimePass(sql, clinic.id, 601);
      }
      await sql`select public.cleanup_expired_holds()`;
      await letTimePass(sql, old.clinic.id, 91 * 86_400);
      await sql`select public.apply_retention()`;
      const left = await sql`select id from public.appointments
        where id in (${old.holdId}, ${recent.holdId})`;
      assert.deepEqual(left.map(({ id }) => id), [recent.holdId]);
      assert.equal(await passcodeOf(bench, old.holdId), undefined);
      return "a hold that expired 91 days ago went with its passcode, a recent one stayed";
    },
  },
  {
    name: "Encryption",
    check: async (bench) => {
      const { sql } = bench.database;
      const [owner, thief] = [await aCaller(bench), await aCaller(bench)];
      await bench.provision(owner.clinic, "a-token-nobody-may-read");
      const [row] = await sql<{ text: string }[]>`
        select encode(ciphertext, 'escape') || key_id as text from public.org_credentials
        where org_id = ${owner.clinic.id}`;
      assert.ok(!row?.text.includes("a-token-nobody-may-read"));
      await sql`update public.org_credentials as t set nonce = o.nonce, ciphertext = o.ciphertext
        from public.org_credentials as o
        where t.org_id = ${thief.clinic.id} and o.org_id = ${owner.clinic.id}`;
      const moved = await thief.ask(sendOtp);
      assert.deepEqual([moved.outcome, textsTo(bench, thief.phone)], ["credentials_unreadable", 0]);
      await owner.ask(sendOtp);
      assert.equal((await passcodeOf(bench, owner.holdId))?.mac?.length, 32);
      return `AES-256-GCM; a row moved to another clinic: ${moved.outcome}; of a code only a MAC`;
    },
  },
];
