/**
 * Ways to answer the four tools of a booking, all used by the same callers: ours, its SQL functions
 * through a driver, a bare server, and the usual way.
 *
 * @module
 */

import { createClient, type SupabaseClient } from "@supabase/supabase-js";
import assert from "node:assert/strict";
import postgres from "postgres";
import { z } from "zod";
import checkAvailability from "../../functions/check-availability/index.ts";
import holdSlot from "../../functions/hold-slot/index.ts";
import sendOtp from "../../functions/send-otp/index.ts";
import verifyOtp from "../../functions/verify-otp/index.ts";
import { readConfig } from "../../shared/config.ts";
import { checkAvailability as askAvailability } from "../../shared/database/availability.ts";
import type { CallFacts } from "../../shared/database/entry.ts";
import { claimSlot } from "../../shared/database/holds.ts";
import {
  beginOtpSend,
  completeOtpSend,
  verifyOtpAndConfirm,
} from "../../shared/database/passcodes.ts";
import { openLog } from "../../shared/logging.ts";
import { createRuntime } from "../../shared/runtime.ts";
import { createGateway } from "../../supabase/local/rest/gateway.ts";
import { storeFakeAccount } from "../../supabase/local/twilio/account.ts";
import { type FakeTwilio, startFakeTwilio } from "../../supabase/local/twilio/server.ts";
import type { Running } from "../../supabase/tasks/task.ts";
import {
  aClinic,
  aRequest,
  codeTo,
  longDeadlines,
  readSaid,
  settingsFor,
} from "../support/clinic.ts";
import { createTestDatabase, secretKey, type TestDatabase } from "../support/database.ts";
import type { tools } from "../support/measured_stack.ts";
import { askDatabase } from "./driver.ts";
import { settleUsually, type UsualTables, usualWay } from "./usual_way.ts";

/** A tool of a booking. */
export type Tool = typeof tools[number];

/** A caller of a clinic, with a time that nobody else wants. */
export interface Caller {
  readonly callId: string;
  /** E.164. */
  readonly phone: string;
  readonly date: string;
  /** HH:MM in UTC, where the clinics are. */
  readonly time: string;
  /** The slug. */
  readonly doctor: string;
  /** The answer of hold_slot. */
  readonly holdId?: string | undefined;
  /** What the caller reads out. */
  readonly code?: string | undefined;
}

/** An answer to a caller. */
export interface Answer {
  readonly outcome: string;
  readonly holdId?: string | undefined;
}

/** A way to answer the tools. */
export interface Way {
  readonly name: string;
  readonly tools: Readonly<Record<Tool, (caller: Caller) => Promise<Answer>>>;
  /** The code that the caller was texted; undefined where none is. */
  readonly codeOf?: (caller: Caller) => string;
  /** Resolves when the work that follows an answer is done. */
  readonly settled?: () => Promise<void>;
}

/** A simulated distance to the database: delays each query, and counts them. */
class Distance {
  delayMs = 0;
  queries = 0;
  /** Successive queries; concurrent ones count once. */
  turns = 0;
  #underWay = 0;

  /** Sends a query to the database. */
  async cross<Result>(ask: () => Promise<Result>): Promise<Result> {
    this.queries++;
    if (this.#underWay++ === 0) this.turns++;
    try {
      if (this.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, this.delayMs));
      return await ask();
    } finally {
      this.#underWay--;
    }
  }
}

/** The ways over one database, one gateway and one fake Twilio. */
export interface Ways {
  readonly all: readonly Way[];
  readonly ours: Way;
  readonly usual: Way;
  readonly distance: Distance;
  readonly twilio: FakeTwilio;
  readonly database: TestDatabase;
  readonly usualTables: SupabaseClient<UsualTables, "usual">;
}

const doctors = 10;

