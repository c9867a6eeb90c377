/**
 * `/rest/v1` of the local stack: a stand-in for PostgREST 14 that answers as it does or refuses with
 * PGRST127, never differently. Refused are
 *
 * | what | where it is found |
 * | --- | --- |
 * | embedding, spreads, orders and limits of embedded resources | query_string.ts |
 * | `or`, `and`, full-text operators, casts beyond the common types | query_string.ts |
 * | lists and names that PostgREST's parser refuses with words of its own | query_string.ts |
 * | upsert: `resolution=`, `on_conflict`, PUT | request.ts, query_string.ts |
 * | CSV both ways, GeoJSON, plans, the OpenAPI root | request.ts, plan.ts |
 * | `count=planned`; `count=estimated` above max-rows | plan.ts, response.ts |
 * | filters on JSON paths when writing, inserts into views that answer rows | plan.ts |
 * | statuses and headers raised by SQL that HTTP cannot send | errors.ts, response.ts |
 *
 * Known tokens are HS256 only. Serialization failures and deadlocks (40001, 40P01) are answered at
 * once, as PostgREST 16 does; 14 repeats the transaction until the caller gives up. A caller that
 * leaves ends its transaction. In a server, `--unstable-no-legacy-abort` keeps Deno from taking an
 * answer that was sent for a caller that left.
 *
 * @module
 */
import { type Catalogue, watchCatalogue } from "./catalogue.ts";
import { errorResponse, RestError } from "./errors.ts";
import { execute, Pool, searchPathOf, settingsOf } from "./executor.ts";
import { type Description, type Plan, planRequest } from "./plan.ts";
import { type Body, type Head, readHead, readingHeaders, readPayload } from "./request.ts";
import { writeDescription, writeResponse } from "./response.ts";
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
  /** `sb_publishable_...`: stands for anon. With a key given, every request needs one. */
  readonly publishableKey?: string;
  /** `sb_secret_...`: stands for service_role. */
  readonly secretKey?: string;
  /** Rows of an answer at most (db-max-rows). Default 1000. */
  readonly maxRows?: number | null;
  /** Connections (db-pool). Default 10. */
  readonly poolSize?: number;
  /** Wait for a connection (db-pool-acquisition-timeout). Default 10,000 ms. */
  readonly acquisitionTimeoutMs?: number;
  /** Stripped from paths, never seen by the database. */
  readonly basePath?: string;
  /** Bodies above this are 413. Default 10 MiB. */
  readonly maxBodyBytes?: number;
  /** Bodies that take longer are 408. Default 30,000 ms. */
  readonly bodyTimeoutMs?: number;
}

/** A running gateway. */
export interface Gateway {
  /** Answers a request; when its signal aborts, its transaction is rolled back. */
  fetch(request: Request): Promise<Response>;
  /** Ends the connections. */
  close(): Promise<void>;
}

