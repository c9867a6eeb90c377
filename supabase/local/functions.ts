// deno-lint-ignore-file no-console -- the functions' log, which is also given to the console page
/**
 * Serves the Edge Functions at `/functions/v1/NAME`, as hosted Supabase does.
 *
 * @module
 */

import { readdir } from "node:fs/promises";
import { readConfig } from "../../shared/config.ts";
import { openLog } from "../../shared/logging.ts";
import { createRuntime, type Runtime } from "../../shared/runtime.ts";
import type { Trace } from "../../shared/tracing.ts";

/** The functions of this repository, loaded. */
export interface LoadedFunctions {
  readonly names: readonly string[];
  /** Answers a request for the path `/functions/v1/NAME`. An unknown name gets 404. */
  fetch(pathname: string, request: Request): Promise<Response>;
  /** Resolves when all work that follows the answers is done: texts, counts and traces. */
  settle(): Promise<void>;
}

/** Receives what the functions tell about their work, as it happens. */
export interface FunctionsListener {
  /** A line of the log, redacted. It is printed as well. */
  readonly logged: (line: string) => void;
  /** A finished piece of work. It is sent to a collector as well, where one is set. */
  readonly traced: (trace: Trace) => void;
}

interface EdgeFunction {
  fetch(request: Request): Promise<Response>;
  using?(runtime: Runtime): { fetch(request: Request): Promise<Response> };
}

const directory = new URL("../../functions/", import.meta.url);

/**
 * Imports every function and checks that it can answer.
 *
 * @param environment Set for the process, as the hosted runtime does, before the first request.
 * @throws {Error} With the name of the function that cannot be loaded, or of a wrong variable.
 */
export async function loadFunctions(
  environment: Readonly<Record<string, string>>,
  listener: FunctionsListener,
): Promise<LoadedFunctions> {
  for (const [name, value] of Object.entries(environment)) Deno.env.set(name, value);
  Object.assign(globalThis, {
    EdgeRuntime: { waitUntil: (work: Promise<unknown>) => void work.catch(() => {}) },
  });
  const entries = await readdir(directory, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name).sort();
  const runtime = createListened(listener);
  const loaded = new Map<string, EdgeFunction>();
  for (const name of names) {
    const found = await load(name);
    loaded.set(name, found.using?.(runtime) ?? found);
  }
  return {
    names,
    fetch: async (pathname, request) => {
      const name = /^\/functions\/v1\/([^/]+)/.exec(pathname)?.[1] ?? "";
      const found = loaded.get(name);
      return found
        ? await found.fetch(request)
        : Response.json({ code: "NOT_FOUND", message: "Requested function was not found" }, {
          status: 404,
        });
    },
    settle: async () => {
      await runtime.background.settled();
      await Promise.all([runtime.recorder.flush(), runtime.tracer?.flush()]);
    },
  };
}

/** The runtime that all functions share, as they would create it themselves, with a listener. */
function createListened({ logged, traced }: FunctionsListener): Runtime {
  const config = readConfig(Deno.env.toObject());
  const log = openLog(config.logLevel, (line) => {
    console.log(line);
    logged(line);
  });
  const runtime = createRuntime(config, log);
  const { tracer } = runtime;
  return {
    ...runtime,
    tracer: {
      add: (trace) => {
        tracer?.add(trace);
        traced(trace);
      },
      flush: () => tracer?.flush() ?? Promise.resolve(),
    },
  };
}

async function load(name: string): Promise<EdgeFunction> {
  const { default: loaded } = await import(new URL(`${name}/index.ts`, directory).href);
  if (typeof loaded?.fetch !== "function") {
    throw new Error(`Cannot serve functions/${name}: it has no default export with fetch`);
  }
  return loaded;
}