/** Starts everything. */
export async function startWays(running: Running): Promise<Ways> {
  const database = await running.start(createTestDatabase(), ({ drop }) => drop());
  await database.sql.unsafe(await Deno.readTextFile(new URL("usual_way.sql", import.meta.url)));
  const twilio = await running.start(startFakeTwilio(), ({ stop }) => stop());
  const distance = new Distance();
  const url = await serveDatabase(database, distance, running);
  const usualTables = createClient<UsualTables, "usual">(url, secretKey, {
    db: { schema: "usual" },
    auth: { persistSession: false, autoRefreshToken: false },
  });
  const ours = await serveOurs(database, url, twilio, running);
  const usual = async (name: string, isTogether: boolean, isCached: boolean) => {
    const number = `+442079460${100 + Math.floor(Math.random() * 900)}`;
    await settleUsually(usualTables, number, doctors);
    return await serveUsual(
      name,
      usualWay({
        ...{ db: usualTables, number, twilioUrl: twilio.url, isTogether, isCached },
      }),
      twilio,
      running,
    );
  };
  const before = await usual("the usual way", false, false);
  return {
    all: [
      serveNothing(running),
      await askDirectly(database, distance, running),
      before,
      await usual("  its lookups together", true, false),
      await usual("  and its clinic cached", true, true),
      ours,
    ],
    ...{ ours, usual: before, distance, twilio, database, usualTables },
  };
}

/** Serves `/rest/v1` for all ways, with one more schema. */
async function serveDatabase(
  database: TestDatabase,
  distance: Distance,
  running: Running,
): Promise<string> {
  const gateway = await running.start(
    createGateway({
      dbUrl: database.url("authenticator"),
      schemas: ["public", "usual"],
      secretKey,
      jwtSecret: "test-jwt-secret-of-more-than-32-characters",
      basePath: "/rest/v1",
      acquisitionTimeoutMs: 40_000,
    }),
    ({ close }) => close(),
  );
  // Metrics are sent together, after the answers.
  return serve(
    running,
    (request) =>
      request.url.endsWith("/record_metrics")
        ? gateway.fetch(request)
        : distance.cross(() => gateway.fetch(request)),
  );
}

function serve(running: Running, answer: (request: Request) => Promise<Response>): string {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, answer);
  running.start(Promise.resolve(server), () => server.shutdown()).catch(() => {});
  return `http://127.0.0.1:${server.addr.port}`;
}

async function serveOurs(
  database: TestDatabase,
  restUrl: string,
  twilio: FakeTwilio,
  running: Running,
): Promise<Way> {
  const config = readConfig(settingsFor(restUrl, twilio.url));
  // Each line is redacted and then dropped.
  const runtime = createRuntime(config, openLog("info", () => {}), longDeadlines);
  const clinic = await aBusyClinic(database);
  await storeFakeAccount(database.sql, config.credentialKeys, clinic);
  const served = [checkAvailability, holdSlot, sendOtp, verifyOtp];
  const url = serve(running, async (request) => {
    const name = new URL(request.url).pathname.slice(1);
    const tool = served.find(({ tool }) => tool.name === name);
    return await tool?.using(runtime).fetch(request) ?? new Response(null, { status: 404 });
  });
  const ask = async (tool: Tool, caller: Caller, args: object): Promise<Answer> => {
    const { callId, phone } = caller;
    const request = aRequest({ tool, args, called: clinic.number, caller: phone, callId });
    return await readSaid(await fetch(new Request(`${url}/${tool}`, request)));
  };
  return {
    name: "ours",
    tools: {
      check_availability: (caller) =>
        ask("check_availability", caller, { date: caller.date, serviceType: "consultation" }),
      hold_slot: (caller) =>
        ask("hold_slot", caller, { slotId: slotIdOf(caller), patientName: "Ada Brown" }),
      send_otp: (caller) => ask("send_otp", caller, { holdId: caller.holdId }),
      verify_otp: (caller) => ask("verify_otp", caller, { code: caller.code }),
    },
    codeOf: ({ phone }) => codeTo(twilio, phone),
    settled: () => runtime.background.settled(),
  };
}

const slotIdOf = ({ date, time, doctor }: Caller) => `consultation/${date}T${time}/${doctor}`;

