/**
 * A server that keeps connections open although the client asked to close them, and drops them when
 * they are reused.
 *
 * @module
 */

/** When a reused connection is dropped. */
export type Drop = "after_request" | "in_request" | "before_request";

/** A running server. */
export interface StubbornServer {
  readonly url: string;
  /** How many requests started to arrive. */
  readonly requestCount: number;
  stop(): void;
}

/**
 * Starts a server on the loopback interface. The first request of each connection gets `answer`. The
 * connection is dropped after the second request was read, in the middle of it, or shortly after the
 * first answer.
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
 * Reads whole requests, one after another.
 *
 * @param onBegin Called when the head of a request has arrived.
 * @param halves Whether every request but the first counts as read after its head.
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
