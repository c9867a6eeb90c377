/** Traces: a span for each tool call with its database calls and texts, sent to a collector by OTLP. */
import assert from "node:assert/strict";
import { z } from "zod";
import { readConfig } from "../../shared/config.ts";
import { openLog } from "../../shared/logging.ts";
import { createRuntime, type Runtime } from "../../shared/runtime.ts";
import { type Bench, testWithBench as test } from "../support/clinic.ts";
import { aTextingClinic, PhoneCall } from "../support/phone_call.ts";

const attribute = z.object({ key: z.string(), value: z.object({ stringValue: z.string() }) })
  .transform(({ key, value }) => [key, value.stringValue] as const);
const attributes = z.array(attribute).transform((read) => Object.fromEntries(read));
/** OTLP in JSON, with the enum numbers of opentelemetry/proto/trace/v1/trace.proto. */
const received = z.object({
  resourceSpans: z.array(z.object({
    resource: z.object({ attributes }),
    scopeSpans: z.array(z.object({
      spans: z.array(z.object({
        traceId: z.string().regex(/^[0-9a-f]{32}$/),
        spanId: z.string().regex(/^[0-9a-f]{16}$/),
        parentSpanId: z.string().optional(),
        name: z.string(),
        kind: z.number(),
        startTimeUnixNano: z.string().transform(BigInt),
        endTimeUnixNano: z.string().transform(BigInt),
        attributes,
        status: z.object({ code: z.number() }),
      })),
    })),
  })),
}).transform(({ resourceSpans }) =>
  resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) => spans.map((span) => ({ ...span, resource })))
  )
);
type ReceivedSpan = z.infer<typeof received>[number];

const [server, client] = [2, 3];
const failed = 2;

