/**
 * The part of Supabase's Management API that `supabase functions deploy --use-api` uses. It keeps what
 * is uploaded, each function in a folder with nothing else in it.
 *
 * @module
 */

import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join, normalize } from "node:path";

/** One deployed function. */
export interface Bundle {
  readonly name: string;
  /** Holds the uploaded files, and only them. */
  readonly directory: string;
  /** Relative to the folder. */
  readonly entrypoint: string;
  readonly importMap: string;
  readonly verifyJwt: boolean;
}

/** A running API. */
export interface ManagementApi {
  readonly url: string;
  readonly bundles: readonly Bundle[];
  stop(): Promise<void>;
}

/** Starts the API on the loopback; uploads go to `directory`. */
export function startManagementApi(directory: string): ManagementApi {
  const bundles: Bundle[] = [];
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) => {
      const { pathname, searchParams } = new URL(request.url);
      const slug = searchParams.get("slug") ?? "";
      switch (`${request.method} ${pathname.replace(/^\/v1\/projects\/[a-z]{20}/, "")}`) {
        case "POST /functions/deploy":
          bundles.push(await keep(join(directory, slug), slug, await request.formData()));
          return Response.json(describe(slug), { status: 201 });
        case "PUT /functions":
          return Response.json({ functions: bundles.map(({ name }) => describe(name)) });
        case "GET /functions":
          return Response.json([]);
        case "GET ":
          return Response.json({ id: "a".repeat(20), name: "loopback", status: "ACTIVE_HEALTHY" });
        default:
          return Response.json({ message: `Nothing at ${pathname}` }, { status: 404 });
      }
    },
  );
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    bundles,
    stop: () => server.shutdown(),
  };
}

async function keep(directory: string, name: string, form: FormData): Promise<Bundle> {
  for (const file of form.getAll("file")) {
    if (typeof file === "string") continue;
    const path = normalize(join(directory, file.name));
    if (!path.startsWith(directory)) throw new Error(`${name} uploads ${file.name}`);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, new Uint8Array(await file.arrayBuffer()));
  }
  const metadata = JSON.parse(String(form.get("metadata")));
  return {
    name,
    directory,
    entrypoint: String(metadata.entrypoint_path),
    importMap: String(metadata.import_map_path),
    verifyJwt: metadata.verify_jwt !== false,
  };
}

function describe(slug: string) {
  return { id: crypto.randomUUID(), slug, name: slug, version: 1, status: "ACTIVE" };
}