/** Connects and reads the catalogue. @throws when the database cannot be reached */
export async function createGateway(options: GatewayOptions): Promise<Gateway> {
  const schemas = options.schemas ?? ["public"];
  const extraSearchPath = options.extraSearchPath ?? ["public", "extensions"];
  const anonRole = options.anonRole ?? "anon";
  const base = (options.basePath ?? "").replace(/\/$/, "");
  const maxRows = options.maxRows === undefined ? 1000 : options.maxRows;
  const identify = authenticator({
    anonRole,
    jwtSecret: options.jwtSecret,
    publishableKey: options.publishableKey,
    secretKey: options.secretKey,
  });
  const catalogue = await watchCatalogue(options.dbUrl, schemas);
  const pool = new Pool({
    dbUrl: options.dbUrl,
    size: options.poolSize ?? 10,
    acquisitionTimeoutMs: options.acquisitionTimeoutMs ?? 10_000,
  });

  // What a request asks for and how it is run depend on little but its head; planning again and again
  // would be a third of the gateway's own time.
  interface Planned {
    readonly head: Head;
    readonly planOf: (body: Body) => Plan | Description;
  }
  let cache = new Map<string, Planned>();
  let cachedFor: Catalogue | null = null;
  function planned(request: Request, url: URL, known: Catalogue): Planned {
    const { method, headers } = request;
    if (cachedFor !== known || cache.size > 1000) cache = new Map();
    cachedFor = known;
    const key = [
      method,
      url.pathname,
      url.search,
      ...readingHeaders.map((name) => headers.get(name)),
    ]
      .join("\n");
    const found = cache.get(key);
    if (found) return found;
    const path = stripBase(url.pathname, base);
    const head = readHead({ method, path, search: url.search.slice(1), headers }, schemas);
    const plans = new Map<string, Plan | Description>();
    const planOf = (body: Body) => {
      const { payload, columns } = body;
      if (payload?.kind === "form") return planRequest({ ...head, ...body }, known, maxRows);
      const shape = JSON.stringify([payload, columns]);
      const plan = plans.get(shape) ?? planRequest({ ...head, ...body }, known, maxRows);
      if (plans.size < 100) plans.set(shape, plan);
      return plan;
    };
    const made = { head, planOf };
    cache.set(key, made);
    return made;
  }

  async function answer(request: Request): Promise<Response> {
    const url = new URL(request.url);
    const caller = await identify(request.headers);
    const known = catalogue.current();
    if (known === null) {
      const message = "Could not query the database for the schema cache. Retrying.";
      throw new RestError(503, "PGRST002", message);
    }
    const body = await readBody(
      request,
      options.maxBodyBytes ?? 10 * 2 ** 20,
      options.bodyTimeoutMs ?? 30_000,
    );
    const { head, planOf } = planned(request, url, known);
    const read = readPayload(head, body);
    const plan = planOf(read);
    if (plan.kind === "describe") return writeDescription(plan);
    const { isStrict, timezone } = head.preferences;
    const ofRole = known.roleSettings.get(caller.role) ?? [];
    const searchPath = searchPathOf([head.schema, ...extraSearchPath]);
    const row = await execute(pool, {
      plan,
      content: read.content,
      settings: settingsOf(head, request.headers, caller, plan, ofRole, searchPath),
      isolation: plan.isolation ?? new Map(ofRole).get("default_transaction_isolation") ?? null,
      timezone,
      isStrict,
      hasRole: caller.role !== anonRole,
      signal: request.signal,
      cancel: catalogue.cancel,
    });
    return writeResponse(head, plan, row, maxRows);
  }

  return {
    fetch: async (request) => {
      if (isPreflight(request)) return preflight(request);
      try {
        return withOrigin(request, await answer(request));
      } catch (error) {
        return withOrigin(request, asResponse(error));
      }
    },
    close: async () => {
      pool.close();
      await catalogue.close();
    },
  };
}

const stripBase = (path: string, base: string): string =>
  base !== "" && (path === base || path.startsWith(`${base}/`))
    ? path.slice(base.length) || "/"
    : path;

function asResponse(error: unknown): Response {
  if (error instanceof RestError) return errorResponse(error);
  const isAbort = error instanceof DOMException && error.name === "AbortError";
  if (isAbort) return new Response(null, { status: 499 });
  const message = error instanceof Error ? error.message : "unknown";
  return errorResponse(new RestError(500, "PGRSTX00", "Internal error", { details: message }));
}

async function readBody(
  request: Request,
  maxBytes: number,
  timeoutMs: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const { method, headers } = request;
  if (method === "GET" || method === "HEAD" || method === "OPTIONS") return new Uint8Array();
  const tooLarge = () => new RestError(413, "413", `The body is larger than ${maxBytes} bytes`);
  const length = Number(headers.get("content-length") ?? Number.NaN);
  if (length > maxBytes) throw tooLarge();
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new RestError(408, "408", "The body is late")), timeoutMs);
  try {
    // Without touching `body`, which would make a stream of it.
    if (length <= maxBytes) return await Promise.race([request.bytes(), late]);
    if (request.body === null) return new Uint8Array();
    const chunks: Uint8Array[] = [];
    let size = 0;
    const reader = request.body.getReader();
    for (;;) {
      const { done, value } = await Promise.race([reader.read(), late]);
      if (done) break;
      size += value.length;
      if (size > maxBytes) throw tooLarge();
      chunks.push(value);
    }
    return new Uint8Array(await new Blob(chunks.map((chunk) => chunk.slice())).arrayBuffer());
  } finally {
    clearTimeout(timer);
  }
}

const isPreflight = ({ method, headers }: Request): boolean =>
  method === "OPTIONS" && headers.has("origin") && headers.has("access-control-request-method");

function preflight({ headers }: Request): Response {
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

function withOrigin(request: Request, response: Response): Response {
  if (!request.headers.has("origin")) return response;
  response.headers.set("Access-Control-Allow-Origin", "*");
  response.headers.set(
    "Access-Control-Expose-Headers",
    "Content-Encoding, Content-Location, Content-Range, Content-Type, Date, Location, Server, Transfer-Encoding, Range-Unit",
  );
  return response;
}