/** A collector that stores what it gets and answers with a status. */
class Collector implements AsyncDisposable {
  readonly requests: { readonly path: string; readonly authorization: string | null }[] = [];
  readonly bodies: string[] = [];
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(answer: () => Response = () => Response.json({})) {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      async (request) => {
        const { pathname: path } = new URL(request.url);
        this.requests.push({ path, authorization: request.headers.get("authorization") });
        this.bodies.push(await request.text());
        return answer();
      },
    );
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  get spans(): ReceivedSpan[] {
    return this.bodies.flatMap((body) => received.parse(JSON.parse(body)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

function runtimeTracedTo(url: string, bench: Bench, lines: string[] = []): Runtime {
  return createRuntime(
    readConfig({
      ...bench.environment,
      OTEL_EXPORTER_OTLP_ENDPOINT: url,
      OTEL_EXPORTER_OTLP_HEADERS: "authorization=Basic%20a2V5",
      OTEL_SERVICE_NAME: "staging",
    }),
    openLog("debug", (line) => lines.push(line)),
    bench.deadlines,
  );
}

test("a tool call is a span, its database calls and its text are spans below it", async (bench) => {
  await using collector = new Collector();
  const lines: string[] = [];
  const runtime = runtimeTracedTo(collector.url, bench, lines);
  const call = new PhoneCall(bench, await aTextingClinic(bench));
  await call.hold("10:00", {}, { runtime });
  await call.send({ runtime });
  await runtime.background.settled();
  await runtime.tracer?.flush();

  assert.deepEqual(collector.requests[0], { path: "/v1/traces", authorization: "Basic a2V5" });
  const { spans } = collector;
  const roots = spans.filter(({ parentSpanId }) => !parentSpanId);
  assert.deepEqual(roots.map(({ name, kind }) => [name, kind]), [
    ["tool_call hold_slot", server],
    ["tool_call send_otp", server],
  ]);
  const logged = lines.map((line) => JSON.parse(line)).filter(({ event }) =>
    String(event).startsWith("tool_call")
  );
  assert.deepEqual(roots.map(({ traceId }) => traceId), logged.map(({ traceId }) => traceId));
  for (const { attributes, resource, status } of roots) {
    assert.equal(attributes["orgId"], call.clinic.id);
    assert.equal(attributes["callId"], call.callId);
    assert.equal(resource.attributes["service.name"], "staging");
    assert.notEqual(status.code, failed);
  }
  assert.deepEqual(roots.map(({ attributes }) => attributes["outcome"]), ["held", "sent"]);
  const [, sent] = roots;
  const parts = spans.filter(({ parentSpanId }) => parentSpanId === sent?.spanId);
  // Parts that run at the same time may end in any order.
  assert.deepEqual(parts.map(({ name }) => name).sort(), [
    "database begin_otp_send",
    "database complete_otp_send",
    "database get_org_credentials",
    "text",
  ]);
  for (const part of parts) {
    assert.equal(part.kind, client);
    assert.equal(part.traceId, sent?.traceId);
    assert.ok(sent && part.startTimeUnixNano >= sent.startTimeUnixNano);
    assert.ok(part.endTimeUnixNano >= part.startTimeUnixNano);
    // The answer does not wait until the result of the text is stored.
    const isAwaited = part.name !== "database complete_otp_send";
    assert.ok(!isAwaited || part.endTimeUnixNano <= sent.endTimeUnixNano, part.name);
  }
});

test("a trace names what failed, and nothing personal", async (bench) => {
  await using collector = new Collector();
  const runtime = runtimeTracedTo(collector.url, bench);
  const call = new PhoneCall(bench, await aTextingClinic(bench));
  const callId = `from ${call.phone}`;
  await call.hold("10:00", { patientName: "Nora Quill" }, { runtime, callId });
  bench.twilio.addFault("http_500");
  await call.send({ runtime, callId });
  const away = {
    ...runtime,
    database: createRuntime(
      readConfig({ ...bench.environment, POSTGREST_URL: "http://127.0.0.1:1" }),
      openLog("error", () => {}),
    ).database,
  };
  await call.hold("11:00", {}, { runtime: away });
  await runtime.background.settled();
  await runtime.tracer?.flush();

  const failures = collector.spans.filter(({ status }) => status.code === failed);
  assert.deepEqual(failures.map(({ name, attributes }) => [name, attributes["error.type"]]), [
    ["text", "provider_error"],
    ["tool_call hold_slot", "database_unavailable"],
    ["database claim_slot_atomic", "database_unavailable"],
  ]);
  const told = collector.bodies.join("\n");
  for (const personal of ["Nora", "Quill", call.phone.slice(-7)]) {
    assert.ok(!told.includes(personal), personal);
  }
});

test("a collector that is unreachable or refuses affects no answer, and is logged", async (bench) => {
  await using refusing = new Collector(() => new Response("no", { status: 503 }));
  for (const url of [refusing.url, "http://127.0.0.1:1"]) {
    const lines: string[] = [];
    const runtime = runtimeTracedTo(url, bench, lines);
    const call = new PhoneCall(bench, await aTextingClinic(bench));
    assert.equal((await call.hold("10:00", {}, { runtime })).outcome, "held");
    await runtime.tracer?.flush();
    const [dropped] = lines.map((line) => JSON.parse(line))
      .filter(({ event }) => event === "traces_dropped");
    assert.deepEqual([dropped?.level, dropped?.traces], ["warn", 1]);
    assert.ok(!lines.join().includes("a2V5"));
  }
});

test("no more traces are held than the limit, and those before it are sent", async (bench) => {
  await using collector = new Collector();
  const lines: string[] = [];
  const { tracer } = runtimeTracedTo(collector.url, bench, lines);
  assert.ok(tracer);
  const root = { name: "work", startedAt: 1, endedAt: 2, attributes: {} };
  for (let index = 0; index < 502; index++) {
    tracer.add({ id: index.toString(16).padStart(32, "0"), root, parts: [] });
  }
  await tracer.flush();
  assert.equal(collector.spans.length, 500);
  assert.match(lines.join(), /"traces_dropped","traces":2/);
});

test("without a collector nothing is traced, and log lines name no trace", async (bench) => {
  assert.equal(bench.runtime.tracer, undefined);
  const call = new PhoneCall(bench, await aTextingClinic(bench));
  await call.hold("10:00");
  assert.ok(bench.lines.length > 0 && !bench.lines.join().includes("traceId"));
});
