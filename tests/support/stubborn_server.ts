/**
 * A server that keeps its connections open although the client asked to close them, and drops them
 * when they are used again.
 *
 * @module
 */

/** When a connection that is used again is dropped. */
export type Drop = "after_request" | "in_request" | "before_request";

/** A running server. */
export interface StubbornServer {
  readonly url: string;
  /** How many requests began to arrive. */
  readonly requestCount: number;
  stop(): void;
}

/**
 * Starts one on the loopback: the first request of each connection gets `answer`, the next one is
 * dropped once it was read, in its middle, or as soon as the first was answered and a moment passed.
 */
export function startStubbornServer(drop: Drop, answer: object): StubbornServer {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const connections = new Set<Deno.Conn>();
  let requestCount = 0;

  async function serve(connection: Deno.Conn): Promise<void> {
    connections.add(connection);
    const requests = readRequests(connection, () => requestCount++, drop === "in_request");
    await requests.next();
    const body = JSON.stringify(answer);
    await connection.write(new TextEncoder().encode(
      "HTTP/1.1 201 Created\r\ncontent-type: application/json\r\nconnection: keep-alive\r\n" +
        `content-length: ${body.length}\r\n\r\n${body}`,
    ));
    if (drop === "before_request") await new Promise((resolve) => setTimeout(resolve, 20));
    else await requests.next();
    connection.close();
    connections.delete(connection);
  }

  (async () => {
    for await (const connection of listener) serve(connection).catch(() => {});
  })();
  return {
    url: `http://127.0.0.1:${listener.addr.port}`,
    get requestCount() {
      return requestCount;
    },
    stop: () => {
      listener.close();
      for (const connection of connections) connection.close();
    },
  };
}

/**
 * Reads whole requests, one after the other.
 *
 * @param onBegin Called when the head of a request is there.
 * @param halves Whether any but the first counts as read with its head alone.
 */
async function* readRequests(
  connection: Deno.Conn,
  onBegin: () => void,
  halves: boolean,
): AsyncGenerator<void> {
  const decoder = new TextDecoder();
  const part = new Uint8Array(16 * 1024);
  let text = "";
  for (let isFirst = true;; isFirst = false) {
    const read = async () => {
      const count = await connection.read(part);
      if (count === null) throw new Error("Cannot read: the client closed the connection");
      text += decoder.decode(part.subarray(0, count));
    };
    while (!text.includes("\r\n\r\n")) await read();
    onBegin();
    const [head = ""] = text.split("\r\n\r\n", 1);
    const length = head.length + 4 + Number(/content-length: *(\d+)/i.exec(head)?.[1] ?? 0);
    while (text.length < length && (isFirst || !halves)) await read();
    text = text.slice(length);
    yield;
  }
}
