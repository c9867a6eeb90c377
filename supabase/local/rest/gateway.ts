/**
 * `/rest/v1` of the local stack: a stand-in for PostgREST 14 that gives the same answer or refuses with
 * PGRST127. A request goes through `request.ts` (parser), `planner.ts` and `statement.ts` (SQL),
 * `executor.ts` (transaction) and `response.ts`. It refuses:
 *
 * | what | where |
 * | --- | --- |
 * | embedding, aggregates, casts, JSON paths, `or`, `and`, `any`/`all`, full text | query.ts |
 * | names beyond letters, digits and `_`, unless in quotes; what PostgREST's parser refuses in its own words | query.ts |
 * | `limit` and `offset` that are not numbers; parameters given twice, without `=`, or after a `;` | query.ts |
 * | upsert: `on_conflict`, `resolution=`, PUT | query.ts, request.ts |
 * | Prefer: `missing=`, `handling=`, `max-affected=`, `timezone=`, `count=planned`, `return=headers-only` | request.ts |
 * | bodies other than JSON; escaped surrogates and control characters in them | request.ts |
 * | the OpenAPI root, OPTIONS, the header Range, qualities in Accept | request.ts |
 * | CSV, GeoJSON, plans, `nulls=stripped`, OpenAPI | planner.ts |
 * | variadic functions, rows of views that were written to, updates of no columns | planner.ts |
 * | `limit` and `offset` of writes, filters of inserts | planner.ts |
 * | isolation levels of roles and functions | executor.ts |
 * | `count=estimated` above max-rows; statuses and headers that HTTP cannot send | response.ts, errors.ts |
 *
 * Tokens are HS256 only. Serialization failures and deadlocks (40001, 40P01) are answered at once, as
 * by PostgREST 16; version 14 repeats the transaction until the caller gives up. When a caller
 * disconnects, its transaction ends, or it leaves the queue for a connection. In a server,
 * `--unstable-no-legacy-abort` keeps Deno from treating a sent answer as a disconnect.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { watchCatalogue } from "./catalogue.ts";
import { Pool } from "./driver.ts";
import { errorResponse, RestError } from "./errors.ts";
import { execute } from "./executor.ts";
import { planRequest } from "./planner.ts";
import { readRequest } from "./request.ts";
import { writeResponse } from "./response.ts";
import { authenticator } from "./token.ts";

/** Settings of a gateway; the names in brackets are PostgREST's. */
export interface GatewayOptions {
  /** Login as role authenticator (db-uri). */
  readonly dbUrl: string;
  /** Exposed schemas, the first is the default (db-schemas). Default `["public"]`. */
  readonly schemas?: readonly string[];
  /** Default `["public", "extensions"]` (db-extra-search-path). */
  readonly extraSearchPath?: readonly string[];
  /** Default `anon` (db-anon-role). */
  readonly anonRole?: string;
  /** For HS256 (jwt-secret). */
  readonly jwtSecret?: string;
  /** `sb_publishable_...`, which stands for anon. If set, every request needs a key. */
  readonly publishableKey?: string;
  /** `sb_secret_...`, which stands for service_role. */
  readonly secretKey?: string;
  /** Most rows in an answer (db-max-rows). Default 1000. */
  readonly maxRows?: number | null;
  /** Connections (db-pool). Default 10. */
  readonly poolSize?: number;
  /** Wait for a connection (db-pool-acquisition-timeout). Default 10,000 ms. */
  readonly acquisitionTimeoutMs?: number;
  /** Removed from paths; the database never sees it. */
  readonly basePath?: string;
  /** Bodies above this are 413. Default 10 MiB. */
  readonly maxBodyBytes?: number;
  /** Bodies that take longer are 408. Default 30,000 ms. */
  readonly bodyTimeoutMs?: number;
}

/** What is read of a request. */
export type RestHttp = Pick<Request, "method" | "url" | "headers" | "signal" | "body" | "bytes">;

/** A running gateway. */
export interface Gateway {
  /** Answers a request. If its signal aborts, the transaction is rolled back. */
  fetch(request: RestHttp): Promise<Response>;
  /** Ends the connections. */
  close(): Promise<void>;
}

