/**
 * One HTTPS request to an address that somebody else has chosen, without letting it reach anything but
 * the public internet.
 *
 * The host is resolved here, every address that it has must be public, and the connection goes to one
 * of these addresses: a name that resolves to something else a moment later changes nothing. `fetch`
 * resolves a name again by itself, and Deno 2.1.4 has no way to tell it the address. So this is HTTP/1.1
 * over a TLS connection of ours, whose certificate must be the host's. Nothing is followed.
 *
 * @module
 */

import { type Bytes, concat, utf8 } from "./bytes.ts";
import { DeadlineExceeded, withDeadline } from "./deadline.ts";

/** Why there is no answer that could be used. */
export type ExchangeFailure = typeof exchangeFailures[number];

/** Every {@link ExchangeFailure}. */
export const exchangeFailures = [
  "address_invalid",
  "address_not_public",
  "host_unknown",
  "host_unreachable",
  "answer_malformed",
  "too_large",
  "too_slow",
] as const;

/** How a host is found and reached; tests have another one. */
export interface Network {
  /** The IP addresses of a name. */
  resolve(host: string): Promise<readonly string[]>;
  /**
   * Connects to exactly this IP address.
   *
   * @param host Whose certificate the other side must show.
   */
  connect(address: string, port: number, host: string): Promise<Connection>;
}

