/** Files from addresses that others choose: only the public internet is reached, within limits. */
import assert from "node:assert/strict";
import { download, type DownloadOptions } from "../../shared/download.ts";
import {
  type Connection,
  loadPublicTest,
  type Network,
  openInternet,
} from "../../shared/exchange.ts";
import { authority, certificate, certificateKey } from "../support/certificate.ts";

const hello = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/** A network whose one host answers so; how often it resolved, whom it connected to, what was asked. */
function aNetwork(
  answer: string | readonly (string | Uint8Array)[] = hello,
  resolve: () => readonly string[] | Promise<readonly string[]> = () => ["93.184.216.34"],
) {
  const seen = { resolved: 0, connected: [] as string[], asked: "", closed: 0 };
  const network: Network = {
    resolve: async () => {
      seen.resolved++;
      return await resolve();
    },
    connect: (address, port, host) => {
      seen.connected.push(`${address}:${port} ${host}`);
      return Promise.resolve(aConnection([answer].flat(), seen));
    },
  };
  return { network, seen };
}

function aConnection(
  answer: readonly (string | Uint8Array)[],
  seen: { asked: string; closed: number },
): Connection {
  const parts = answer.map((part) =>
    typeof part === "string" ? new TextEncoder().encode(part) : part
  );
  return {
    read: (buffer) => {
      const [part] = parts;
      if (part === undefined) return Promise.resolve(null);
      const length = Math.min(buffer.length, part.length);
      buffer.set(part.subarray(0, length));
      if (length < part.length) parts[0] = part.subarray(length);
      else parts.shift();
      return Promise.resolve(length);
    },
    write: (bytes) => {
      seen.asked += new TextDecoder().decode(bytes);
      return Promise.resolve(bytes.length);
    },
    close: () => void seen.closed++,
  };
}

const get = (
  { network }: { readonly network: Network },
  address = "https://calendar.example/a?b=c",
  options: Partial<DownloadOptions> = {},
) => download(address, { limitBytes: 1000, timeoutMs: 60_000, network, ...options });

const reasonOf = async (...asked: Parameters<typeof get>) => {
  const answer = await get(...asked);
  return answer.outcome === "failed" ? answer.reason : answer.outcome;
};

const textOf = async (...asked: Parameters<typeof get>) => {
  const answer = await get(...asked);
  return answer.outcome === "loaded" ? new TextDecoder().decode(answer.bytes) : answer;
};

Deno.test("only https is accepted, without a name or a password", async () => {
  for (
    const address of [
      ...[
        "http://calendar.example/",
        "ftp://calendar.example/",
        "file:///etc/passwd",
        "nothing",
        "",
      ],
      ...["https://me@calendar.example/", "https://me:word@calendar.example/", "data:text/plain,x"],
    ]
  ) {
    const { network, seen } = aNetwork();
    assert.equal(await reasonOf({ network }, address), "address_invalid", address);
    assert.equal(seen.resolved, 0);
  }
});

