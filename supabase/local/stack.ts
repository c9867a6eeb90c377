/**
 * The whole stack in one process: Postgres, `/rest/v1`, `/auth/v1`, functions, jobs, and a fake Twilio.
 *
 * @module
 */

import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { SignJWT } from "jose";
import { z } from "zod";
import { readConfig } from "../../shared/config.ts";
import { Events } from "../console/events.ts";
import { type Console, openConsole } from "../console/server.ts";
import { makeConsole } from "../console/site.ts";
import { addClinics, readClinics } from "./clinics.ts";
import { type Auth, createAuth } from "./auth/server.ts";
import { withConnection } from "./connection.ts";
import { type LoadedFunctions, loadFunctions } from "./functions.ts";
import { runJobs } from "./jobs.ts";
import { keepSecrets } from "./kept_secrets.ts";
import { migrate } from "./migrations.ts";
import { defaultStateDir, type PostgresServer, startPostgres } from "./postgres.ts";
import { writeReminders } from "./reminders.ts";
import { runRequests } from "./requests.ts";
import { createGateway, type Gateway } from "./rest/gateway.ts";
import { addMembers } from "./members.ts";
import { answerLocally } from "./shortcut.ts";
import { localMetricsToken, localVapiSecret } from "./secrets.ts";
import { refuseVisit, visitOf } from "./visitors.ts";
import { makeDesk } from "../desk/site.ts";
import { servePage } from "../page/site.ts";
import { storeFakeAccount } from "./twilio/account.ts";
import { type FakeTwilio, faultKinds, readFaultOrder, startFakeTwilio } from "./twilio/server.ts";

/** How to start a stack. */
export interface StackOptions {
  readonly port: number;
  readonly stateDir?: string;
  readonly fresh?: boolean;
  /**
   * The name under which a tunnel serves the functions. Their callers then need secrets of this
   * machine, because the local ones are in the repository.
   */
  readonly publicHost?: string | undefined;
  readonly onProgress?: (line: string) => void;
  /** Has the key of a language model, or none: then a scripted agent takes the console's calls. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A running stack. */
export interface Stack {
  readonly url: string;
  /** As the role postgres. */
  readonly dbUrl: string;
  /** The functions' variables as a file, for the operators' tasks. */
  readonly envFile: string;
  /** The secret that the functions expect as `X-Vapi-Secret`. */
  readonly vapiSecret: string;
  readonly twilio: FakeTwilio;
  /** Stores a Twilio account for every clinic that has none. */
  provision(): Promise<void>;
  stop(): Promise<void>;
}

const migrations = new URL("../../migrations/", import.meta.url);
const publishableKey = "sb_publishable_local";
const secretKey = "sb_secret_local";
const secretsFile = "secrets.json";
const clinicFiles = new URL("../clinics/", import.meta.url);

/** Starts everything. If one part does not start, stops the others again. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { port, fresh = false, publicHost, onProgress = () => {}, env = {} } = options;
  const stateDir = options.stateDir ?? defaultStateDir("start");
  const stops: (() => Promise<void>)[] = [];
  const stop = async () => {
    for (const end of stops.splice(0).reverse()) await end();
  };
  try {
    const database = await startPostgres({ stateDir, fresh, onProgress });
    stops.push(() => database.stop());
    const { applied, skipped } = await migrate(database.url(), migrations);
    onProgress(`${applied.length} migrations applied, ${skipped} were already applied`);
    const clinics = await readClinics(clinicFiles);
    await addClinics(database.url(), clinics);

    const events = new Events();
    const twilio = await startFakeTwilio({
      reports: "automatic",
      onMessage: (message) => events.tell("text", message),
    });
    stops.push(() => twilio.stop());
    const url = `http://127.0.0.1:${port}`;
    twilio.setSmsUrl(`${url}/functions/v1/sms-inbound`);
    // The kept secrets have nothing left to decrypt.
    if (fresh) await rm(join(stateDir, secretsFile), { force: true });
    const environment = await makeEnvironment(
      stateDir,
      url,
      database.url(),
      twilio.url,
      publicHost,
    );
    const envFile = join(stateDir, "functions.env");
    await writeEnvFile(envFile, environment);
    await provisionClinics(database.url(), environment);
    await setTarget(database.url(), environment);
    const gateway = await openGateway(database, environment);
    stops.push(() => gateway.close());
    const auth = await openAuth(database, environment);
    stops.push(() => auth.close());
    await addMembers(database.url(), auth, secretKey, clinics.map(({ slug }) => slug));
    const vapiSecret = environment["VAPI_SECRETS"] ?? localVapiSecret;
    const provision = () => provisionClinics(database.url(), environment);
    const parts = {
      ...{ url, dbUrl: database.url(), secret: vapiSecret, twilio, events, provision, env },
    };
    const page = openConsole(parts);
    const rest = page.database.guard(gateway.fetch);
    const endShortcut = answerLocally(`${url}/rest/v1/`, rest);
    stops.push(() => Promise.resolve(endShortcut()));
    const functions = await loadFunctions(environment, {
      logged: (line) => events.addLine(line),
      traced: (trace) => events.addWork(trace),
    });
    stops.push(() => functions.settle());
    stops.push(runJobs(database.url(), (message) => onProgress(`A job failed: ${message}`)));
    const answer = route({
      ...{ url, publicHost, envFile, database, twilio, rest, auth, functions, page },
    });
    const server = Deno.serve({ hostname: "127.0.0.1", port, onListen: () => {} }, answer);
    stops.push(() => server.shutdown());
    stops.push(
      runRequests(database.url(), (message) => onProgress(`A request failed: ${message}`)),
    );
    // Before the server, which waits until no page listens any more.
    stops.push(() => page.close());
    return { url, dbUrl: database.url(), envFile, vapiSecret, twilio, provision, stop };
  } catch (thrown) {
    await stop();
    throw thrown;
  }
}

interface Parts {
  readonly url: string;
  readonly publicHost: string | undefined;
  readonly envFile: string;
  readonly database: PostgresServer;
  readonly twilio: FakeTwilio;
  /** Answers `/rest/v1/`. */
  readonly rest: (request: Request) => Promise<Response>;
  readonly auth: Auth;
  readonly functions: LoadedFunctions;
  readonly page: Console;
}

