/**
 * `deno task start`: starts the stack and prints what to try.
 *
 * @module
 */

import { delimiter, join } from "node:path";
import { existsSync } from "node:fs";
import { defineTask, main, Misuse, readNumber, Stop, untilSignal } from "../tasks/task.ts";
import type { Terminal } from "../tasks/terminal.ts";
import { findFreePort, tryPort } from "./port.ts";
import { localEmail, localPassword } from "./members.ts";
import { defaultStateDir } from "./postgres.ts";
import type { Stack } from "./stack.ts";
import { isPublicHost } from "./visitors.ts";

const defaultPort = 8000;

const usage = `deno task start [--port N] [--fresh] [--state NAME] [--public-host NAME]
  starts Postgres, /rest/v1, /auth/v1, the functions, the jobs and a fake Twilio; Ctrl-C stops them
  --port N      listen on this port; ${defaultPort}, or the next free one, if left out
  --fresh       start with an empty database and new secrets
  --state NAME  keep the state under this name, apart from others; start if left out
  --public-host NAME
                serve /functions/v1/ to this host name too, for a tunnel, with secrets of this machine
  exit code 0: stopped by Ctrl-C, 1: it could not start, 2: wrong arguments`;

/** The task. */
export const start = defineTask({
  usage,
  options: {
    port: { type: "string" },
    fresh: { type: "boolean", default: false },
    state: { type: "string", default: "start" },
    "public-host": { type: "string" },
  },
  codeAfterSignal: 0,
  run: async ({ values }, { env, running, terminal }) => {
    const { fresh, state, "public-host": publicHost } = values;
    if (!/^[a-z0-9-]{1,40}$/.test(state)) {
      throw new Misuse(`--state takes lower-case letters, digits and dashes, not ${state}`);
    }
    if (publicHost !== undefined && !isPublicHost(publicHost)) {
      throw new Misuse(`--public-host takes a name such as demo.example.org, not ${publicHost}`);
    }
    refuseWindows();
    const port = choosePort(values.port, terminal);
    terminal.print(`Starting http://127.0.0.1:${port} (process ${Deno.pid})`);
    const startedAt = performance.now();
    // Imported here, because --help and wrong arguments do not need it.
    const { startStack } = await import("./stack.ts");
    const starting = startStack({
      port,
      fresh,
      stateDir: defaultStateDir(state),
      publicHost,
      env,
      onProgress: (line) => terminal.print(`  ${line}`),
    });
    const stack = await running.start(starting, async (started) => {
      terminal.print("\nStopping");
      await started.stop();
    });
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    terminal.print(
      `\nReady after ${seconds} s: ${stack.url} (Ctrl-C stops it)\n` +
        describe(stack, publicHost, taskCommand(env["PATH"] ?? "")),
    );
    return await untilSignal();
  },
});

function describe(stack: Stack, publicHost: string | undefined, task: string): string {
  const { url, dbUrl, envFile, vapiSecret } = stack;
  const address = new URL(url).port === String(defaultPort) ? "" : ` --url ${url}`;
  return `  ${url}/             the console: call, read the texts, see the book, attack
  ${url}/desk/        front desk: ${
    localEmail("owner", "sunrise-dental")
  }, password ${localPassword}
  ${url}/health       what runs
  ${url}/local/sms    texts sent
  ${dbUrl}
${publicHost === undefined ? "" : sayPublic(publicHost, vapiSecret)}
Try:
${tryThis(url, vapiSecret)}

${
    // With a public name, these tasks do not know the secrets.
    publicHost === undefined
      ? `A whole call, one that you play yourself, and the figures with a target:
${task} call${address}
${task} talk --org sunrise-dental${address}
${task} monitor${address}

`
      : ""}A clinic's Twilio account:
${task} credentials check --org sunrise-dental --env ${envFile}
`;
}

function sayPublic(publicHost: string, secret: string): string {
  return `  https://${publicHost}/functions/v1/vapi-webhook
                            through your tunnel, with X-Vapi-Secret: ${secret}
`;
}

/** How to call a task in the shell that started this: through npx if the shell has no deno. */
function taskCommand(path: string): string {
  // npx puts the folder of the program that it runs on the PATH, but only for that command.
  const folders = path.split(delimiter).filter((folder) => !/[\\/]_npx[\\/]/.test(folder));
  const hasDeno = folders.some((folder) => existsSync(join(folder, "deno")));
  return hasDeno ? "deno task" : `npx --yes deno@${Deno.version.deno} task`;
}

function refuseWindows(): void {
  if (Deno.build.os === "windows") {
    throw new Stop(1, "The stack does not run on Windows itself: start it in WSL (wsl --install)");
  }
}

function choosePort(given: string | undefined, terminal: Terminal): number {
  if (given === undefined) {
    const port = findFreePort(defaultPort);
    if (port !== defaultPort) terminal.print(`Port ${defaultPort} is taken, using ${port}`);
    return port;
  }
  const port = readNumber("--port", given, { from: 1, to: 65535 });
  const state = tryPort(port);
  switch (state.kind) {
    case "free":
      return port;
    case "taken":
      throw new Stop(1, `Port ${port} is taken: choose another or stop what uses it`);
    case "forbidden":
      throw new Stop(1, `Port ${port} may not be opened by this user: choose one from 1024 on`);
    case "failed":
      throw new Stop(1, `Port ${port} cannot be opened: ${state.reason}`);
  }
}

/** A curl for the clinic's next weekday that is at least a day away. */
function tryThis(url: string, secret: string): string {
  const day = new Date(Date.now() + 86_400_000);
  while ([0, 6].includes(day.getUTCDay())) day.setUTCDate(day.getUTCDate() + 1);
  const body = JSON.stringify({
    message: {
      type: "tool-calls",
      toolCallList: [{
        id: "call_1",
        type: "function",
        function: {
          name: "check_availability",
          arguments: { date: day.toISOString().slice(0, 10), serviceType: "consultation" },
        },
      }],
      phoneNumber: { number: "+442079460123" },
      customer: { number: "+447700900456" },
      call: { id: "try-it" },
    },
  });
  return `curl -s ${url}/functions/v1/check-availability \\
  -H 'Content-Type: application/json' -H 'X-Vapi-Secret: ${secret}' \\
  -d '${body}'`;
}

if (import.meta.main) await main(start);
