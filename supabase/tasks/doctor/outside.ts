/**
 * Checks that the functions answer Vapi, Twilio and Prometheus.
 *
 * It changes nothing: it sends messages of an unknown type, which are read and ignored.
 *
 * @module
 */

import { readdir } from "node:fs/promises";
import { z } from "zod";
import { sign, toBase64, toHex, utf8 } from "../../../shared/bytes.ts";
import type { Config } from "../../../shared/config.ts";
import { type Check, check, type Problem, skip } from "./check.ts";
import { compareClocks } from "./data.ts";

/** A cold start on a busy machine takes seconds; a function that hangs is still found. */
const timeoutMs = 30_000;
const root = new URL("../../../", import.meta.url);
/** A message of an unknown type. Signatures that cover only the body need its timestamp. */
const writeMessage = () => JSON.stringify({ message: { type: "doctor", timestamp: Date.now() } });

/**
 * Every check of the functions.
 *
 * @param url The address of a stack or project, without a trailing slash.
 * @param config Undefined when the settings cannot be read.
 */
export async function checkOutside(url: string, config: Config | undefined): Promise<Check[]> {
  const base = `${url}/functions/v1`;
  const names = await readdir(new URL("functions/", root));
  const answers = await Promise.all(names.map((name) => post(`${base}/${name}`)));
  if (answers.every((answer) => answer === undefined)) {
    return [check("functions answer", { what: `nothing answers at ${url}`, fix: reachable })];
  }
  const deployed = check(
    "functions answer",
    ...names.flatMap((name, index) => describeDoor(name, answers[index])),
  );
  const clock = answers.find((answer) => answer?.shown !== undefined);
  const checks = [
    deployed,
    check(
      "the functions' clock is right",
      ...clock?.shown === undefined
        ? []
        : compareClocks("the functions' clock", clock.shown, clock.between),
    ),
  ];
  if (!config) {
    return [...checks, skip("secrets are accepted", "the settings cannot be read")];
  }
  return [
    ...checks,
    await checkSecrets(names, base, config),
    await checkMetrics(base, config),
    await checkJobsSecret(base, config),
    check("Vapi and Twilio reach the functions", ...await findPublic(url, config)),
  ];
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
  /** What the server's clock showed. */
  readonly shown: Date | undefined;
  /** This machine's time in milliseconds before and after. */
  readonly between: readonly [number, number];
}

function post(
  url: string,
  headers: Readonly<Record<string, string>> = {},
  body = writeMessage(),
): Promise<Answer | undefined> {
  const given = { "content-type": "application/json", ...headers };
  return ask(url, { method: "POST", headers: given, body });
}

async function ask(url: string, init: RequestInit): Promise<Answer | undefined> {
  const from = Date.now();
  try {
    const signal = AbortSignal.timeout(timeoutMs);
    const response = await fetch(url, { ...init, redirect: "manual", signal });
    const body = await response.json().catch(() => undefined);
    const date = Date.parse(response.headers.get("date") ?? "");
    const shown = Number.isNaN(date) ? undefined : new Date(date);
    // The header has whole seconds only.
    return { status: response.status, body, shown, between: [from - 1000, Date.now()] };
  } catch {
    return undefined;
  }
}

const reachable =
  "is the address right, and is the project or the local stack (deno task start) running?";

/** Every function refuses a POST without a secret. That shows that it is deployed. */
function describeDoor(name: string, answer: Answer | undefined): Problem[] {
  // The calendar is only read.
  const refusals = name === "calendar" ? [405] : [401, 403];
  if (answer && refusals.includes(answer.status)) return [];
  const what = answer ? `${name} answered ${answer.status}` : `${name} does not answer`;
  return [{
    what,
    fix: answer?.status === 404
      ? `supabase functions deploy ${name} --use-api --remote PROJECT`
      : reachable,
  }];
}

async function checkSecrets(
  names: readonly string[],
  base: string,
  config: Config,
): Promise<Check> {
  const doors = names.filter((name) =>
    ![
      "metrics",
      "sms-status",
      "sms-inbound",
      "calendar",
      "busy-times",
      "appointment-texts",
      "webhooks",
    ]
      .includes(name)
  );
  const asked = proveVapi(config).flatMap((proof) => doors.map((door) => ({ door, proof })));
  const answers = await Promise.all(
    asked.map(({ door, proof }) => post(`${base}/${door}`, proof.headers, proof.body)),
  );
  return check(
    "secrets are accepted",
    ...asked.flatMap(({ door, proof }, index): Problem[] => {
      const status = answers[index]?.status;
      return status === 200 || status === undefined || status === 404 ? [] : [{
        what: `${door} answered ${status} to ${proof.by}`,
        fix: "look for environment_invalid in the function's log, which names settings that are " +
          "missing or malformed; set them with supabase secrets set --env-file .env --remote " +
          "PROJECT",
      }];
    }),
  );
}

