/**
 * Builders: a clinic in the database, a request from Vapi, and the functions over a real gateway.
 *
 * @module
 */

import type postgres from "postgres";
import smsInbound from "../../functions/sms-inbound/index.ts";
import smsStatus from "../../functions/sms-status/index.ts";
import { readConfig } from "../../shared/config.ts";
import type { Deadlines } from "../../shared/deadline.ts";
import { beginOtpSend } from "../../shared/database/passcodes.ts";
import { openLog } from "../../shared/logging.ts";
import { createRuntime, type Runtime } from "../../shared/runtime.ts";
import type { ServedTool } from "../../shared/request.ts";
import { storeFakeAccount } from "../../supabase/local/twilio/account.ts";
import { type FakeTwilio, startFakeTwilio } from "../../supabase/local/twilio/server.ts";
import { createTestDatabase, secretKey, type TestDatabase } from "./database.ts";

/** The Vapi secret used in tests. */
export const vapiSecret = "test-vapi-secret";

/** The token for the metrics used in tests. */
export const metricsToken = "test-metrics-token";

/** The secret of the database's jobs in tests. */
export const jobsSecret = "test-jobs-secret-of-the-database";

/** A clinic with one service, open every day except for the last hour. */
export interface Clinic {
  readonly id: string;
  readonly slug: string;
  readonly number: string;
  readonly zone: string;
  readonly providers: readonly string[];
}

const digits = (count: number) =>
  Array.from(crypto.getRandomValues(new Uint8Array(count)), (byte) => byte % 10).join("");

let phones = Math.floor(Math.random() * 1000);
/** An unassigned mobile number from Ofcom's range for drama; the first thousand differ. */
export const aPhone = () => `+447700900${String(phones++ % 1000).padStart(3, "0")}`;

/** Creates a clinic with the given number of providers. */
export async function aClinic(
  sql: postgres.Sql,
  { zone = "Europe/London", providers = 1, capacity = 1, startMin = 0, endMin = 1380 } = {},
): Promise<Clinic> {
  const number = `+4420${digits(8)}`;
  const slug = `clinic-${crypto.randomUUID()}`;
  const [org] = await sql<{ id: string }[]>`
    insert into public.organizations (slug, name, timezone, default_country, sms_countries)
    values (${slug}, 'Sunrise Dental', ${zone}, 'GB', '{GB,US}') returning id`;
  const id = org?.id ?? "";
  await sql`insert into public.org_channels (kind, value, org_id)
    values ('called_number', ${number}, ${id})`;
  await sql`insert into public.services (org_id, slug, name, duration_min, step_min, capacity)
    values (${id}, 'consultation', 'Consultation', 30, 30, ${capacity})`;
  const slugs = Array.from({ length: providers }, (_, index) => `doctor-${index + 1}`);
  for (const provider of slugs) {
    await sql`insert into public.providers (org_id, slug, name)
      values (${id}, ${provider}, ${`Dr ${provider.replace("doctor-", "Number ")}`})`;
  }
  await sql`insert into public.provider_services
    select p.org_id, p.id, s.id from public.providers as p
    join public.services as s on s.org_id = p.org_id where p.org_id = ${id}`;
  await sql`insert into public.working_hours (org_id, provider_id, dow, start_min, end_min)
    select p.org_id, p.id, d, ${startMin}, ${endMin}
    from public.providers as p, generate_series(0, 6) as d where p.org_id = ${id}`;
  return { id, slug, number, zone, providers: slugs };
}

/** A date some days from now, on the clinic's clock. */
export function aDay(daysFromNow = 2, zone = "Europe/London"): string {
  const at = new Date(Date.now() + daysFromNow * 86_400_000);
  return new Intl.DateTimeFormat("en-CA", { timeZone: zone }).format(at);
}

/** A request as Vapi sends it. */
export interface VapiRequest {
  readonly tool: string;
  readonly args?: unknown;
  readonly called?: string;
  readonly caller?: string | null;
  readonly callId?: string;
  readonly toolCallId?: string;
  readonly secret?: string | null;
}

/** The request of a tool call. */
export const aRequest = (asked: VapiRequest): Request => aPost(aToolCall(asked), asked.secret);

/** The body of a tool call. */
export function aToolCall(asked: VapiRequest): string {
  const { tool, args = {}, called, caller = "+447700900456" } = asked;
  const id = asked.toolCallId ?? `call_${crypto.randomUUID()}`;
  const message = {
    type: "tool-calls",
    toolCallList: [{ id, type: "function", function: { name: tool, arguments: args } }],
    ...(called ? { phoneNumber: { number: called } } : {}),
    ...(caller ? { customer: { number: caller } } : {}),
    ...(asked.callId ? { call: { id: asked.callId } } : {}),
  };
  return JSON.stringify({ message });
}

