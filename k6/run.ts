/**
 * `deno task load NAME`: runs a k6 scenario against the local stack, and starts the stack if needed.
 *
 * Uses the k6 on the PATH if it is version 2. Otherwise builds it once from the pinned module.
 *
 * @module
 */

import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { readSettings, useStack } from "../supabase/tasks/stack.ts";
import { defineTask, main, Misuse, readAddress, runProgram, Stop } from "../supabase/tasks/task.ts";
import type { Running } from "../supabase/tasks/task.ts";
import type { Terminal } from "../supabase/tasks/terminal.ts";

const folder = fileURLToPath(new URL(".", import.meta.url));
const built = `${folder}bin/k6`;
/** The scenarios are the other files in this folder. */
const scenarios = readdirSync(folder)
  .flatMap((file) => file.endsWith(".ts") && file !== "run.ts" ? [file.replace(".ts", "")] : []);

const usage =
  `deno task load NAME [--url URL] [--duration TIME] [--p95 MS] [--report FILE] [--json FILE]
  runs a k6 scenario, NAME:
  ${scenarios.join(", ")}
  --url URL        the stack, http://127.0.0.1:8000 by default; one is started if none answers there.
                   All scenarios but smoke and lookups create their own clinics. Only otp_storm
                   reaches limits. lookups only asks for free times, of a project too: it takes
                   VAPI_SECRET and CLINIC, a clinic's number, from the environment
  --duration TIME  for example 30s or 2m, for scenarios without a fixed length
  --p95 MS         fails if a tool's 95th percentile is higher; by default times are only printed
  --report FILE    also writes k6's report with charts, as one HTML page
  --json FILE      also writes every figure as JSON
deno task load faults [--duration TIME]
  the clinic's day while the database, the REST stand-in and Twilio fail in turn, 3 s each or TIME;
  compares the database with what callers heard. It starts its own parts and needs no k6
  needs k6 2 on the PATH, or Go 1.25, which builds it once
  exit code 0: within the thresholds, 1: the database has what it must not have, 2: wrong arguments,
  3: there is no k6, 99: a threshold failed; k6 has other codes`;

/** The task. */
export const load = defineTask({
  usage,
  options: {
    url: { type: "string" },
    duration: { type: "string" },
    p95: { type: "string" },
    report: { type: "string" },
    json: { type: "string" },
  },
  allowPositionals: true,
  run: async ({ values, positionals: [name, surplus] }, { env, running, terminal }) => {
    if (name === undefined || ![...scenarios, "faults"].includes(name) || surplus !== undefined) {
      throw new Misuse(`Give the name of one scenario: ${scenarios.join(", ")}, faults`);
    }
    const shape = readShape(values);
    if (name === "faults") {
      const { playFaults } = await import("../tests/faults/run.ts");
      const problems = await playFaults(toMs(values.duration ?? "3s"), running);
      if (problems.length > 0) throw new Stop(1, problems.join("\n"));
      return 0;
    }
    const given = readAddress(values.url ?? env["BASE_URL"] ?? "http://127.0.0.1:8000");
    const k6 = await findK6(running, terminal);
    if (!k6) {
      throw new Stop(
        3,
        "Cannot find or build k6: install k6 2.2.0 " +
          "(https://grafana.com/docs/k6/latest/set-up/install-k6/) or Go 1.25, which builds it here",
      );
    }
    if (name === "lookups") return await lookUp(k6, { ...env, ...shape, BASE_URL: given }, running);
    const stack = await useStack(given, running, "load");
    const { url } = stack;
    const settings = name === "smoke" ? {} : await readSettings(stack);
    // Imported here, because --help and wrong arguments do not need it.
    const stage = name === "smoke"
      ? undefined
      : await (await import("./support/stage.ts")).setStage(name, url, settings);
    const code = await runProgram(running, k6, ["run", "--quiet", `${folder}${name}.ts`], {
      K6_NO_USAGE_REPORT: "true",
      BASE_URL: url,
      ...shape,
      ...(stage === undefined ? {} : { VAPI_SECRET: settings["VAPI_SECRETS"] ?? "", ...stage.env }),
    });
    const problems = await stage?.check() ?? [];
    if (problems.length > 0) throw new Stop(1, problems.join("\n"));
    return code;
  },
});

/** At that address only: no stack is started in its place. */
function lookUp(
  k6: string,
  env: Readonly<Record<string, string>>,
  running: Running,
): Promise<number> {
  if (!env["VAPI_SECRET"] || !env["CLINIC"]) {
    throw new Stop(2, "Set VAPI_SECRET, and CLINIC to the number of a clinic of that project");
  }
  return runProgram(running, k6, ["run", "--quiet", `${folder}lookups.ts`], {
    K6_NO_USAGE_REPORT: "true",
    ...env,
  });
}

/** The environment of k6 and the scenario for these options. */
function readShape(
  { duration, p95, report, json }: Partial<Record<"duration" | "p95" | "report" | "json", string>>,
): Record<string, string> {
  if (duration !== undefined && !/^[1-9]\d*[smh]$/.test(duration)) {
    throw new Misuse(`--duration is a number of s, m or h, such as 30s, not ${duration}`);
  }
  if (p95 !== undefined && !/^[1-9]\d*$/.test(p95)) {
    throw new Misuse(`--p95 is a number of milliseconds, such as 800, not ${p95}`);
  }
  return {
    ...(duration === undefined ? {} : { DURATION: duration }),
    ...(p95 === undefined ? {} : { P95_MS: p95 }),
    ...(json === undefined ? {} : { SUMMARY: json }),
    ...(report === undefined ? {} : {
      K6_WEB_DASHBOARD: "true",
      K6_WEB_DASHBOARD_PORT: "-1",
      K6_WEB_DASHBOARD_EXPORT: report,
    }),
  };
}

/** The milliseconds of a duration that `readShape` has accepted. */
function toMs(duration: string): number {
  const unitMs = { s: 1000, m: 60_000, h: 3_600_000 }[duration.slice(-1)] ?? NaN;
  return Number(duration.slice(0, -1)) * unitMs;
}

async function findK6(running: Running, terminal: Terminal): Promise<string | undefined> {
  if (await isVersion2("k6")) return "k6";
  if (await isVersion2(built)) return built;
  terminal.print("Building k6 from its module: two minutes, once");
  const args = ["-C", folder, "build", "-o", built, "go.k6.io/k6/v2"];
  const go = await runProgram(running, "go", args).catch(() => 1);
  return go === 0 ? built : undefined;
}

async function isVersion2(program: string): Promise<boolean> {
  try {
    const { stdout } = await new Deno.Command(program, { args: ["version"] }).output();
    return /\bv2\./.test(new TextDecoder().decode(stdout));
  } catch {
    return false;
  }
}

if (import.meta.main) await main(load);
