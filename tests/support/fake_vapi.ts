/**
 * A Vapi account over HTTP: stores tools, assistants and phone numbers, and checks every body.
 *
 * Bodies are checked against Vapi's own description (see vapi_schema.ts). PATCH replaces each top-level
 * field as a whole. Lists are sorted newest first and have at most 100 entries unless the request says
 * otherwise. The account can be told to fail like a busy service or a broken connection.
 *
 * @module
 */

import { readVapiSchema } from "./vapi_schema.ts";

/** A stored resource; Vapi adds the ids and times. */
export type Resource = Readonly<Record<string, unknown>> & {
  readonly id: string;
  readonly createdAt: string;
  readonly updatedAt: string;
};
/** The kinds of resources, as in their paths. */
const kinds = ["tool", "assistant", "phone-number"] as const;
/** One of these kinds. */
export type Kind = typeof kinds[number];

/** How the next request that changes something fails. */
export interface Fault {
  /** A status to answer with, or a connection that breaks. */
  readonly kind: 429 | 500 | 503 | "reset";
  /** True if the change is made anyway and only its answer is lost. */
  readonly isApplied?: boolean;
  /** Only with a status; if left out, the client chooses how long it waits. */
  readonly retryAfterSeconds?: number;
  /** Only requests with this method, such as `POST`; any that changes something if left out. */
  readonly method?: string;
}

/** A running account. */
export interface FakeVapi {
  /** For `VAPI_API_BASE`. */
  readonly url: string;
  readonly apiKey: string;
  readonly resources: Readonly<Record<Kind, readonly Resource[]>>;
  /** Requests so far, such as `POST /tool`. */
  readonly requests: readonly string[];
  /** Errors in the bodies that were refused. */
  readonly refusals: readonly string[];
  /** Adds a resource without checks, as another user of the account would. */
  put(kind: Kind, resource: Readonly<Record<string, unknown>>): Resource;
  addFault(fault: Fault): void;
  stop(): Promise<void>;
}

/** Starts an account on the loopback interface; needs the description of the API. */
export function startFakeVapi(): FakeVapi {
  const schema = readVapiSchema();
  const kept: Record<Kind, Resource[]> = { tool: [], assistant: [], "phone-number": [] };
  const apiKey = crypto.randomUUID();
  const requests: string[] = [];
  const refusals: string[] = [];
  const faults: Fault[] = [];
  let clock = Date.now();

  const put = (kind: Kind, given: Readonly<Record<string, unknown>>): Resource => {
    // One millisecond apart, so that "newest first" is unambiguous.
    const at = new Date(++clock).toISOString();
    const resource = { ...given, id: crypto.randomUUID(), createdAt: at, updatedAt: at };
    kept[kind].unshift(resource);
    return resource;
  };

  const change = (method: string, kind: Kind, id: string | undefined, body: unknown): Response => {
    const isNew = method === "POST";
    const problems = schema.problemsOf(
      isNew ? "post" : "patch",
      isNew ? `/${kind}` : `/${kind}/{id}`,
      body,
    );
    if (problems.length > 0) {
      refusals.push(`${method} /${kind}: ${problems.join("; ")}`);
      return refuse(400, problems);
    }
    const given = body as Readonly<Record<string, unknown>>;
    if (isNew) return Response.json(put(kind, given), { status: 201 });
    const at = kept[kind].findIndex((resource) => resource.id === id);
    const old = kept[kind][at];
    if (!old) return refuse(404, [`${kind} not found`]);
    const updated = { ...old, ...given, updatedAt: new Date(++clock).toISOString() };
    kept[kind][at] = updated;
    return Response.json(updated);
  };

  const answer = async (request: Request): Promise<Response> => {
    const { pathname, searchParams } = new URL(request.url);
    const [, name, id] = pathname.split("/");
    const kind = kinds.find((known) => known === name);
    requests.push(`${request.method} ${pathname}`);
    if (request.headers.get("authorization") !== `Bearer ${apiKey}`) {
      return refuse(401, ["Invalid Key"]);
    }
    if (!kind) return refuse(404, [`Cannot ${request.method} ${pathname}`]);
    if (request.method === "GET") {
      const found = id === undefined
        ? list(kept[kind], searchParams)
        : kept[kind].find(isNamed(id));
      return found ? Response.json(found) : refuse(404, [`${kind} not found`]);
    }
    const isKnown = request.method === "POST" && id === undefined ||
      request.method === "PATCH" && id !== undefined;
    if (!isKnown) return refuse(404, [`Cannot ${request.method} ${pathname}`]);
    const body = await request.json().catch(() => undefined);
    const fault = takeFault(faults, request.method);
    if (!fault) return change(request.method, kind, id, body);
    if (fault.isApplied) change(request.method, kind, id, body);
    return spoil(fault);
  };

  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, answer);
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    apiKey,
    resources: kept,
    requests,
    refusals,
    put,
    addFault: (fault) => void faults.push(fault),
    stop: () => server.shutdown(),
  };
}

function isNamed(id: string) {
  return (resource: Resource) => resource.id === id;
}

function list(resources: readonly Resource[], asked: URLSearchParams): Resource[] {
  const before = asked.get("createdAtLt");
  const limit = Number(asked.get("limit") ?? 100);
  return resources.filter(({ createdAt }) => before === null || createdAt < before)
    .slice(0, Math.min(limit, 1000));
}

function takeFault(faults: Fault[], method: string): Fault | undefined {
  const at = faults.findIndex((fault) => (fault.method ?? method) === method);
  return at < 0 ? undefined : faults.splice(at, 1)[0];
}

function spoil({ kind, retryAfterSeconds }: Fault): Response {
  if (kind !== "reset") {
    const headers: Record<string, string> = retryAfterSeconds === undefined
      ? {}
      : { "retry-after": String(retryAfterSeconds) };
    return Response.json({ message: "Try again later", statusCode: kind }, {
      status: kind,
      headers,
    });
  }
  const broken = new ReadableStream({
    start: (controller) => controller.error(new Error("reset")),
  });
  return new Response(broken);
}

function refuse(statusCode: number, message: readonly string[]): Response {
  return Response.json({ message, statusCode }, { status: statusCode });
}
