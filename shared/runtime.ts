/**
 * What the functions of an isolate share: settings, connections, caches, log.
 *
 * @module
 */

import { type AccountCache, createAccountCache } from "./accounts.ts";
import { type Admission, createAdmission } from "./admission.ts";
import { type Background, createBackground } from "./background.ts";
import { type Authenticator, createAuthenticator } from "./authentication.ts";
import { type Config, readConfig } from "./config.ts";
import { type DatabasePool, openDatabase } from "./database/client.ts";
import { recordMetrics } from "./database/metrics.ts";
import { callerDeadlines, type Deadlines, startBudget } from "./deadline.ts";
import { toFault } from "./errors.ts";
import { type Log, openLog } from "./logging.ts";
import { Recorder } from "./recording.ts";
import { Tracer } from "./tracing.ts";

const recordingBudgetMs = 2500;

/** What functions work with. An isolate has one. */
export interface Runtime {
  readonly config: Config;
  readonly authenticator: Authenticator;
  readonly admission: Admission;
  readonly database: DatabasePool;
  readonly accounts: AccountCache;
  readonly log: Log;
  readonly recorder: Recorder;
  /** Undefined when nobody receives traces. */
  readonly tracer: Pick<Tracer, "add" | "flush"> | undefined;
  readonly deadlines: Deadlines;
  readonly background: Background;
}

/** Creates everything that a function needs from its settings. Nothing is connected yet. */
export function createRuntime(
  config: Config,
  opened: Log = openLog(config.logLevel),
  deadlines: Deadlines = callerDeadlines,
): Runtime {
  const log = opened.concealing(config);
  const database = openDatabase(config, deadlines);
  return {
    config,
    authenticator: createAuthenticator(config),
    admission: createAdmission({
      patienceMs: deadlines.databaseCallMs * 4 / 5,
      onRefused: (refused) => log.warn("overloaded", { refused }),
    }),
    database,
    accounts: createAccountCache(config.credentialKeys),
    background: createBackground(),
    log,
    recorder: new Recorder(
      async (batchId, counts) => {
        await recordMetrics(database.within(startBudget(recordingBudgetMs)), batchId, counts);
      },
      log,
    ),
    tracer: config.tracing && new Tracer(config.tracing, log),
    deadlines,
  };
}

let shared: Runtime | undefined;

/** The isolate's runtime. Undefined, with a log line, while the environment is invalid. */
function sharedRuntime(): Runtime | undefined {
  if (shared) return shared;
  try {
    return shared = createRuntime(readConfig(Deno.env.toObject()));
  } catch (thrown) {
    openLog("info").fatal("environment_invalid", { fault: toFault(thrown) });
    return undefined;
  }
}

/** The default export of an Edge Function. */
export interface ServedFunction {
  fetch(request: Request): Promise<Response>;
  /** The same function with another runtime, for tests. */
  using(runtime: Runtime): { fetch(request: Request): Promise<Response> };
}

/**
 * Creates an Edge Function. Importing it starts nothing: the first request reads the environment, and
 * the isolate shares everything that lasts. While the environment is invalid, no request can be
 * authenticated, and every answer is 401.
 */
export function serve(
  answer: (runtime: Runtime, request: Request) => Promise<Response>,
): ServedFunction {
  return {
    using: (runtime) => ({ fetch: (request) => answer(runtime, request) }),
    fetch: (request) => {
      const runtime = sharedRuntime();
      return runtime
        ? answer(runtime, request)
        : Promise.resolve(new Response(null, { status: 401 }));
    },
  };
}