function route(
  { url, publicHost, envFile, database, twilio, rest, auth, functions, page }: Parts,
) {
  const desk = servePage("/desk", () => makeDesk({ key: publishableKey }));
  const start = servePage("", makeConsole);
  return async (request: Request): Promise<Response> => {
    const { pathname, searchParams } = new URL(request.url);
    const refusal = refuseVisit(visitOf(request, pathname), publicHost);
    if (refusal !== undefined) return Response.json({ message: refusal }, { status: 403 });
    if (pathname.startsWith("/rest/v1/")) return await rest(request);
    if (pathname.startsWith("/auth/v1/")) return await auth.fetch(request);
    if (pathname.startsWith("/functions/v1/")) return await functions.fetch(pathname, request);
    if (/^\/desk(\/|$)/.test(pathname)) return await desk(request) ?? nothing(request);
    if (pathname === "/" || pathname.startsWith("/console/page/")) {
      return await start(request) ?? nothing(request);
    }
    if (pathname.startsWith("/console/")) return await page.fetch(request);
    switch (`${request.method} ${pathname}`) {
      case "GET /health":
        return Response.json({
          status: "ok",
          url,
          pid: Deno.pid,
          database: `PostgreSQL ${database.version}`,
          rest: `${url}/rest/v1`,
          auth: `${url}/auth/v1`,
          desk: `${url}/desk/`,
          functions: functions.names,
          jobs: "cron.job, every minute",
          twilio: twilio.url,
          envFile,
        });
      case "GET /local/appointments":
        return Response.json(await readAppointments(database.url()));
      case "GET /local/sms":
        return Response.json(textsTo(searchParams.get("to"), twilio));
      case "DELETE /local/sms":
        twilio.clear();
        return new Response(null, { status: 204 });
      case "POST /local/sms/inbound":
        return await textClinic(twilio, `${url}/functions/v1/sms-inbound`, request);
      case "POST /local/reminders":
        return await remind(database.url(), request);
      case "GET /local/reports":
        return Response.json(twilio.reports);
      case "GET /local/faults":
        return Response.json({ waiting: twilio.faults, kinds: faultKinds });
      case "POST /local/faults":
        return await orderFault(twilio, request);
      case "DELETE /local/faults":
        twilio.clearFaults();
        return new Response(null, { status: 204 });
      default:
        return nothing(request);
    }
  };
}

function nothing({ method, url }: Request): Response {
  const { pathname } = new URL(url);
  return Response.json({ message: `Nothing at ${method} ${pathname}` }, { status: 404 });
}

/** The newest appointments of all clinics. */
async function readAppointments(dbUrl: string) {
  return await withConnection(dbUrl, async (sql) => {
    return await sql`
      select o.slug as clinic, p.name as doctor, a.status,
        to_char(a.starts_at at time zone o.timezone, 'YYYY-MM-DD"T"HH24:MI') as start,
        private.mask_phone(a.patient_phone) as phone
      from public.appointments as a
      join public.organizations as o on o.id = a.org_id
      join public.providers as p on p.org_id = a.org_id and p.id = a.provider_id
      order by a.created_at desc limit 50`;
  });
}

/** The texts to a number, or all of them. */
function textsTo(phone: string | null, { messages }: FakeTwilio) {
  return phone === null ? messages : messages.filter(({ to }) => to === phone);
}

const phone = z.string().regex(/^\+[1-9]\d{6,14}$/, "is not a number such as +447700900456");
const phoneText = z.object({ from: phone, to: phone, body: z.string().min(1).max(1600) });

/** Reminds a phone of its appointments: `{"to": PHONE}`. */
async function remind(dbUrl: string, request: Request): Promise<Response> {
  const read = z.object({ to: phone }).safeParse(await request.json().catch(() => undefined));
  if (!read.success) {
    const message = 'Send to, such as {"to": "+447700900456"}';
    return Response.json({ message }, { status: 400 });
  }
  return await withConnection(dbUrl, async (sql) => {
    return Response.json(await writeReminders(sql, read.data.to));
  });
}