/** A connection over TLS. */
export interface Connection {
  read(buffer: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<number>;
  close(): void;
}

/** What is asked. */
export interface ExchangeRequest {
  readonly method: "GET" | "POST";
  /** Names and values without line breaks. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Bytes;
}

/** What was answered. */
export interface Answer {
  readonly status: number;
  /** By lowercase name. */
  readonly headers: ReadonlyMap<string, string>;
  /** Reads the content. @throws {Failure} When it is malformed or larger than the limit. */
  content(limitBytes: number): Promise<Bytes>;
}

/** What becomes of an {@link exchange}. */
export interface ExchangeOptions {
  /** For everything together, in milliseconds. */
  readonly timeoutMs: number;
  readonly network?: Network;
}

/** What the reader made of an answer, or why there is none. */
export type Exchanged<T> =
  | { readonly outcome: "answered"; readonly value: T }
  | { readonly outcome: "failed"; readonly reason: ExchangeFailure };

/**
 * Sends a request and reads its answer. Only `https` is possible.
 *
 * @param read Called once, while the connection is open.
 */
export async function exchange<T>(
  address: string,
  request: ExchangeRequest,
  read: (answer: Answer) => Promise<T> | T,
  { timeoutMs, network = openInternet() }: ExchangeOptions,
): Promise<Exchanged<T>> {
  const url = URL.parse(address);
  if (url === null || url.protocol !== "https:" || url.username !== "" || url.password !== "") {
    return { outcome: "failed", reason: "address_invalid" };
  }
  try {
    const value = await withDeadline(
      timeoutMs,
      (signal) => ask(url, { request, read, network, signal }),
    );
    return { outcome: "answered", value };
  } catch (thrown) {
    const reason = thrown instanceof Failure
      ? thrown.reason
      : thrown instanceof DeadlineExceeded
      ? "too_slow"
      : "host_unreachable";
    return { outcome: "failed", reason };
  }
}

/** Ends an exchange with its reason. */
export class Failure extends Error {
  constructor(readonly reason: ExchangeFailure) {
    super(reason);
  }
}

interface Asking<T> {
  readonly request: ExchangeRequest;
  readonly read: (answer: Answer) => Promise<T> | T;
  readonly network: Network;
  readonly signal: AbortSignal;
}

async function ask<T>(url: URL, { request, read, network, signal }: Asking<T>): Promise<T> {
  const host = hostOf(url);
  const addresses = await findPublicAddresses(host, network);
  const connection = await connectToOne(addresses, Number(url.port || 443), host, network, signal);
  try {
    await writeAll(connection, utf8(headOf(url, request)));
    if (request.body) await writeAll(connection, request.body);
    const reader = new Reader(connection);
    const { status, headers } = await readHead(reader);
    return await read({
      ...{ status, headers },
      content: (limitBytes) => readContent(reader, headers, limitBytes),
    });
  } finally {
    connection.close();
  }
}

/** The host of an address, an IPv6 address without its brackets. */
export const hostOf = ({ hostname }: URL): string => hostname.replace(/^\[(.*)\]$/, "$1");

/** All addresses of a host. If one of them is not public, none is used. */
async function findPublicAddresses(host: string, network: Network): Promise<readonly string[]> {
  const addresses = await network.resolve(host).catch(() => {
    throw new Failure("host_unknown");
  });
  if (addresses.length === 0) throw new Failure("host_unknown");
  const isPublic = await loadPublicTest();
  if (!addresses.every(isPublic)) throw new Failure("address_not_public");
  return addresses;
}

/** Loads the test whether a text is an IP address of the public internet, in its usual notation. */
export async function loadPublicTest(): Promise<(address: string) => boolean> {
  const { default: ip } = await import("ipaddr.js");
  return (address) => {
    if (ip.IPv4.isValidFourPartDecimal(address)) {
      return ip.IPv4.parse(address).range() === "unicast";
    }
    if (!ip.IPv6.isValid(address) || address.includes("%")) return false;
    const parsed = ip.IPv6.parse(address);
    // Unicast is what has no other use. Only 2000::/3 has been given to anybody (RFC 4291, 2.4).
    return parsed.range() === "unicast" && (parsed.parts[0] ?? 0) >> 13 === 1;
  };
}

async function connectToOne(
  addresses: readonly string[],
  port: number,
  host: string,
  network: Network,
  signal: AbortSignal,
): Promise<Connection> {
  for (const address of addresses.slice(0, 4)) {
    if (signal.aborted) throw new Failure("too_slow");
    const connecting = network.connect(address, port, host);
    const connection = await connecting.catch(() => undefined);
    if (connection === undefined) continue;
    if (signal.aborted) {
      connection.close();
      throw new Failure("too_slow");
    }
    // A read that waits ends when its connection is closed.
    signal.addEventListener("abort", () => close(connection), { once: true });
    return { ...bind(connection), close: () => close(connection) };
  }
  throw new Failure("host_unreachable");
}

function bind(connection: Connection): Pick<Connection, "read" | "write"> {
  return {
    read: (buffer) => connection.read(buffer),
    write: (bytes) => connection.write(bytes),
  };
}

function close(connection: Connection): void {
  try {
    connection.close();
  } catch {
    // It is closed already.
  }
}

function headOf(
  { host, pathname, search }: URL,
  { method, headers, body }: ExchangeRequest,
): string {
  const sent = {
    Host: host,
    "User-Agent": "master-orchestrator",
    "Accept-Encoding": "identity",
    ...headers,
    ...body ? { "Content-Length": String(body.length) } : {},
    Connection: "close",
  };
  return [
    `${method} ${pathname}${search} HTTP/1.1`,
    ...Object.entries(sent).map(([name, value]) => `${name}: ${value}`),
    "\r\n",
  ].join("\r\n");
}

async function writeAll(connection: Connection, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
}

const headLimit = 16 * 1024;
const lineLimit = 256;

/** Reads lines and counted bytes from a connection. */
class Reader {
  readonly #connection: Connection;
  readonly #buffer = new Uint8Array(16 * 1024);
  #rest: Uint8Array = new Uint8Array();

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Some bytes, or nothing at the end. */
  async part(): Promise<Uint8Array | undefined> {
    if (this.#rest.length > 0) {
      const part = this.#rest;
      this.#rest = new Uint8Array();
      return part;
    }
    const length = await this.#connection.read(this.#buffer);
    return length === null ? undefined : this.#buffer.slice(0, length);
  }

  /** The bytes up to a mark, which is skipped. */
  async until(mark: string, limit: number): Promise<string> {
    let text = "";
    for (;;) {
      const part = await this.part();
      if (part === undefined) throw new Failure("answer_malformed");
      const before = text.length;
      text += String.fromCharCode(...part);
      const end = text.indexOf(mark);
      if (end > limit || end < 0 && text.length > limit + part.length) {
        throw new Failure("answer_malformed");
      }
      if (end >= 0) {
        this.#rest = part.subarray(end + mark.length - before);
        return text.slice(0, end);
      }
    }
  }