/** Headers that authenticate a request as Vapi's. */
interface VapiProof {
  /** What they use, for people. */
  readonly by: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Uses the first secret of each kind, as Vapi does. */
function proveVapi({ vapiSecrets: [shown], hmac }: Config): VapiProof[] {
  const body = writeMessage();
  const proofs: VapiProof[] = [];
  if (shown) {
    const headers = { "x-vapi-secret": shown.secret };
    proofs.push({ by: "the secret in VAPI_SECRETS", headers, body });
  }
  const [signing] = hmac.secrets;
  if (signing) {
    const timestamp = String(Date.now());
    const signed = hmac.payload === "{body}" ? body : `${timestamp}.${body}`;
    const mac = sign(utf8(signing.secret), utf8(signed));
    const signature = hmac.encoding === "hex" ? toHex(mac) : toBase64(mac);
    proofs.push({
      by: "a signature with VAPI_HMAC_SECRETS",
      headers: {
        [hmac.signatureHeader]: `${hmac.prefix}${signature}`,
        [hmac.timestampHeader]: timestamp,
      },
      body,
    });
  }
  return proofs;
}

const gauges = z.object({
  gauges: z.object({ overlaps: z.number(), indexRowsLost: z.number() }),
});

async function checkMetrics(base: string, { metricsToken }: Config): Promise<Check> {
  const name = "the functions reach the database";
  if (metricsToken === undefined) return skip(name, "METRICS_TOKEN is not set");
  const authorization = `Bearer ${metricsToken}`;
  const answer = await ask(`${base}/metrics?format=json`, { headers: { authorization } });
  const read = gauges.safeParse(answer?.body);
  if (answer?.status === 200 && read.success) {
    const { overlaps, indexRowsLost } = read.data.gauges;
    return check(
      name,
      ...overlaps + indexRowsLost === 0 ? [] : [{
        what: `the metrics count overlaps ${overlaps} and lost index rows ${indexRowsLost}`,
        fix: "docs/runbook.md, DoubleBooking and IndexRowsLost",
      }],
    );
  }
  const status = answer === undefined ? "nothing" : String(answer.status);
  return check(name, {
    what: `metrics answered ${status}`,
    fix: answer?.status === 401
      ? "give the functions and this task the same METRICS_TOKEN"
      : "look for metrics_failed in the function's log: SUPABASE_URL or the service key is wrong, or " +
        "the database is down",
  });
}

/** Posts nothing: whoever has the secret is told that another method is needed. */
async function checkJobsSecret(base: string, { jobsSecret }: Config): Promise<Check> {
  const name = "the functions know the secret of the jobs";
  if (jobsSecret === undefined) return skip(name, "JOBS_SECRET is not set");
  const headers = { authorization: `Bearer ${jobsSecret}` };
  const answer = await ask(`${base}/appointment-texts`, { headers });
  return check(
    name,
    ...answer?.status === 405 ? [] : [{
      what: `appointment-texts answered ${answer?.status ?? "nothing"}`,
      fix: "give the functions, the database and this task the same JOBS_SECRET: deno task deploy",
    }],
  );
}

/** The address in delivery reports and assistants, which Twilio and Vapi have to reach. */
async function findPublic(
  url: string,
  config: Config,
): Promise<Problem[]> {
  const { functionsPublicUrl } = config;
  const isLocal = (address: string) =>
    ["127.0.0.1", "localhost", "[::1]"].includes(new URL(address).hostname);
  const fix = "set FUNCTIONS_PUBLIC_URL to the address at which the functions are reached from " +
    "outside, then deno task vapi sync";
  if (isLocal(functionsPublicUrl) && !isLocal(url)) {
    return [{ what: `they are told to call ${functionsPublicUrl}, which is this machine`, fix }];
  }
  const [proof] = proveVapi(config);
  const webhook = await post(`${functionsPublicUrl}/vapi-webhook`, proof?.headers, proof?.body);
  const reports = await post(`${functionsPublicUrl}/sms-status`);
  const texts = await post(`${functionsPublicUrl}/sms-inbound`);
  const describe = (name: string, answer: Answer | undefined, status: number): Problem[] =>
    answer?.status === status ? [] : [{
      what: `${functionsPublicUrl}/${name} answered ${answer?.status ?? "nothing"}`,
      fix,
    }];
  return [
    ...describe("vapi-webhook", webhook, 200),
    ...describe("sms-status", reports, 403),
    ...describe("sms-inbound", texts, 403),
  ];
}
