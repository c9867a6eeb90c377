/**
 * The local stack for tasks that play calls: one that runs at an address, or one that is started for
 * the task as a process.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { findFreePort } from "../local/port.ts";
import { readEnvFile } from "./database.ts";
import { type Running, Stop } from "./task.ts";

/** A stack that answers. */
export interface UsedStack {
  readonly url: string;
  /** The file with the variables of its functions. */
  readonly envFile: string | undefined;
}

/**
 * Finds the stack at an address. If none answers, starts one that ends with the run. It begins with an
 * empty database, because the migrations of an earlier run may be older.
 *
 * @param stateDir The folder for the state of a stack that is started.
 * @throws {Stop} When none can be started.
 */
export async function useStack(
  given: string,
  running: Running,
  stateDir: string,
): Promise<UsedStack> {
  const found = await findStack(given);
  if (found) return found;
  const { url } = await running.start(startStack(["--fresh"], stateDir), ({ stop }) => stop());
  return await findStack(url) ?? { url, envFile: undefined };
}

/**
 * The environment of a stack's functions.
 *
 * @throws {Stop} When the stack does not say where it is.
 */
export async function readSettings(
  { url, envFile }: UsedStack,
): Promise<Readonly<Record<string, string>>> {
  if (envFile !== undefined) return await readEnvFile(envFile);
  throw new Stop(1, `${url} is not a local stack of this version: start it again`);
}

/** The stack at an address, if one answers. */
export async function findStack(url: string): Promise<UsedStack | undefined> {
  const options = { signal: AbortSignal.timeout(2000) };
  const response = await fetch(`${url}/health`, options).catch(() => undefined);
  const health: Readonly<Record<string, unknown>> | undefined = await response?.json()
    .catch(() => undefined);
  if (health?.["status"] !== "ok") return undefined;
  const { envFile } = health;
  return { url, envFile: typeof envFile === "string" ? envFile : undefined };
}

const startFile = fileURLToPath(new URL("../local/start.ts", import.meta.url));

/** Starts a stack as a process with its own state, and waits until it prints its address. */
export async function startStack(
  args: readonly string[],
  stateDir: string,
  { checkout, logLevel = "error", inspect }: {
    /** The folder of another checkout whose stack is started; this one by default. */
    readonly checkout?: string;
    readonly logLevel?: string;
    /** Host and port of its inspector; undefined for none. */
    readonly inspect?: string;
  } = {},
): Promise<{ url: string; pid: number; output(): string; stop(): Promise<number> }> {
  // A random port, because another run on this machine may want the default one at the same time.
  const port = findFreePort(12_000 + Math.floor(Math.random() * 12_000));
  const command = inspect === undefined
    ? ["task", "start"]
    : ["run", "-A", "--unstable-no-legacy-abort", `--inspect=${inspect}`, startFile];
  const child = new Deno.Command(Deno.execPath(), {
    args: [...command, "--state", stateDir, "--port", String(port), ...args],
    env: { LOG_LEVEL: logLevel, NO_COLOR: "1" },
    ...(checkout === undefined ? {} : { cwd: checkout }),
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let output = "";
  const collect = async (stream: ReadableStream<Uint8Array>) => {
    const decoder = new TextDecoder();
    for await (const part of stream) output += decoder.decode(part, { stream: true });
  };
  const streams = Promise.all([collect(child.stdout), collect(child.stderr)]);
  let code: number | undefined;
  const ended = child.status.then((status) => code = status.code);
  const endsAt = performance.now() + 60_000;
  while (!output.includes("Ready after") && code === undefined && performance.now() < endsAt) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const url = /Ready after .*?: (http\S+)/.exec(output)?.[1];
  const pid = Number(/process (\d+)/.exec(output)?.[1]);
  if (!url) {
    await streams;
    throw new Stop(1, `The stack did not start:\n${output}`);
  }
  return {
    url,
    pid,
    output: () => output,
    stop: async () => {
      if (code === undefined) Deno.kill(pid, "SIGINT");
      await streams;
      return await ended;
    },
  };
}
