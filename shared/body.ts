/**
 * Reads the body of a request within a time and up to a size.
 *
 * @module
 */

import type { Bytes } from "./bytes.ts";
import { withDeadline } from "./deadline.ts";

/** A whole body, or why it could not be read. */
export type Body =
  | { readonly ok: true; readonly bytes: Bytes }
  | { readonly ok: false; readonly isTooLarge: boolean; readonly reason: string };

/**
 * Reads a body.
 *
 * @param limits Largest size in bytes, and milliseconds until it must have arrived.
 */
export async function readBody(
  request: Request,
  { limitBytes, timeoutMs }: { readonly limitBytes: number; readonly timeoutMs: number },
): Promise<Body> {
  const reader = request.body?.getReader();
  // One buffer that doubles: a body sent byte by byte takes no more memory than any other.
  let bytes = new Uint8Array(Math.min(4096, limitBytes));
  let size = 0;
  const readAll = async (): Promise<Body> => {
    for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
      const end = size + part.value.byteLength;
      if (end > limitBytes) {
        const reason = `the body is larger than ${limitBytes} bytes`;
        return { ok: false, isTooLarge: true, reason };
      }
      if (end > bytes.length) bytes = grow(bytes, Math.min(limitBytes, Math.max(end, 2 * size)));
      bytes.set(part.value, size);
      size = end;
    }
    return { ok: true, bytes: bytes.subarray(0, size) };
  };
  try {
    const body = await withDeadline(timeoutMs, readAll);
    if (!body.ok) await reader?.cancel();
    return body;
  } catch {
    reader?.cancel().catch(() => {});
    return { ok: false, isTooLarge: false, reason: "the body did not arrive" };
  }
}

function grow(bytes: Bytes, length: number): Bytes {
  const grown = new Uint8Array(length);
  grown.set(bytes);
  return grown;
}
