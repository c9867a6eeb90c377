/**
 * Everything that a call passes, in parts that can fail alone: PostgreSQL, the REST stand-in as a
 * process, the functions over HTTP, and a fake Twilio.
 *
 * @module
 */

import { rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import smsStatus from "../../functions/sms-status/index.ts";
import vapiWebhook from "../../functions/vapi-webhook/index.ts";
import { readConfig } from "../../shared/config.ts";
import { openLog } from "../../shared/logging.ts";
import { createRuntime } from "../../shared/runtime.ts";
import { migrate } from "../../supabase/local/migrations.ts";
import { findFreePort } from "../../supabase/local/port.ts";
import {
  defaultStateDir,
  type PostgresServer,
  startPostgres,
} from "../../supabase/local/postgres.ts";
import { type FakeTwilio, startFakeTwilio } from "../../supabase/local/twilio/server.ts";
import type { Running } from "../../supabase/tasks/task.ts";
import { settingsFor } from "../support/clinic.ts";
import { secretKey } from "../support/database.ts";
import { aLoadClinic, type Line } from "../support/load.ts";

const migrations = new URL("../../migrations/", import.meta.url);
const restMain = fileURLToPath(new URL("../../supabase/local/rest/main.ts", import.meta.url));

/** A part that can be stopped and started again at its address. */
interface Part {
  stop(): Promise<void>;
  start(): Promise<void>;
}

/** A running site. */
export interface Site {
  readonly line: Line;
  readonly database: Part;
  readonly gateway: Part;
  readonly twilio: Part;
  /** The fake Twilio that is running, or ran last. */
  currentTwilio(): FakeTwilio;
  /** Connects as the owner of the database. */
  readonly dbUrl: string;
}

/** Starts a site whose database survives a crash, with a clinic that has ten doctors. */
export async function startSite(running: Running): Promise<Site> {
  const stateDir = defaultStateDir(`faults-${Deno.pid}`);
  await running.start(Promise.resolve(), () => rm(stateDir, { recursive: true, force: true }));
  const port = aPort();
  const opened = await startPostgres({ stateDir, port, fresh: true });
  const database = partOf(opened, () => startPostgres({ stateDir, port }), crash);
  await running.start(Promise.resolve(), database.stop);
  await migrate(opened.url(), migrations);

  const loginUrl = opened.url({ role: "authenticator" });
  const gatewayPort = aPort();
  const startGateway = () => spawnGateway(loginUrl, gatewayPort);
  const gateway = partOf(await startGateway(), startGateway, (child) => kill(child));
  await running.start(Promise.resolve(), gateway.stop);

  const twilioPort = aPort();
  const startTwilio = () => startFakeTwilio({ port: twilioPort, reports: "automatic" });
  const twilio = partOf(await startTwilio(), startTwilio, (fake) => fake.stop());
  await running.start(Promise.resolve(), twilio.stop);

  const restUrl = `http://127.0.0.1:${gatewayPort}`;
  const served = await serveFunctions(running, restUrl, twilio.current().url);
  const settings = { ...served.environment, SUPABASE_DB_URL: opened.url() };
  return {
    line: await aLoadClinic(settings, served.url),
    database,
    gateway,
    twilio,
    currentTwilio: twilio.current,
    dbUrl: opened.url(),
  };
}

/**
 * A port that a part keeps while it is stopped: below those that systems give to connections, and far from
 * those of other tests' servers.
 */
const aPort = () => findFreePort(27_000 + Math.floor(Math.random() * 5000));

function partOf<T>(first: T, start: () => Promise<T>, stop: (started: T) => Promise<void>) {
  let current = first;
  let isRunning = true;
  return {
    current: () => current,
    stop: async () => {
      if (!isRunning) return;
      isRunning = false;
      await stop(current);
    },
    start: async () => {
      current = await start();
      isRunning = true;
    },
  };
}

/** Like a power failure: nothing is written that was not acknowledged. */
const crash = (server: PostgresServer) => server.stop("immediate");

async function spawnGateway(dbUrl: string, port: number): Promise<Deno.ChildProcess> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", "--unstable-no-legacy-abort", restMain],
      ...["--db", dbUrl, "--port", String(port)],
    ],
    env: { SUPABASE_SECRET_KEY: secretKey },
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  let hasEnded = false;
  child.status.finally(() => hasEnded = true);
  const headers = { apikey: secretKey };
  while (!hasEnded) {
    const answer = await fetch(`http://127.0.0.1:${port}/organizations?limit=1`, { headers })
      .catch(() => undefined);
    await answer?.body?.cancel();
    if (answer?.ok) return child;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("The gateway did not start");
}

async function kill(child: Deno.ChildProcess): Promise<void> {
  child.kill("SIGKILL");
  await child.status;
}

/** Serves all tools at one address, and takes Twilio's reports. */
async function serveFunctions(running: Running, restUrl: string, twilioUrl: string) {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const isReport = new URL(request.url).pathname === "/functions/v1/sms-status";
    return (isReport ? smsStatus : vapiWebhook).using(runtime).fetch(request);
  });
  const url = `http://127.0.0.1:${server.addr.port}`;
  const environment = { ...settingsFor(url, twilioUrl), POSTGREST_URL: restUrl };
  // Every fault is expected here, and answered to a caller.
  const runtime = createRuntime(readConfig(environment), openLog("error", () => {}));
  await running.start(Promise.resolve(server), (started) => started.shutdown());
  return { url, environment };
}
