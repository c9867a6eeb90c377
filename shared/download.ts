/**
 * Reads a file from an address that somebody else has chosen. An answer that leads elsewhere is a
 * failure.
 *
 * @module
 */

import type { Bytes } from "./bytes.ts";
import { type Answer, exchange, exchangeFailures, Failure, type Network } from "./exchange.ts";

/** A file, the news that it has not changed, or why there is none. */
export type Download =
  | { readonly outcome: "loaded"; readonly bytes: Bytes; readonly etag: string | undefined }
  | { readonly outcome: "unchanged" }
  | { readonly outcome: "failed"; readonly reason: DownloadFailure };

/** Why there is no file. */
export type DownloadFailure = typeof downloadFailures[number];

/** Every {@link DownloadFailure}. */
const downloadFailures = [...exchangeFailures, "moved", "refused"] as const;

/** Limits of a download, and the version that is already known. */
export interface DownloadOptions {
  readonly limitBytes: number;
  /** For everything together, in milliseconds. */
  readonly timeoutMs: number;
  /** The `ETag` of the version that is known. */
  readonly etag?: string | undefined;
  readonly network?: Network;
}

/** Reads a file. Only `https` is possible. */
export async function download(
  address: string,
  { limitBytes, etag, ...options }: DownloadOptions,
): Promise<Download> {
  const isPlain = etag !== undefined && /^(W\/)?"[\x21\x23-\x7e]*"$/.test(etag);
  const headers = {
    Accept: "text/calendar, */*;q=0.1",
    ...isPlain ? { "If-None-Match": etag } : {},
  };
  const exchanged = await exchange(
    address,
    { method: "GET", headers },
    (answer) => readAnswer(answer, limitBytes, etag !== undefined),
    options,
  );
  return exchanged.outcome === "answered" ? exchanged.value : exchanged;
}

async function readAnswer(
  { status, headers, content }: Answer,
  limitBytes: number,
  isKnown: boolean,
): Promise<Download> {
  if (status === 304 && isKnown) return { outcome: "unchanged" };
  if (status >= 300 && status < 400) return { outcome: "failed", reason: "moved" };
  if (status !== 200) return { outcome: "failed", reason: "refused" };
  const encoding = headers.get("content-encoding") ?? "identity";
  if (encoding.toLowerCase() !== "identity") throw new Failure("answer_malformed");
  return { outcome: "loaded", bytes: await content(limitBytes), etag: headers.get("etag") };
}