const notPublic = [
  ...["127.0.0.1", "127.255.255.254", "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255"],
  ...["192.168.0.1", "169.254.169.254", "100.64.0.1", "100.127.255.255", "0.0.0.0", "0.1.2.3"],
  ...["224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "192.0.0.1", "192.0.2.1"],
  ...["198.18.0.1", "198.51.100.1", "203.0.113.1", "::", "::1", "fe80::1", "fc00::1", "fd12::1"],
  ...["ff02::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:8.8.8.8", "64:ff9b::7f00:1"],
  ...["64:ff9b:1::1", "2002:7f00:1::", "2001:db8::1", "2001::1", "100::1", "fec0::1", "::8.8.8.8"],
  ...["4000::1", "fe80::1%eth0", "0177.0.0.1", "127.1", "2130706433", "0x7f000001", "host", ""],
];

Deno.test("an address of any other kind than a public one is not connected to", async () => {
  const isPublic = await loadPublicTest();
  for (const address of notPublic) {
    assert.equal(isPublic(address), false, address);
    const { network, seen } = aNetwork(hello, () => [address]);
    assert.equal(await reasonOf({ network }), "address_not_public", address);
    const mixed = aNetwork(hello, () => ["93.184.216.34", address]);
    assert.equal(await reasonOf(mixed), "address_not_public", address);
    assert.deepEqual([...seen.connected, ...mixed.seen.connected], []);
  }
  for (const address of ["93.184.216.34", "8.8.8.8", "2606:4700:4700::1111", "172.32.0.1"]) {
    assert.equal(isPublic(address), true, address);
    assert.equal(await reasonOf(aNetwork(hello, () => [address])), "loaded", address);
  }
});

Deno.test("an address in place of a host is checked like any other", async () => {
  const itself = (address: string) => download(address, { limitBytes: 10, timeoutMs: 60_000 });
  for (
    const host of [
      ...[
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "0177.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
      ],
      ...["169.254.169.254", "[fd00::1]", "10.0.0.1:8443"],
    ]
  ) {
    const answer = await itself(`https://${host}/`);
    assert.deepEqual(answer, { outcome: "failed", reason: "address_not_public" }, host);
  }
});

Deno.test("a name that resolves to something else later is connected to where it was checked", async () => {
  let asked = 0;
  const rebinding = aNetwork(hello, () => [asked++ === 0 ? "93.184.216.34" : "127.0.0.1"]);
  assert.equal(await textOf(rebinding), "hello");
  assert.deepEqual(rebinding.seen.connected, ["93.184.216.34:443 calendar.example"]);
  assert.equal(rebinding.seen.resolved, 1);
  assert.equal(await reasonOf(rebinding), "address_not_public");
  assert.equal(rebinding.seen.connected.length, 1);
});

Deno.test("the request names host, path and the known version, and nothing that was injected", async () => {
  const { network, seen } = aNetwork();
  await get({ network }, "https://Calendar.example:8443/a b?c=d\r\nX: 1#e", { etag: '"v1"' });
  const lines = seen.asked.split("\r\n");
  assert.equal(lines[0], "GET /a%20b?c=dX:%201 HTTP/1.1");
  assert.equal(lines[1], "Host: calendar.example:8443");
  assert.ok(lines.includes('If-None-Match: "v1"') && lines.includes("Accept-Encoding: identity"));
  assert.deepEqual(seen.connected, ["93.184.216.34:8443 calendar.example"]);
  assert.equal(seen.closed, 1);
  const other = aNetwork();
  await get(other, "https://calendar.example/", { etag: '"a"\r\nX: 1' });
  assert.doesNotMatch(other.seen.asked, /If-None|X: 1/);
});

Deno.test("an answer is read in each way that HTTP/1.1 frames it", async () => {
  const bytes = [...hello].map((character) => character);
  assert.equal(await textOf(aNetwork(bytes)), "hello", "byte by byte");
  const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nETag: W/"x"\r\n\r\n';
  const body = "3\r\nhel\r\n2;a=b\r\nlo\r\n0\r\n\r\n";
  assert.equal(await textOf(aNetwork([chunked, body])), "hello");
  assert.equal(await textOf(aNetwork([...(chunked + body)])), "hello", "byte by byte");
  assert.equal(await textOf(aNetwork(["HTTP/1.0 200 OK\r\n\r\nhel", "lo"])), "hello");
  assert.equal(await textOf(aNetwork(["HTTP/1.1 103 Early Hints\r\n\r\n", hello])), "hello");
  const loaded = await get(aNetwork([chunked, body]));
  assert.equal(loaded.outcome === "loaded" && loaded.etag, 'W/"x"');
  const same = aNetwork("HTTP/1.1 304 Not Modified\r\n\r\n");
  assert.equal(await reasonOf(same, undefined, { etag: '"x"' }), "unchanged");
});

Deno.test("a redirect, a refusal, and a malformed, cut off or too large answer are failures", async () => {
  const ok = "HTTP/1.1 200 OK\r\n";
  const answers: readonly (readonly [string, string])[] = [
    ["HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1/\r\n\r\n", "moved"],
    ["HTTP/1.1 304 Not Modified\r\n\r\n", "moved"],
    ["HTTP/1.1 404 Not Found\r\n\r\n", "refused"],
    ["HTTP/1.1 500 No\r\n\r\n", "refused"],
    ["HTTP/2 200\r\n\r\n", "answer_malformed"],
    ["nothing", "answer_malformed"],
    ["", "answer_malformed"],
    [`${ok}Content-Length: 6\r\n\r\nhello`, "answer_malformed"],
    [`${ok}Content-Length: 5, 5\r\n\r\nhello`, "answer_malformed"],
    [`${ok}Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello`, "answer_malformed"],
    [`${ok}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`, "answer_malformed"],
    [`${ok}Transfer-Encoding: chunked\r\n\r\n5\r\nhel`, "answer_malformed"],
    [`${ok}Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n`, "answer_malformed"],
    [`${ok}Transfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n`, "answer_malformed"],
    [`${ok}Transfer-Encoding: chunked\r\n\r\n${"f".repeat(9)}\r\n`, "answer_malformed"],
    [`${ok}Transfer-Encoding: chunked\r\n\r\nfffffff\r\n`, "too_large"],
    [`${ok}Content-Length: 1001\r\n\r\n`, "too_large"],
    [`${ok}\r\n${"x".repeat(1001)}`, "too_large"],
    [`${ok}Transfer-Encoding: chunked\r\n\r\n${"1\r\nx\r\n".repeat(1001)}`, "too_large"],
    [`${ok}${"X: y\r\n".repeat(10_000)}\r\n`, "answer_malformed"],
    ["HTTP/1.1 100 Continue\r\n\r\n".repeat(9), "answer_malformed"],
  ];
  for (const [answer, reason] of answers) {
    const { network, seen } = aNetwork(answer);
    assert.equal(await reasonOf({ network }), reason, answer.slice(0, 80));
    assert.equal(seen.closed, 1, "the connection stays open");
  }
  const exact = `${ok}Content-Length: 1000\r\n\r\n${"x".repeat(1000)}`;
  assert.equal(await reasonOf(aNetwork(exact)), "loaded");
});

Deno.test("a host that is unknown, away or silent is a failure, and its connection is closed", async () => {
  const unknown = aNetwork(hello, () => Promise.reject(new Error("no such name")));
  assert.equal(await reasonOf(unknown), "host_unknown");
  assert.equal(await reasonOf(aNetwork(hello, () => [])), "host_unknown");
  const away: Network = {
    resolve: () => Promise.resolve(["93.184.216.34", "8.8.8.8"]),
    connect: () => Promise.reject(new Error("refused")),
  };
  assert.equal(await reasonOf({ network: away }), "host_unreachable");
  const never = new Promise<never>(() => {});
  const slow = { timeoutMs: 1 };
  const { network } = aNetwork(hello, () => never);
  assert.equal(await reasonOf({ network }, undefined, slow), "too_slow");
  let closed = 0;
  const silent: Network = {
    resolve: () => Promise.resolve(["8.8.8.8"]),
    connect: () =>
      Promise.resolve({
        read: () => never,
        write: (bytes) => Promise.resolve(bytes.length),
        close: () => void closed++,
      }),
  };
  assert.equal(await reasonOf({ network: silent }, undefined, { timeoutMs: 20 }), "too_slow");
  // Where the machine is so busy that time ran out before the connection, it is closed a moment later.
  while (closed === 0) await new Promise((resolve) => setTimeout(resolve));
});

Deno.test("after the deadline no other address is connected to", async () => {
  const connected: string[] = [];
  let refuse = () => {};
  const network: Network = {
    resolve: () => Promise.resolve(["8.8.8.8", "8.8.4.4"]),
    connect: (address) => {
      connected.push(address);
      return new Promise((_resolve, reject) => refuse = () => reject(new Error("refused")));
    },
  };
  while (connected.length === 0) {
    // Where the machine is so busy that time ran out before the connection, it is tried again.
    assert.equal(await reasonOf({ network }, undefined, { timeoutMs: 20 }), "too_slow");
  }
  refuse();
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual(connected, ["8.8.8.8"]);
});

Deno.test("over TLS the address that was checked is reached, and must show the host's certificate", async () => {
  const paths: string[] = [];
  const server = Deno.serve({
    ...{ hostname: "127.0.0.1", port: 0, onListen: () => {} },
    ...{ cert: certificate, key: certificateKey },
  }, (request) => {
    const { pathname, host } = new URL(request.url);
    paths.push(`${host.split(":")[0]}${pathname}`);
    return new Response("x".repeat(5000), { headers: { etag: '"v"' } });
  });
  const { connect } = openInternet([authority]);
  const network: Network = {
    resolve: () => Promise.resolve(["93.184.216.34"]),
    // The checked address; only that it leads here is different.
    connect: (address, port, host) => {
      assert.equal(address, "93.184.216.34");
      return connect("127.0.0.1", port, host);
    },
  };
  const from = async (host: string) => {
    const address = `https://${host}:${server.addr.port}/c.ics`;
    const answer = await get({ network }, address, { limitBytes: 10_000 });
    return answer.outcome === "loaded" ? answer.bytes.length : answer;
  };
  assert.equal(await from("calendar.test"), 5000);
  assert.deepEqual(await from("other.test"), { outcome: "failed", reason: "host_unreachable" });
  const unsigned = { ...network, connect: openInternet().connect };
  const strange = {
    ...unsigned,
    connect: (_: string, port: number, host: string) => unsigned.connect("127.0.0.1", port, host),
  };
  const address = `https://calendar.test:${server.addr.port}/`;
  assert.equal(await reasonOf({ network: strange }, address), "host_unreachable");
  assert.deepEqual(paths, ["calendar.test/c.ics"]);
  await server.shutdown();
});