/** A POST with the given body. */
export function aPost(body: string, secret: string | null = vapiSecret): Request {
  const headers = new Headers({ "content-type": "application/json" });
  if (secret !== null) headers.set("x-vapi-secret", secret);
  return new Request("http://functions.test/", { method: "POST", headers, body });
}

/** A tool's answer, parsed. */
export interface Said {
  readonly success: boolean;
  readonly outcome: string;
  readonly message: string;
  readonly action?: string;
  readonly holdId?: string;
  readonly slots?: readonly {
    readonly slotId: string;
    readonly startTime: string;
    readonly availableDoctors?: number;
    readonly seatsLeft?: number;
  }[];
  readonly [name: string]: unknown;
}

/** Everything a test of the functions needs. */
export interface Bench {
  readonly database: TestDatabase;
  readonly twilio: FakeTwilio;
  readonly runtime: Runtime;
  /** Deadlines of the runtime; a test with a silent Twilio shortens them. */
  readonly deadlines: { -readonly [Name in keyof Deadlines]: number };
  /** Log lines so far. */
  readonly lines: string[];
  /** Paths requested below `/rest/v1` so far. */
  readonly restCalls: string[];
  readonly restUrl: string;
  /** Settings of the functions, for creating another runtime. */
  readonly environment: Readonly<Record<string, string>>;
  ask(tool: ServedTool, asked: VapiRequest): Promise<Said>;
  /** Asks again while the answer is `busy`, as an agent that is told to retry. */
  insist(tool: ServedTool, asked: VapiRequest): Promise<Said>;
  /** Stores a Twilio account for the clinic. */
  provision(clinic: Pick<Clinic, "id" | "number">, authToken?: string): Promise<void>;
  stop(): Promise<void>;
}

/** On a busy machine a hundred concurrent calls take longer than a caller would wait. */
export const longDeadlines = { requestMs: 60_000, databaseCallMs: 50_000, textMs: 40_000 };

/** Settings of the functions that are needed everywhere. */
export const settingsFor = (restUrl: string, twilioUrl: string) => ({
  SUPABASE_URL: restUrl,
  SUPABASE_SECRET_KEYS: JSON.stringify({ default: secretKey }),
  VAPI_SECRETS: vapiSecret,
  OTP_PEPPERS: `v1:${btoa("p".repeat(32))}`,
  CREDENTIAL_KEYS: `v1:${btoa("k".repeat(32))}`,
  TWILIO_API_BASE: twilioUrl,
});

/** Asks again while the answer is `busy`, as an agent that is told to retry. */
export async function insist(ask: () => Promise<Said>): Promise<Said> {
  let said = await ask();
  for (let tries = 1; said.outcome === "busy" && tries < 50; tries++) {
    // Spread the retries, with longer waits each time.
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 100 * tries));
    said = await ask();
  }
  return said;
}

/** Starts a database, a gateway over HTTP and a fake Twilio for one test. */
export async function aBench(): Promise<Bench> {
  const database = await createTestDatabase();
  const twilio = await startFakeTwilio();
  const gateway = await database.gateway();
  const restCalls: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const { pathname } = new URL(request.url);
    // Twilio's delivery reports and patients' texts arrive here too.
    if (pathname === "/functions/v1/sms-status") return smsStatus.using(runtime).fetch(request);
    if (pathname === "/functions/v1/sms-inbound") return smsInbound.using(runtime).fetch(request);
    // Metrics are sent some time after the answer.
    if (!pathname.endsWith("/record_metrics")) restCalls.push(pathname);
    return gateway.fetch(request);
  });
  const restUrl = `http://127.0.0.1:${server.addr.port}`;
  const environment = {
    ...settingsFor(restUrl, twilio.url),
    METRICS_TOKEN: metricsToken,
    JOBS_SECRET: jobsSecret,
  };
  const lines: string[] = [];
  const config = readConfig(environment);
  const log = openLog("debug", (line) => lines.push(line));
  const deadlines = { ...longDeadlines };
  const runtime = createRuntime(config, log, deadlines);
  const ask: Bench["ask"] = async (tool, asked) => {
    const said = await readSaid(await tool.using(runtime).fetch(aRequest(asked)));
    await runtime.background.settled();
    return said;
  };
  return {
    database,
    twilio,
    runtime,
    deadlines,
    lines,
    restCalls,
    restUrl,
    environment,
    ask,
    insist: (tool, asked) => insist(() => ask(tool, asked)),
    provision: (clinic, authToken = "token-of-the-clinic") =>
      storeFakeAccount(database.sql, config.credentialKeys, clinic, authToken),
    stop: async () => {
      await server.shutdown();
      await twilio.stop();
      await database.drop();
    },
  };
}

/**
 * A runtime that does something after the database has answered a call; by default after a text is
 * claimed and before it goes to Twilio.
 */