/** Connects and reads the catalogue. @throws when the database cannot be reached */
export async function createGateway(options: GatewayOptions): Promise<Gateway> {
  const {
    dbUrl,
    schemas = ["public"],
    extraSearchPath = ["public", "extensions"],
    anonRole = "anon",
    maxRows = 1000,
    poolSize = 10,
    acquisitionTimeoutMs = 10_000,
    basePath = "",
    maxBodyBytes = 10 * 2 ** 20,
    bodyTimeoutMs = 30_000,
  } = options;
  const identify = authenticator({ ...options, anonRole });
  const pool = new Pool(dbUrl, poolSize, acquisitionTimeoutMs);
  const catalogue = await watchCatalogue(dbUrl, schemas, () => pool.renew());

  async function answer(http: RestHttp): Promise<Response> {
    const { method, headers, signal } = http;
    // A caller that left while this process was busy costs nothing more.
    signal.throwIfAborted();
    const { pathname, search } = new URL(http.url);
    const caller = await identify(headers);
    const request = readRequest({
      method,
      path: withoutBase(pathname, basePath),
      search: search.slice(1),
      headers,
      body: await readBody(http, maxBodyBytes, bodyTimeoutMs),
    }, schemas);
    const known = catalogue.current();
    const plan = planRequest(request, known, maxRows);
    const result = await execute(pool, {
      plan,
      request,
      headers,
      caller,
      settings: known.roleSettings.get(caller.role) ?? [],
      extraSearchPath,
      signal,
      cancel: catalogue.cancel,
    });
    return writeResponse(request, plan, result, maxRows);
  }

  return {
    fetch: async (http) => {
      if (isPreflight(http)) return preflight(http);
      return withOrigin(http, await answer(http).catch(asResponse));
    },
    close: async () => {
      await Promise.all([pool.close(), catalogue.close()]);
    },
  };
}

/** The base is optional: `/rest/v1/rpc/name` and `/rpc/name` are the same. */
const withoutBase = (path: string, base: string): string =>
  base !== "" && (path === base || path.startsWith(`${base}/`))
    ? path.slice(base.length) || "/"
    : path;

function asResponse(error: unknown): Response {
  if (error instanceof RestError) return errorResponse(error);
  const hasLeft = error instanceof DOMException && error.name === "AbortError";
  if (hasLeft) return new Response(null, { status: 499 });
  const details = error instanceof Error ? error.message : null;
  return errorResponse(new RestError(500, "PGRSTX00", "Internal error", { details }));
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The body as text; null where it is not UTF-8. @throws {RestError} 413, 408 */
async function readBody(
  request: RestHttp,
  maxBytes: number,
  timeoutMs: number,
): Promise<string | null> {
  if (request.method === "GET" || request.method === "HEAD") return "";
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new RestError(408, "408", "The body is late")), timeoutMs);
  try {
    const bytes = await Promise.race([readBytes(request, maxBytes), late]);
    return utf8.decode(bytes);
  } catch (error) {
    if (error instanceof RestError) throw error;
    return null;
  } finally {
    clearTimeout(timer);
  }
}

async function readBytes(request: RestHttp, maxBytes: number): Promise<Uint8Array> {
  const tooLarge = () => new RestError(413, "413", `The body is larger than ${maxBytes} bytes`);
  const length = Number(request.headers.get("content-length") ?? Infinity);
  // Without accessing `body`, which would turn it into a stream.
  if (length <= maxBytes) return await request.bytes();
  if (length < Infinity) throw tooLarge();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body ?? []) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > maxBytes) throw tooLarge();
  }
  return Buffer.concat(chunks);
}

const isPreflight = ({ method, headers }: RestHttp): boolean =>
  method === "OPTIONS" && headers.has("origin") && headers.has("access-control-request-method");

function preflight({ headers }: RestHttp): Response {
  const asked = headers.get("access-control-request-headers")?.split(",") ?? [];
  const allowed = ["Authorization", ...asked.map((name) => name.trim())];
  return new Response(null, {
    headers: {
      "Access-Control-Allow-Origin": "*",
      "Access-Control-Allow-Methods": "GET, POST, PATCH, PUT, DELETE, OPTIONS, HEAD",
      "Access-Control-Allow-Headers": [...allowed, "Accept", "Accept-Language", "Content-Language"]
        .join(", "),
      "Access-Control-Max-Age": "86400",
    },
  });
}

function withOrigin(request: RestHttp, response: Response): Response {
  if (!request.headers.has("origin")) return response;
  response.headers.set("Access-Control-Allow-Origin", "*");
  response.headers.set(
    "Access-Control-Expose-Headers",
    "Content-Encoding, Content-Location, Content-Range, Content-Type, Date, Location, Server, Transfer-Encoding, Range-Unit",
  );
  return response;
}
