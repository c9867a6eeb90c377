/**
 * Passes the functions' requests to the gateway in the same process, without the network. Otherwise one
 * processor would work for both ends of a connection, which costs more than the gateway's own work.
 * Everybody else uses HTTP.
 *
 * @module
 */

import { Buffer } from "node:buffer";

/** Answers a request. */
type Answer = (request: Request) => Promise<Response>;

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
  const headers = new Headers(init.headers);
  // So that the gateway reads the body at once, and not as a stream.
  if (typeof init.body === "string") {
    headers.set("content-length", String(Buffer.byteLength(init.body)));
  }
  const request = new Request(address, { ...init, headers });
  const { signal } = init;
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
