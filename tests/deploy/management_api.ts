/**
 * The part of Supabase's Management API that a deployment uses: `supabase login`, `link`, `projects
 * list`, `secrets` and `functions deploy --use-api`. It stores uploads, each function in a folder with
 * nothing else in it.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join, normalize } from "node:path";

/** One deployed function. */
export interface Bundle {
  readonly name: string;
  /** Holds the uploaded files and nothing else. */
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
  /** The functions' secrets, by name. */
  readonly secrets: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

/** The reference of the only project. */
export const project = "abcdefghijklmnopqrst";

/** Starts the API on the loopback interface; uploads go to `directory`. */
export function startManagementApi(directory: string): ManagementApi {
  const bundles = new Map<string, Bundle>();
  const secrets: Record<string, string> = {};
  const listFunctions = () => [...bundles.keys()].map(describeFunction);
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) => {
      const { pathname, searchParams } = new URL(request.url);
      const slug = searchParams.get("slug") ?? "";
      switch (`${request.method} ${pathname.replace(`/v1/projects/${project}`, "")}`) {
        case "GET /v1/profile":
          return Response.json({ gotrue_id: crypto.randomUUID(), primary_email: "a@b.test" });
        case "GET /v1/projects":
          return Response.json([describedProject]);
        case "GET ":
          return Response.json(describedProject);
        case "GET /api-keys":
          return Response.json([{ name: "anon", api_key: "public", type: "legacy", id: "1" }]);
        case "POST /functions/deploy":
          bundles.set(slug, await keep(join(directory, slug), slug, await request.formData()));
          return Response.json(describeFunction(slug), { status: 201 });
        case "PUT /functions":
          return Response.json({ functions: listFunctions() });
        case "GET /functions":
          return Response.json(listFunctions());
        case "GET /secrets":
          return Response.json(Object.entries(secrets).map(describeSecret));
        case "POST /secrets":
          for (const { name, value } of await request.json()) secrets[name] = value;
          return Response.json({}, { status: 201 });
        default:
          return Response.json({ message: `Nothing at ${pathname}` }, { status: 404 });
      }
    },
  );
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    get bundles() {
      return [...bundles.values()];
    },
    secrets,
    stop: () => server.shutdown(),
  };
}

const describedProject = {
  ...{ id: project, ref: project, name: "loopback", region: "eu-west-1" },
  ...{ organization_id: "loopback", organization_slug: "loopback" },
  ...{ status: "ACTIVE_HEALTHY", created_at: "2026-01-01T00:00:00Z" },
  database: {
    ...{ host: "127.0.0.1", version: "15.8.1", postgres_engine: "15", release_channel: "ga" },
  },
};

/** A secret as Supabase shows it: a digest in place of the value. */
function describeSecret([name, value]: readonly [string, string]) {
  return { name, value: createHash("sha256").update(value).digest("hex") };
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

function describeFunction(slug: string) {
  const at = Date.UTC(2026, 0, 1);
  return {
    ...{ id: crypto.randomUUID(), slug, name: slug, version: 1, status: "ACTIVE" },
    ...{ created_at: at, updated_at: at, verify_jwt: false },
  };
}
