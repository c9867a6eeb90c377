/**
 * Reads the body of a request within limits of time and size.
 *
 * @module
 */

import type { Bytes } from "./bytes.ts";
import { withDeadline } from "./deadline.ts";

/** A complete body, or why it could not be read. */
export type Body =
  | { readonly ok: true; readonly bytes: Bytes }
  | { readonly ok: false; readonly isTooLarge: boolean; readonly reason: string };

/** The largest size in bytes, and the time in milliseconds within which it must arrive. */
export interface BodyLimits {
  readonly limitBytes: number;
  readonly timeoutMs: number;
}

const notArrived = {
  ...{ ok: false, isTooLarge: false },
  reason: "the body did not arrive",
} as const satisfies Body;

function tooLarge(limitBytes: number): Body {
  return { ok: false, isTooLarge: true, reason: `the body is larger than ${limitBytes} bytes` };
}

/** Reads a body. */
export async function readBody(request: Request, limits: BodyLimits): Promise<Body> {
  const announced = Number(request.headers.get("content-length") ?? Infinity);
  // Accessing `body` would turn it into a stream, which costs more than everything else here.
  return await (announced <= limits.limitBytes
    ? readWhole(request, limits)
    : readParts(request, limits));
}

/** Reads a body whose length was announced. HTTP lets no more than that through. */
async function readWhole(
  request: Request,
  { limitBytes, timeoutMs }: BodyLimits,
): Promise<Body> {
  try {
    const bytes = new Uint8Array(await withDeadline(timeoutMs, () => request.arrayBuffer()));
    return bytes.byteLength > limitBytes ? tooLarge(limitBytes) : { ok: true, bytes };
  } catch {
    return notArrived;
  }
}

/** Reads a body whose length is not known in advance. */
async function readParts(
  request: Request,
  { limitBytes, timeoutMs }: BodyLimits,
): Promise<Body> {
  const reader = request.body?.getReader();
  // One buffer that doubles, so a body sent byte by byte takes no more memory than any other.
  let bytes = new Uint8Array(Math.min(4096, limitBytes));
  let size = 0;
  const readAll = async (): Promise<Body> => {
    for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
      const end = size + part.value.byteLength;
      if (end > limitBytes) return tooLarge(limitBytes);
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
    return notArrived;
  }
}

function grow(bytes: Bytes, length: number): Bytes {
  const grown = new Uint8Array(length);
  grown.set(bytes);
  return grown;
}
