/**
 * Hands the requests of the functions to the gateway of the same process, without the network between
 * them: there, both ends of a connection would be paid by one processor, and cost more than what the
 * gateway does. Everybody else reaches it by HTTP.
 *
 * @module
 */

import { Buffer } from "node:buffer";

/** Answers a request. */
type Answer = (request: Request) => Promise<Response>;

/**
 * Lets this process's `fetch` answer addresses that begin with a prefix by itself.
 *
 * @param prefix Of an address, with its scheme.
 * @returns What ends that.
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

/** As `fetch` does, it ends when the signal says so, whether or not the answer listens. */
async function fetchLocally(
  answer: Answer,
  address: string,
  init: RequestInit = {},
): Promise<Response> {
  const headers = new Headers(init.headers);
  // The gateway then reads the body at once, and not as a stream.
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
