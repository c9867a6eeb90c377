/**
 * Reads the body of a request within a time and up to a size.
 *
 * @module
 */

import { type Bytes, concat } from "./bytes.ts";
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
  const chunks: Uint8Array[] = [];
  let size = 0;
  const readAll = async (): Promise<Body> => {
    for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
      size += part.value.byteLength;
      if (size > limitBytes) {
        const reason = `the body is larger than ${limitBytes} bytes`;
        return { ok: false, isTooLarge: true, reason };
      }
      chunks.push(part.value);
    }
    return { ok: true, bytes: concat(chunks) };
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
