/**
 * What a project exposes after a deployment: its REST interface, and its functions, run from the
 * uploads with the secrets that were set.
 *
 * @module
 */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createGateway } from "../../supabase/local/rest/gateway.ts";
import type { Bundle, ManagementApi } from "./management_api.ts";

/** The version of Deno that hosted Supabase runs. */
export interface HostedDeno {
  readonly program: string;
  readonly env: Readonly<Record<string, string>>;
}

/** A deployed function that is running. */
export interface Served {
  readonly url: string;
  stop(): Promise<void>;
}

/**
 * Starts a deployed function in a separate process.
 *
 * @param env Its variables, in addition to those of this process.
 */
export async function serveBundle(
  { name, directory, entrypoint, importMap }: Bundle,
  hosted: HostedDeno,
  env: Readonly<Record<string, string>> = {},
): Promise<Served> {
  const server = fileURLToPath(new URL("serve_bundle.ts", import.meta.url));
  const child = new Deno.Command(hosted.program, {
    args: [
      ...["run", "-A", "--no-lock", "--no-check", "--config", importMap],
      ...[server, new URL(`file://${join(directory, entrypoint)}`).href],
    ],
    cwd: directory,
    env: { ...hosted.env, ...env },
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let output = "";
  const port = await new Promise<string>((resolve, reject) => {
    (async () => {
      for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
        output += text;
        const found = /Listening on (\d+)/.exec(output)?.[1];
        if (found) resolve(found);
      }
      reject(new Error(`${name} ended: ${output}`));
    })();
  });
  return {
    url: `http://127.0.0.1:${port}`,
    stop: async () => {
      child.kill();
      await child.status;
    },
  };
}

/** A project's address. */
export interface Project {
  readonly url: string;
  stop(): Promise<void>;
}

/**
 * Serves a project; a function starts with its first request.
 *
 * @param dbUrl The database as `authenticator`, read when the first function starts.
 */
export function startProject(api: ManagementApi, dbUrl: string, hosted: HostedDeno): Project {
  const secretKey = "sb_secret_deployed";
  const served = new Map<string, Promise<Served>>();
  let opening: ReturnType<typeof createGateway> | undefined;
  let url = "";
  const openGateway = () => opening ??= createGateway({ dbUrl, secretKey, basePath: "/rest/v1" });
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) => {
      const { pathname, search } = new URL(request.url);
      if (pathname.startsWith("/rest/v1")) return await (await openGateway()).fetch(request);
      const name = /^\/functions\/v1\/([^/]+)$/.exec(pathname)?.[1] ?? "";
      const bundle = api.bundles.find((one) => one.name === name);
      if (!bundle) return Response.json({ message: "Function not found" }, { status: 404 });
      const env = {
        ...api.secrets,
        SUPABASE_URL: url,
        SUPABASE_SECRET_KEYS: JSON.stringify({ default: secretKey }),
      };
      const running = served.get(name) ?? serveBundle(bundle, hosted, env);
      served.set(name, running);
      return await fetch(new Request((await running).url + pathname + search, request));
    },
  );
  url = `http://127.0.0.1:${server.addr.port}`;
  return {
    url,
    stop: async () => {
      await server.shutdown();
      for (const starting of served.values()) await (await starting).stop();
      await (await opening)?.close();
    },
  };
}