export function withClaimFollowedBy(
  runtime: Runtime,
  happen: () => Promise<unknown>,
  name = beginOtpSend.sqlName,
): Runtime {
  return {
    ...runtime,
    database: {
      within: (budget, observer) => {
        const database = runtime.database.within(budget, observer);
        return {
          call: async (sqlName, args) => {
            const answer = await database.call(sqlName, args);
            if (sqlName === name) await happen();
            return answer;
          },
        };
      },
    },
  };
}

/** The first result of an answer; an `error` becomes an outcome with that name. */
export async function readSaid(response: Response): Promise<Said> {
  return saidIn(await response.text());
}

/** The same of the text of an answer. */
export function saidIn(body: string): Said {
  const { result, error } = JSON.parse(body).results?.[0] ?? {};
  return result === undefined
    ? { success: false, outcome: "error", message: error }
    : JSON.parse(result);
}

/** The code of the newest text. */
export function newestCode(twilio: FakeTwilio): string {
  return /^\d{6}/.exec(twilio.messages.at(-1)?.body ?? "")?.[0] ?? "";
}

/** Runs a test with its own bench. */
export async function withBench(work: (bench: Bench) => Promise<void>): Promise<void> {
  const bench = await aBench();
  try {
    await work(bench);
  } finally {
    await bench.stop();
  }
}

/** Registers a test with its own bench. */
export function testWithBench(
  name: string,
  work: (bench: Bench, test: Deno.TestContext) => Promise<void>,
  options: Pick<Deno.TestDefinition, "ignore"> = {},
): void {
  Deno.test(name, options, (context) => withBench((bench) => work(bench, context)));
}

/** The code of the newest text to a phone. */
export function codeTo(twilio: FakeTwilio, phone: string): string {
  const body = twilio.messages.findLast(({ to }) => to === phone)?.body ?? "";
  return /^\d{6}/.exec(body)?.[0] ?? "";
}

/** Different codes, all unlike the given one. */
export function wrongCodes(code: string, count: number): string[] {
  return Array.from(
    { length: count },
    (_, index) => String((Number(code) + 1 + index) % 1_000_000).padStart(6, "0"),
  );
}

/**
 * Simulates the passing of time: moves every timestamp of an organization into the past.
 *
 * @param seconds By how much.
 */
export async function letTimePass(sql: postgres.Sql, orgId: string, seconds: number) {
  await sql.begin(async (tx) => {
    const by = tx`make_interval(secs => ${seconds})`;
    await tx`update public.appointments set expires_at = expires_at - ${by},
      created_at = created_at - ${by} where org_id = ${orgId}`;
    await tx`update public.appointments set extended_at = extended_at - ${by},
      updated_at = updated_at - ${by}, handed_over_at = handed_over_at - ${by}
      where org_id = ${orgId}`;
    await tx`update public.appointment_changes set opened_at = opened_at - ${by},
      applied_at = applied_at - ${by} where org_id = ${orgId}`;
    await tx`update public.calls set created_at = created_at - ${by}, seen_at = seen_at - ${by}
      where org_id = ${orgId}`;
    await tx`update public.one_time_passcodes set expires_at = expires_at - ${by},
      claimed_at = claimed_at - ${by}, proven_until = proven_until - ${by}
      where org_id = ${orgId}`;
    await tx`update public.sms_messages set created_at = created_at - ${by} where org_id = ${orgId}`;
    await tx`update public.alarm_counters as c
      set happened_at = array(select t - ${by} from unnest(c.happened_at) as t)
      where c.org_id = ${orgId}`;
    await tx`update public.alarms set raised_at = raised_at - ${by}, first_at = first_at - ${by}
      where org_id = ${orgId}`;
    await tx`update public.phone_counts as n
      set sent_at = array(select t - ${by} from unnest(n.sent_at) as t),
        wrong_at = array(select t - ${by} from unnest(n.wrong_at) as t),
        asked_at = array(select t - ${by} from unnest(n.asked_at) as t),
        followed_up_at = array(select t - ${by} from unnest(n.followed_up_at) as t),
        kept_at = array(select t - ${by} from unnest(n.kept_at) as t),
        holds = array(select row(h.org_id, h.hold_id, h.made_at - ${by}, h.by_caller)
          ::private.counted_hold from unnest(n.holds) as h),
        changed_at = changed_at - ${by}
      where n.phone_hash in (select c.caller_hash from public.calls as c
          where c.org_id = ${orgId}
        union select sha256(convert_to(a.patient_phone, 'UTF8')) from public.appointments as a
          where a.org_id = ${orgId}
        union select c.phone_hash from public.one_time_passcodes as c where c.org_id = ${orgId}
        union select sha256(convert_to('no number/' || ${orgId}, 'UTF8')))`;
  });
}
