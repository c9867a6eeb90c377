/**
 * Serves the Edge Functions at `/functions/v1/NAME`, as hosted Supabase does.
 *
 * @module
 */

import { readdir } from "node:fs/promises";

/** The functions of this repository, loaded. */
export interface LoadedFunctions {
  readonly names: readonly string[];
  /** Answers a request for the path `/functions/v1/NAME`. An unknown name gets 404. */
  fetch(pathname: string, request: Request): Promise<Response>;
}

interface EdgeFunction {
  fetch(request: Request): Promise<Response>;
}

const directory = new URL("../../functions/", import.meta.url);

/**
 * Imports every function and checks that it can answer.
 *
 * @param environment Set for the process, as the hosted runtime does, before the first request.
 * @throws {Error} With the name of the function that cannot be loaded.
 */
export async function loadFunctions(
  environment: Readonly<Record<string, string>>,
): Promise<LoadedFunctions> {
  for (const [name, value] of Object.entries(environment)) Deno.env.set(name, value);
  Object.assign(globalThis, {
    EdgeRuntime: { waitUntil: (work: Promise<unknown>) => void work.catch(() => {}) },
  });
  const entries = await readdir(directory, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name).sort();
  const loaded = new Map<string, EdgeFunction>();
  for (const name of names) loaded.set(name, await load(name));
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
  };
}

async function load(name: string): Promise<EdgeFunction> {
  const { default: loaded } = await import(new URL(`${name}/index.ts`, directory).href);
  if (typeof loaded?.fetch !== "function") {
    throw new Error(`Cannot serve functions/${name}: it has no default export with fetch`);
  }
  return loaded;
}
