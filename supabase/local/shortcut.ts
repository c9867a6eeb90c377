/**
 * Passes the functions' requests to the gateway in the same process, without the network. Otherwise one
 * processor would work for both ends of a connection, which costs more than the gateway's own work.
 * Everybody else uses HTTP.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { RestHttp } from "./rest/gateway.ts";

/** Answers a request. */
type Answer = (request: RestHttp) => Promise<Response>;

/**
 * Lets this process's `fetch` answer addresses with a prefix by itself.
 *
 * @param prefix Of an address, with its scheme.
 * @returns A function that ends that.
 */
export function answerLocally(prefix: string, answer: Answer): () => void {
  const fetchOutside = globalThis.fetch;
  globalThis.fetch = (input, init) =>
    typeof input === "string" && input.startsWith(prefix)
      ? fetchLocally(answer, input, init)
      : fetchOutside(input, init);
  return () => {
    globalThis.fetch = fetchOutside;
  };
}

/** Like `fetch`, it ends when the signal says so, whether or not the answer reacts. */
async function fetchLocally(
  answer: Answer,
  address: string,
  init: RequestInit = {},
): Promise<Response> {
  const { signal } = init;
  const request = typeof init.body === "string"
    ? readText(address, init, init.body)
    : new Request(address, init);
  if (!signal) return await answer(request);
  signal.throwIfAborted();
  const { promise: ended, reject } = Promise.withResolvers<never>();
  const end = () => reject(signal.reason);
  signal.addEventListener("abort", end, { once: true });
  try {
    return await Promise.race([answer(request), ended]);
  } finally {
    signal.removeEventListener("abort", end);
  }
}

/** A request whose body is a text. A `Request` would copy its headers and turn the body into a stream. */
function readText(url: string, { method = "GET", headers, signal }: RequestInit, text: string) {
  const bytes = Buffer.from(text);
  const own = headers instanceof Headers ? headers : new Headers(headers);
  own.set("content-length", String(bytes.length));
  return {
    ...{ method, url, headers: own, signal: signal ?? new AbortController().signal, body: null },
    bytes: () => Promise.resolve(bytes),
  };
}
