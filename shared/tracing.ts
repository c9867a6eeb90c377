/**
 * Traces for OpenTelemetry: a span for each tool call, and under it one for each database call and
 * each text. They are sent by OTLP over HTTP after the answer, where `OTEL_EXPORTER_OTLP_ENDPOINT` is
 * set. Elsewhere nothing of this runs.
 *
 * A piece of work notes what it did and hands the notes over when it is done. The SDK, which takes
 * longer to load than a tool call to answer, is loaded by the first sending and turns the notes into
 * spans. A fetch of ours sends them, because the SDK's exporter uses node:http, which can crash the
 * process on Deno 2.1.4 when an answer breaks off. Traces that cannot be sent are dropped.
 *
 * @module
 */

import type { Attributes } from "@opentelemetry/api";
import type { ReadableSpan } from "@opentelemetry/sdk-trace";
import { keepAlive } from "./background.ts";
import { type Bytes, toHex } from "./bytes.ts";
import type { Config } from "./config.ts";
import { withDeadline } from "./deadline.ts";
import type { Log } from "./logging.ts";
import { redactValue } from "./redaction.ts";

/** Something that took time. Its attributes are identifiers and outcomes, never anything personal. */
export interface Span {
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  /** Milliseconds since 1970. */
  readonly endedAt: number;
  readonly attributes: Attributes;
  /** The code of what went wrong. */
  readonly failure?: string | undefined;
}

/** A piece of work and its parts. */
export interface Trace {
  /** 32 hexadecimal digits, also in the log line. */
  readonly id: string;
  readonly root: Span;
  readonly parts: readonly Span[];
}

/** A new trace id, as https://www.w3.org/TR/trace-context/#trace-id describes it. */
export const newTraceId = () => toHex(crypto.getRandomValues(new Uint8Array(16)));

/**
 * A span that ends now.
 *
 * @param span.startedAt What `performance.now()` said when it began.
 */
export function endSpan(span: Omit<Span, "endedAt">): Span {
  const { timeOrigin } = performance;
  return {
    ...span,
    startedAt: timeOrigin + span.startedAt,
    endedAt: timeOrigin + performance.now(),
  };
}

const timeoutMs = 5000;

/** How long a tracer waits and how much it holds. */
export interface TracerOptions {
  /** Milliseconds from a trace to its sending, so that traces are sent together. */
  readonly delayMs?: number;
  /** How many traces are held; further ones are dropped. */
  readonly traceLimit?: number;
}

/** Collects and sends the traces of an isolate. No method throws, and only `flush` waits. */
export class Tracer {
  readonly #target: NonNullable<Config["tracing"]>;
  readonly #log: Log;
  readonly #options: Required<TracerOptions>;
  #open: Trace[] = [];
  #dropped = 0;
  #isScheduled = false;
  #sending: Promise<void> | undefined;

  constructor(
    target: NonNullable<Config["tracing"]>,
    log: Log,
    { delayMs = 1000, traceLimit = 500 }: TracerOptions = {},
  ) {
    this.#target = target;
    this.#log = log;
    this.#options = { delayMs, traceLimit };
  }

  /** A finished piece of work. */
  add(trace: Trace): void {
    if (this.#open.length < this.#options.traceLimit) this.#open.push(trace);
    else this.#dropped++;
    this.#schedule();
  }

  /** Sends the traces so far. Never rejects. */
  flush(): Promise<void> {
    return this.#sending ??= this.#send().finally(() => this.#sending = undefined);
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    keepAlive(
      new Promise((resolve) => setTimeout(resolve, this.#options.delayMs)).then(async () => {
        this.#isScheduled = false;
        await this.flush();
        if (this.#open.length > 0) this.#schedule();
      }),
    );
  }

  async #send(): Promise<void> {
    const traces = this.#open.splice(0);
    const dropped = this.#dropped;
    this.#dropped = 0;
    if (dropped > 0) this.#log.warn("traces_dropped", { traces: dropped, reason: "too many" });
    if (traces.length === 0) return;
    try {
      const body = await serialize(traces, this.#target.serviceName);
      await withDeadline(timeoutMs, (signal) => this.#post(body, signal));
    } catch (fault) {
      this.#log.warn("traces_dropped", { traces: traces.length, fault });
    }
  }

  async #post(body: Bytes, signal: AbortSignal): Promise<void> {
    const { url, headers } = this.#target;
    const response = await fetch(url, {
      method: "POST",
      headers: { ...headers, "content-type": "application/json" },
      redirect: "manual",
      body,
      signal,
    });
    await response.body?.cancel();
    if (!response.ok) {
      throw new Error("the collector refused the traces", { cause: { status: response.status } });
    }
  }
}

/** Traces as an OTLP request in JSON: https://opentelemetry.io/docs/specs/otlp/#otlphttp */
async function serialize(
  traces: readonly Trace[],
  serviceName: string,
): Promise<Bytes> {
  const [api, { RandomIdGenerator, TracerProvider }, { JsonTraceSerializer }, resources] =
    await Promise.all([
      import("@opentelemetry/api"),
      import("@opentelemetry/sdk-trace"),
      import("@opentelemetry/otlp-transformer"),
      import("@opentelemetry/resources"),
    ]);
  const { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace: { setSpan } } = api;
  const random = new RandomIdGenerator();
  const ended: ReadableSpan[] = [];
  let traceId = "";
  const tracer = new TracerProvider({
    resource: resources.resourceFromAttributes({ "service.name": serviceName }),
    idGenerator: {
      generateTraceId: () => traceId,
      generateSpanId: () => random.generateSpanId(),
    },
    spanProcessors: [{
      onStart: () => {},
      onEnd: (span) => void ended.push(span),
      forceFlush: () => Promise.resolve(),
      shutdown: () => Promise.resolve(),
    }],
  }).getTracer(serviceName);
  const write = (
    { name, startedAt, endedAt, attributes, failure }: Span,
    kind: typeof SpanKind[keyof typeof SpanKind],
    context = ROOT_CONTEXT,
  ) => {
    // As in the log, ids come from outside and may be anything.
    const told = redactValue(attributes);
    const span = tracer.startSpan(name, { kind, startTime: startedAt }, context)
      .setAttributes(typeof told === "object" ? { ...told } : {});
    if (failure !== undefined) {
      span.setAttribute("error.type", failure).setStatus({ code: SpanStatusCode.ERROR });
    }
    span.end(endedAt);
    return span;
  };
  for (const { id, root, parts } of traces) {
    traceId = id;
    const context = setSpan(ROOT_CONTEXT, write(root, SpanKind.SERVER));
    for (const part of parts) write(part, SpanKind.CLIENT, context);
  }
  const body = JsonTraceSerializer.serializeRequest(ended);
  if (!body) throw new Error("the SDK wrote nothing");
  return new Uint8Array(body);
}
