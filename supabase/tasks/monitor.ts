/**
 * `deno task monitor`: shows the figures that have a target, for people and for scripts.
 *
 * @module
 */

import { z } from "zod";
import { gauges } from "../../shared/database/metrics.ts";
import { targetNames } from "../../shared/targets.ts";
import { localMetricsToken } from "../local/secrets.ts";
import { defineTask, main, Misuse, readAddress, readNumber, Stop } from "./task.ts";
import type { Terminal } from "./terminal.ts";

const usage =
  `deno task monitor [--metric NAME] [--once] [--minutes N] [--every SECONDS] [--url URL]
  shows figures of the last N minutes (60), again every 5 seconds:
    otp_success_rate      confirmed holds, of those a passcode was requested for    target > 95 %
    sms_delivery_rate     delivered texts, of those whose delivery is known         target > 99.5 %
    cross_tenant_denials  calls that named another organization                     target 0
    tool_p95_ms           95 of 100 calls of the slowest tool were answered within  target < 800 ms
  --once         print once and end
  --metric NAME  print one of them, once
  --url URL      the stack or project, http://127.0.0.1:8000 if left out; for any other than the local
                 stack, set METRICS_TOKEN to its token
  exit code 0: all targets are met, 1: one is not, 2: wrong arguments,
  3: the metrics cannot be read, or there is no data for --metric`;

const localUrl = "http://127.0.0.1:8000";

const percent = (value: number) => `${(100 * value).toFixed(1)} %`;
const wording = {
  otp_success_rate: { unit: percent, target: "> 95 %" },
  sms_delivery_rate: { unit: percent, target: "> 99.5 %" },
  cross_tenant_denials: { unit: String, target: "0" },
  tool_p95_ms: { unit: (value: number) => `${Math.round(value)} ms`, target: "< 800 ms" },
} as const;

const answer = z.object({
  targets: z.array(z.object({
    metric: z.enum(targetNames),
    value: z.number().nullable(),
    target: z.number(),
    isMet: z.boolean().nullable(),
    events: z.number(),
  })),
  gauges,
});
type Answer = z.infer<typeof answer>;
type Standing = Answer["targets"][number];

interface Asked {
  readonly minutes: number;
  readonly url: string;
  /** The bearer token. */
  readonly token: string;
}

/** The task. */
export const monitor = defineTask({
  usage,
  options: {
    metric: { type: "string" },
    once: { type: "boolean", default: false },
    minutes: { type: "string", default: "60" },
    every: { type: "string", default: "5" },
    url: { type: "string", default: localUrl },
  },
  run: async ({ values }, { env, terminal }) => {
    const { metric, once } = values;
    if (metric !== undefined && !targetNames.some((name) => name === metric)) {
      throw new Misuse(`--metric takes ${targetNames.join(", ")}, not ${metric}`);
    }
    const minutes = readNumber("--minutes", values.minutes, { from: 1, to: 1440 });
    const everyMs = 1000 * readNumber("--every", values.every, { from: 1, to: 3600 });
    const url = readAddress(values.url);
    const asked = { minutes, url, token: findToken(url, env) };
    if (metric !== undefined) return await showMetric(metric, asked, terminal);
    if (once) return await showOnce(asked, terminal);
    return await showAgain(everyMs, asked, terminal);
  },
});

function findToken(url: string, env: Readonly<Record<string, string>>): string {
  const isLocal = ["127.0.0.1", "localhost"].includes(new URL(url).hostname);
  const token = env["METRICS_TOKEN"] || (isLocal ? localMetricsToken : "");
  if (token === "") throw new Stop(2, `Set METRICS_TOKEN to the token of ${url}`);
  return token;
}

async function showMetric(metric: string, asked: Asked, terminal: Terminal): Promise<0 | 1> {
  const { targets } = await read(asked);
  const standing = targets.find((target) => target.metric === metric);
  if (!standing || standing.value === null) {
    throw new Stop(3, `${metric}: nothing happened in the last ${asked.minutes} minutes`);
  }
  terminal.print(describe(standing));
  return standing.isMet === false ? 1 : 0;
}

async function showOnce(asked: Asked, terminal: Terminal): Promise<0 | 1> {
  const answer = await read(asked);
  terminal.print(show(asked, answer));
  return answer.targets.some(({ isMet }) => isMet === false) ? 1 : 0;
}

async function showAgain(everyMs: number, asked: Asked, terminal: Terminal): Promise<never> {
  for (;;) {
    const shown = await read(asked).then(
      (answer) => show(asked, answer),
      (thrown) => thrown instanceof Stop ? thrown.message : Promise.reject(thrown),
    );
    // A terminal shows only the newest; a file keeps all of them.
    terminal.print(Deno.stdout.isTerminal() ? `\x1b[2J\x1b[H${shown}` : `${shown}\n`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

async function read({ url, minutes, token }: Asked): Promise<Answer> {
  const metricsUrl = new URL("/functions/v1/metrics", url);
  metricsUrl.searchParams.set("format", "json");
  metricsUrl.searchParams.set("minutes", String(minutes));
  const response = await fetch(metricsUrl, {
    headers: { authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(10_000),
  }).catch(() => {
    throw new Stop(3, `Cannot reach ${url}: is the stack running? deno task start`);
  });
  const body = await response.json().catch(() => undefined);
  if (response.status === 401) {
    throw new Stop(3, `${url} refuses the token: METRICS_TOKEN must be that of the functions`);
  }
  const parsed = answer.safeParse(body);
  if (parsed.success) return parsed.data;
  throw new Stop(3, `${url} answered ${response.status} and no metrics`);
}

function show({ minutes, url }: Asked, { targets, gauges }: Answer): string {
  const time = new Date().toISOString().slice(0, 19).replace("T", " ");
  return [
    `${time} UTC, the last ${minutes} minutes at ${new URL(url).host}`,
    ...targets.map(describe),
    `holds: ${gauges.holdsLive} live, ${gauges.holdsLapsed} expired and not cleaned up, ` +
    `the oldest for ${Math.round(gauges.cleanupLagSeconds)} s; ` +
    `${gauges.passcodesWaiting} wait for their passcode`,
    `guarantee: ${gauges.overlaps} appointments overlap, ` +
    `${gauges.indexRowsLost} were lost by the constraint's index within a day`,
  ].join("\n");
}

function describe({ metric, value, isMet, events }: Standing): string {
  const { unit, target } = wording[metric];
  const said = value === null ? "no data" : unit(value);
  const verdict = isMet === null ? "" : isMet ? "ok" : "NOT MET";
  return `${metric.padEnd(22)} ${said.padStart(9)}  target ${target.padEnd(9)} ` +
    `of ${String(events).padEnd(7)} ${verdict}`.trimEnd();
}

if (import.meta.main) await main(monitor);