/** A clinic whose limits are never reached. */
async function aBusyClinic({ sql }: TestDatabase) {
  const clinic = await aClinic(sql, { zone: "UTC", providers: doctors });
  await sql`update public.organizations set sms_hourly_limit = 1000000 where id = ${clinic.id}`;
  return clinic;
}

const answer = z.object({ outcome: z.string(), holdId: z.string().optional() });

/** A server's tools, called over HTTP. */
function askOver(url: string): Way["tools"] {
  const ask = (tool: Tool) => async (caller: Caller) => {
    const response = await fetch(`${url}/${tool}`, {
      method: "POST",
      body: JSON.stringify(caller),
    });
    return answer.parse(await response.json());
  };
  return {
    check_availability: ask("check_availability"),
    hold_slot: ask("hold_slot"),
    send_otp: ask("send_otp"),
    verify_otp: ask("verify_otp"),
  };
}

/** The outcome of each tool if nothing goes wrong. */
export const expected: Readonly<Record<Tool, string>> = {
  check_availability: "available",
  hold_slot: "held",
  send_otp: "sent",
  verify_otp: "confirmed",
};

const isTool = (name: string): name is Tool => name in expected;
const toolOf = (request: Request): Tool => {
  const name = new URL(request.url).pathname.slice(1);
  assert.ok(isTool(name));
  return name;
};

/** Reads each request and answers with the expected outcome. */
function serveNothing(running: Running): Way {
  const url = serve(running, async (request) => {
    await request.json();
    return Response.json({ outcome: expected[toolOf(request)] });
  });
  return { name: "a bare Deno.serve", tools: askOver(url) };
}

function serveUsual(
  name: string,
  tools: Way["tools"],
  twilio: FakeTwilio,
  running: Running,
): Way {
  const url = serve(running, async (request) => {
    const caller: Caller = await request.json();
    return Response.json(await tools[toolOf(request)](caller));
  });
  return { name, tools: askOver(url), codeOf: ({ phone }) => codeTo(twilio, phone) };
}

/** The SQL functions through a driver's pool, as large as the gateway's. */
async function askDirectly(
  testDatabase: TestDatabase,
  distance: Distance,
  running: Running,
): Promise<Way> {
  // Each connection runs one statement at a time, as the gateway's do.
  const options = { max: 10, max_pipeline: 1, onnotice: () => {} };
  const sql = postgres(testDatabase.url(), options);
  await running.start(Promise.resolve(sql), () => sql.end({ timeout: 5 }));
  const clinic = await aBusyClinic(testDatabase);
  const direct = await askDatabase(sql);
  const database: typeof direct = {
    call: (name, args) => distance.cross(() => direct.call(name, args)),
  };
  const mac = { keyId: "v1", mac: "0".repeat(64) };
  const factsOf = ({ callId, phone }: Caller): CallFacts => ({
    ...{ calledNumber: clinic.number, callerNumber: phone, callId },
    ...{ toolCallId: crypto.randomUUID(), claims: {} },
  });
  return {
    name: "the SQL by the driver",
    tools: {
      check_availability: (caller) =>
        askAvailability(database, factsOf(caller), {
          service: "consultation",
          day: { date: caller.date },
        }),
      hold_slot: (caller) =>
        claimSlot(database, factsOf(caller), {
          ...{ slotId: slotIdOf(caller), patientName: "Ada Brown" },
          ...{ patientPhone: caller.phone, patientCountry: "GB" },
        }),
      send_otp: async (caller) => {
        const call = factsOf(caller);
        const send = { call, orgId: clinic.id, sendId: crypto.randomUUID() };
        const begun = await beginOtpSend(database, call, {
          ...{ ...send, mac, holdId: caller.holdId },
          ...{ expectedOrgId: clinic.id, sender: clinic.number },
        });
        return begun.outcome === "claimed"
          ? await completeOtpSend(database, send, "SM1")
          : { outcome: begun.outcome };
      },
      verify_otp: (caller) =>
        verifyOtpAndConfirm(database, factsOf(caller), { holdId: undefined, macs: [mac] }),
    },
  };
}