/** Lets a phone answer a text: `{"from": PHONE, "to": THE CLINIC'S NUMBER, "body": "C"}`. */
async function textClinic(
  twilio: FakeTwilio,
  webhook: string,
  request: Request,
): Promise<Response> {
  const read = phoneText.safeParse(await request.json().catch(() => undefined));
  if (!read.success) {
    const message = "Send from, to and body, such as " +
      '{"from": "+447700900456", "to": "+442079460123", "body": "C"}';
    return Response.json({ message }, { status: 400 });
  }
  const result = await twilio.receive(read.data, webhook);
  return result ? Response.json(result) : Response.json({
    message: `Nobody has texted from ${read.data.to} yet, so there is nothing to answer`,
  }, { status: 404 });
}

async function orderFault(twilio: FakeTwilio, request: Request): Promise<Response> {
  const read = readFaultOrder(await request.json().catch(() => undefined));
  if (!read.ok) {
    return Response.json({ message: read.message, kinds: faultKinds }, { status: 400 });
  }
  twilio.addFault(read.fault.kind, read.fault);
  return new Response(null, { status: 204 });
}

function openGateway(
  database: PostgresServer,
  environment: Readonly<Record<string, string>>,
): Promise<Gateway> {
  return createGateway({
    dbUrl: database.url({ role: "authenticator" }),
    jwtSecret: environment["JWT_SECRET"] ?? "",
    publishableKey,
    secretKey,
    basePath: "/rest/v1",
    maxRows: 1000,
  });
}

function openAuth(
  database: PostgresServer,
  environment: Readonly<Record<string, string>>,
): Promise<Auth> {
  return createAuth({
    dbUrl: database.url({ role: "supabase_admin" }),
    secret: environment["JWT_SECRET"] ?? "",
    issuer: `${environment["SUPABASE_URL"]}/auth/v1`,
    publishableKey,
    secretKey,
    basePath: "/auth/v1",
  });
}

/** The environment of hosted functions. Our secrets are generated once and kept. */
async function makeEnvironment(
  stateDir: string,
  url: string,
  dbUrl: string,
  twilioUrl: string,
  publicHost: string | undefined,
): Promise<Record<string, string>> {
  const kept = await keepSecrets(join(stateDir, secretsFile));
  const { PUBLIC_VAPI_SECRET, PUBLIC_METRICS_TOKEN, ...secrets } = kept;
  const key = new TextEncoder().encode(secrets.JWT_SECRET);
  const jwt = (role: string) =>
    new SignJWT({ role, iss: "supabase-local" }).setProtectedHeader({ alg: "HS256", typ: "JWT" })
      .setIssuedAt().setExpirationTime("10y").sign(key);
  return {
    ...secrets,
    SUPABASE_URL: url,
    SUPABASE_DB_URL: dbUrl,
    SUPABASE_SECRET_KEYS: JSON.stringify({ default: secretKey }),
    SUPABASE_PUBLISHABLE_KEYS: JSON.stringify({ default: publishableKey }),
    SUPABASE_ANON_KEY: await jwt("anon"),
    SUPABASE_SERVICE_ROLE_KEY: await jwt("service_role"),
    ...(publicHost === undefined
      ? {
        ...{ VAPI_SECRETS: localVapiSecret, VAPI_HMAC_SECRETS: localVapiSecret },
        METRICS_TOKEN: localMetricsToken,
      }
      : {
        ...{ VAPI_SECRETS: PUBLIC_VAPI_SECRET, VAPI_HMAC_SECRETS: PUBLIC_VAPI_SECRET },
        METRICS_TOKEN: PUBLIC_METRICS_TOKEN,
      }),
    TWILIO_API_BASE: twilioUrl,
  };
}

async function writeEnvFile(
  file: string,
  environment: Readonly<Record<string, string>>,
): Promise<void> {
  const lines = Object.entries(environment).map(([name, value]) => `${name}='${value}'\n`);
  await writeFile(file, lines.join(""), { mode: 0o600 });
}

/** Stores a Twilio account for every clinic that has a number but no account. */
async function provisionClinics(
  dbUrl: string,
  environment: Readonly<Record<string, string>>,
): Promise<void> {
  const { credentialKeys } = readConfig(environment);
  await withConnection(dbUrl, async (sql) => {
    const clinics = await sql<{ id: string; number: string }[]>`
      select org_id as id, min(value) as number from public.org_channels
      where kind = 'called_number' and not exists (
        select from public.org_credentials as c
        where c.org_id = org_channels.org_id and c.key_id <> '')
      group by org_id`;
    for (const clinic of clinics) await storeFakeAccount(sql, credentialKeys, clinic);
  });
}

/** Tells the database where the functions are, as `deno task deploy` does. */
async function setTarget(
  dbUrl: string,
  { SUPABASE_URL, JOBS_SECRET = "" }: Readonly<Record<string, string>>,
): Promise<void> {
  await withConnection(dbUrl, async (sql) => {
    await sql`select public.set_functions_target(${`${SUPABASE_URL}/functions/v1`}, ${JOBS_SECRET})`;
  });
}