  /** Exactly this many bytes. */
  async exactly(length: number): Promise<Uint8Array[]> {
    const parts: Uint8Array[] = [];
    for (let left = length; left > 0;) {
      const part = await this.part();
      if (part === undefined) throw new Failure("answer_malformed");
      parts.push(part.subarray(0, left));
      this.#rest = part.subarray(left);
      left -= Math.min(left, part.length);
    }
    return parts;
  }
}

async function readHead(reader: Reader) {
  // Interim answers (1xx) come before the one that counts.
  for (let interim = 0; interim < 5; interim++) {
    const [first = "", ...lines] = (await reader.until("\r\n\r\n", headLimit)).split("\r\n");
    const status = Number(/^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(first)?.[1] ?? NaN);
    if (Number.isNaN(status)) throw new Failure("answer_malformed");
    if (status < 200) continue;
    const headers = new Map(lines.map((line) => {
      const [, name = "", value = ""] = /^([!#$%&'*+.^_`|~\w-]+):[ \t]*(.*?)[ \t]*$/.exec(line) ??
        [];
      return [name.toLowerCase(), value] as const;
    }));
    return { status, headers };
  }
  throw new Failure("answer_malformed");
}

/** The content in one of the three ways that HTTP/1.1 frames it (RFC 9112, 6.3). */
async function readContent(
  reader: Reader,
  headers: ReadonlyMap<string, string>,
  limitBytes: number,
): Promise<Bytes> {
  const coding = headers.get("transfer-encoding");
  if (coding !== undefined) {
    if (coding.toLowerCase() !== "chunked") throw new Failure("answer_malformed");
    return await readChunks(reader, limitBytes);
  }
  const announced = headers.get("content-length");
  if (announced !== undefined) {
    if (!/^\d{1,15}$/.test(announced)) throw new Failure("answer_malformed");
    if (Number(announced) > limitBytes) throw new Failure("too_large");
    return concat(await reader.exactly(Number(announced)));
  }
  const parts: Uint8Array[] = [];
  let size = 0;
  for (let part = await reader.part(); part; part = await reader.part()) {
    size += part.length;
    if (size > limitBytes) throw new Failure("too_large");
    parts.push(part);
  }
  return concat(parts);
}

async function readChunks(reader: Reader, limitBytes: number): Promise<Bytes> {
  const parts: Uint8Array[] = [];
  let size = 0;
  // Each chunk costs work, however small it is.
  for (let chunks = 0; chunks < limitBytes; chunks++) {
    const [, hex] = /^([0-9a-f]{1,8})[ \t]*(?:;.*)?$/i
      .exec(await reader.until("\r\n", lineLimit)) ?? [];
    if (hex === undefined) throw new Failure("answer_malformed");
    const length = parseInt(hex, 16);
    if (length === 0) return concat(parts);
    size += length;
    if (size > limitBytes) throw new Failure("too_large");
    parts.push(...await reader.exactly(length));
    if (await reader.until("\r\n", lineLimit) !== "") throw new Failure("answer_malformed");
  }
  throw new Failure("too_large");
}

/**
 * The public internet.
 *
 * @param caCerts Authorities that are trusted besides the usual ones, for tests.
 */
export function openInternet(caCerts: readonly string[] = []): Network {
  return {
    resolve: async (host) => {
      // Not a name, which a resolver might look up all the same.
      if (/^[\d.]+$|:/.test(host)) return [host];
      const found = await Promise.allSettled([
        Deno.resolveDns(host, "A"),
        Deno.resolveDns(host, "AAAA"),
      ]);
      return found.flatMap((one) => one.status === "fulfilled" ? one.value : []);
    },
    connect: async (address, port, host) => {
      const tcp = await Deno.connect({ hostname: address, port });
      try {
        return await Deno.startTls(tcp, {
          hostname: host,
          alpnProtocols: ["http/1.1"],
          caCerts: [...caCerts],
        });
      } catch (thrown) {
        close(tcp);
        throw thrown;
      }
    },
  };
}
