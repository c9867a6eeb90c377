// deno-lint-ignore-file no-console -- a command-line program
/**
 * `deno task monitor`: how the figures that have a target stand, for people and for scripts.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { z } from "zod";
import { targetNames } from "../../shared/metrics.ts";
import { localMetricsToken } from "../local/secrets.ts";

const usage =
  `deno task monitor [--metric NAME] [--once] [--minutes N] [--every SECONDS] [--url URL]
  shows, of the last N minutes (60), again every 5 seconds:
    otp_success_rate      of the holds a passcode was asked for, those confirmed    target > 95 %
    sms_delivery_rate     of the texts whose fate is known, those delivered         target > 99.5 %
    cross_tenant_denials  calls that named another organization                     target 0
    tool_p95_ms           95 of 100 calls of the slowest tool were answered within  target < 800 ms
  --once         prints once and ends
  --metric NAME  one of them, once
  --url URL      of the metrics function; its token is read from METRICS_TOKEN
  exit code 0: all targets are met, 1: one is not, 2: wrong arguments,
  3: the metrics cannot be read, or nothing happened that --metric could be made of`;

const localUrl = "http://127.0.0.1:8000/functions/v1/metrics";

const percent = (value: number) => `${(100 * value).toFixed(1)} %`;
const wording = {
  otp_success_rate: { unit: percent, target: "> 95 %" },
  sms_delivery_rate: { unit: percent, target: "> 99.5 %" },
  cross_tenant_denials: { unit: String, target: "0" },
  tool_p95_ms: { unit: (value: number) => `${Math.round(value)} ms`, target: "< 800 ms" },
} as const;

type ExitCode = 0 | 1 | 2 | 3;

const answer = z.object({
  targets: z.array(z.object({
    metric: z.enum(targetNames),
    value: z.number().nullable(),
    target: z.number(),
    isMet: z.boolean().nullable(),
    events: z.number(),
  })),
  gauges: z.object({
    holdsLive: z.number(),
    holdsLapsed: z.number(),
    passcodesWaiting: z.number(),
    cleanupLagSeconds: z.number(),
  }),
});
type Answer = z.infer<typeof answer>;
type Standing = Answer["targets"][number];

interface Options {
  readonly metric: string | undefined;
  readonly once: boolean;
  readonly minutes: number;
  readonly everyMs: number;
  readonly url: string;
}

/** Why there is nothing to show, in one sentence. */
class Stop extends Error {
  constructor(readonly code: ExitCode, message: string) {
    super(message);
  }
}

if (import.meta.main) {
  Deno.exit(
    await monitor(Deno.args).catch((thrown) => {
      console.error(thrown instanceof Error ? thrown.message : String(thrown));
      return thrown instanceof Stop ? thrown.code : 3;
    }),
  );
}

async function monitor(args: readonly string[]): Promise<ExitCode> {
  if (args.includes("--help") || args.includes("-h")) {
    console.log(usage);
    return 0;
  }
  const options = readOptions(args);
  if (options.metric !== undefined) {
    const { targets } = await read(options);
    const standing = targets.find(({ metric }) => metric === options.metric);
    if (!standing || standing.value === null) {
      throw new Stop(
        3,
        `${options.metric}: nothing happened in the last ${options.minutes} minutes`,
      );
    }
    console.log(describe(standing));
    return standing.isMet === false ? 1 : 0;
  }
  if (options.once) {
    const answer = await read(options);
    console.log(show(options, answer));
    return answer.targets.some(({ isMet }) => isMet === false) ? 1 : 0;
  }
  for (;;) {
    const shown = await read(options).then(
      (answer) => show(options, answer),
      (thrown) =>
        thrown instanceof Stop && thrown.code === 3 ? thrown.message : Promise.reject(thrown),
    );
    // A terminal shows the newest only; a file keeps them all.
    if (Deno.stdout.isTerminal()) console.log(`\x1b[2J\x1b[H${shown}`);
    else console.log(`${shown}\n`);
    await new Promise((resolve) => setTimeout(resolve, options.everyMs));
  }
}

function readOptions(args: readonly string[]): Options {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        metric: { type: "string" },
        once: { type: "boolean", default: false },
        minutes: { type: "string", default: "60" },
        every: { type: "string", default: "5" },
        url: { type: "string", default: localUrl },
      },
    });
    const { metric, once } = values;
    if (metric !== undefined && !targetNames.some((name) => name === metric)) {
      throw new Error(`--metric takes ${targetNames.join(", ")}, not ${metric}`);
    }
    return {
      metric,
      once,
      minutes: readNumber("--minutes", values.minutes, 1440),
      everyMs: 1000 * readNumber("--every", values.every, 3600),
      url: readUrl(values.url),
    };
  } catch (thrown) {
    throw new Stop(2, `${thrown instanceof Error ? thrown.message : thrown}\n${usage}`);
  }
}

function readNumber(name: string, text: string, largest: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= 1 && value <= largest) return value;
  throw new Error(`${name} takes a whole number from 1 to ${largest}, not ${text}`);
}

function readUrl(text: string): string {
  const url = URL.parse(text);
  if (url && /^https?:$/.test(url.protocol)) return text;
  throw new Error(`--url takes the http(s) URL of the metrics function, not ${text}`);
}

async function read({ url, minutes }: Options): Promise<Answer> {
  const isLocal = ["127.0.0.1", "localhost"].includes(new URL(url).hostname);
  const token = Deno.env.get("METRICS_TOKEN") || (isLocal ? localMetricsToken : "");
  if (token === "") throw new Stop(2, `Which token does ${url} take? Set METRICS_TOKEN`);
  const asked = new URL(url);
  asked.searchParams.set("format", "json");
  asked.searchParams.set("minutes", String(minutes));
  const response = await fetch(asked, {
    headers: { authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(10_000),
  }).catch(() => {
    throw new Stop(3, `Cannot reach ${url}: is the stack running? deno task start`);
  });
  const body = await response.json().catch(() => undefined);
  if (response.status === 401) {
    throw new Stop(3, `${url} refuses the token: is METRICS_TOKEN what the functions have?`);
  }
  const parsed = answer.safeParse(body);
  if (parsed.success) return parsed.data;
  throw new Stop(3, `${url} answered ${response.status} and no metrics`);
}

function show({ minutes, url }: Options, { targets, gauges }: Answer): string {
  const time = new Date().toISOString().slice(0, 19).replace("T", " ");
  return [
    `${time} UTC, the last ${minutes} minutes at ${new URL(url).host}`,
    ...targets.map(describe),
    `holds: ${gauges.holdsLive} live, ${gauges.holdsLapsed} lapsed and not cleaned up, ` +
    `the oldest for ${Math.round(gauges.cleanupLagSeconds)} s; ` +
    `${gauges.passcodesWaiting} wait for their passcode`,
  ].join("\n");
}

function describe({ metric, value, isMet, events }: Standing): string {
  const { unit, target } = wording[metric];
  const said = value === null ? "no data" : unit(value);
  const verdict = isMet === null ? "" : isMet ? "ok" : "NOT MET";
  return `${metric.padEnd(22)} ${said.padStart(9)}  target ${target.padEnd(9)} ` +
    `of ${String(events).padEnd(7)} ${verdict}`.trimEnd();
}
