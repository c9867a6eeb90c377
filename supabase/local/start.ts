// deno-lint-ignore-file no-console -- a command-line program
/**
 * `deno task start [--port N] [--fresh] [--public-host NAME]`: starts the stack and says what to try.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { findFreePort, isPortFree } from "./port.ts";
import { defaultStateDir } from "./postgres.ts";
import { startStack } from "./stack.ts";
import { isPublicHost } from "./visitors.ts";

const usage = `deno task start [--port N] [--fresh] [--state NAME] [--public-host NAME]
  --port N   listen on this port; 8000, or the next free one, when left out
  --fresh    forget appointments and texts, begin anew
  --state N  keep the state under this name, apart from others
  --public-host NAME
             serve /functions/v1/ to this host name too, for a tunnel, with secrets of this machine`;

const { port, fresh, stateDir, publicHost } = readOptions(Deno.args);
console.log(`Starting (process ${Deno.pid})`);
const startedAt = performance.now();
const stack = await startStack({
  port,
  fresh,
  stateDir,
  publicHost,
  onProgress: (line) => console.log(`  ${line}`),
})
  .catch((thrown) => fail(thrown instanceof Error ? thrown.message : String(thrown), 1));

let isStopping = false;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  Deno.addSignalListener(signal, async () => {
    if (isStopping) return;
    isStopping = true;
    console.log("\nStopping");
    await stack.stop();
    Deno.exit(0);
  });
}

const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
console.log(`
Ready after ${seconds} s: ${stack.url} (Ctrl-C stops it)
  ${stack.url}/             console: texts and appointments
  ${stack.url}/health       what runs
  ${stack.url}/local/sms    texts sent
  ${stack.dbUrl}
  ${stack.envFile}
                            for --env of the operators' tasks${sayPublic()}

Try:
${tryThis(stack.url, stack.vapiSecret)}

A whole call: deno task call
How it stands: deno task monitor
`);

interface Options {
  readonly port: number;
  readonly fresh: boolean;
  readonly stateDir: string;
  readonly publicHost: string | undefined;
}

function readOptions(args: string[]): Options {
  try {
    const { values } = parseArgs({
      args,
      options: {
        port: { type: "string" },
        fresh: { type: "boolean", default: false },
        state: { type: "string", default: "start" },
        "public-host": { type: "string" },
        help: { type: "boolean" },
      },
    });
    if (values.help) {
      console.log(usage);
      Deno.exit(0);
    }
    if (!/^[a-z0-9-]{1,40}$/.test(values.state)) {
      return fail(`--state takes letters, digits and dashes, not ${values.state}`, 2);
    }
    const publicHost = values["public-host"];
    if (publicHost !== undefined && !isPublicHost(publicHost)) {
      return fail(`--public-host takes a name such as demo.example.org, not ${publicHost}`, 2);
    }
    return {
      publicHost,
      port: choosePort(values.port),
      fresh: values.fresh,
      stateDir: defaultStateDir(values.state),
    };
  } catch (thrown) {
    return fail(`${thrown instanceof Error ? thrown.message : thrown}\n${usage}`, 2);
  }
}

function choosePort(given: string | undefined): number {
  if (given === undefined) {
    const port = findFreePort(8000);
    if (port !== 8000) console.log(`Port 8000 is taken, using ${port}`);
    return port;
  }
  const port = Number(given);
  if (!Number.isInteger(port) || port < 1 || port > 65535) {
    return fail(`--port takes a number from 1 to 65535, not ${given}`, 2);
  }
  return isPortFree(port)
    ? port
    : fail(`Port ${port} is taken: give another or stop what uses it`, 1);
}

function sayPublic(): string {
  return publicHost === undefined ? "" : `
  https://${publicHost}/functions/v1/vapi-webhook
                            through your tunnel, with X-Vapi-Secret: ${stack.vapiSecret}`;
}

/** A curl for the next weekday at the clinic that is at least a day away. */
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

function fail(message: string, code: number): never {
  console.error(message);
  Deno.exit(code);
}
