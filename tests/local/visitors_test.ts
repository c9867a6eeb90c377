/** The local stack answers programs on this machine and its own pages, and no other pages. */
import assert from "node:assert/strict";
import { isPublicHost, refuseVisit } from "../../supabase/local/visitors.ts";

const publicHost = "demo.example.org";

function refuse(pathname: string, headers: Record<string, string>, name?: string) {
  return refuseVisit({ pathname, header: (header) => headers[header] }, name);
}

Deno.test("programs on this machine and the stack's own pages are answered", () => {
  for (const host of ["127.0.0.1:8000", "localhost:8000", "[::1]:8000", "localhost"]) {
    assert.equal(refuse("/local/sms", { host }), undefined, host);
    assert.equal(refuse("/rest/v1/rpc/x", { host, origin: `http://${host}` }), undefined, host);
    const fromLink = { host, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" };
    assert.equal(refuse("/", fromLink), undefined, host);
  }
});

Deno.test("a web page reaches nothing: not by its origin, not by a rebound host name", () => {
  const host = "127.0.0.1:8000";
  const strangers: Record<string, string>[] = [
    { host, origin: "https://attacker.example" },
    { host, origin: "null" },
    { host, origin: "http://127.0.0.1:9000" },
    { host, origin: "https://127.0.0.1:8000" },
    { host, "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors" },
    { host: "attacker.example:8000" },
    { host: "attacker.example", "x-forwarded-host": "127.0.0.1" },
    { host: "127.0.0.1.attacker.example" },
    { host: "localhost.attacker.example:8000", origin: "http://localhost.attacker.example:8000" },
    { host, "x-forwarded-host": "attacker.example" },
    { host: publicHost },
    { host: "" },
    { host: "127.0.0.1@attacker.example" },
    {},
  ];
  for (const headers of strangers) {
    for (const path of ["/", "/local/sms", "/rest/v1/appointments", "/functions/v1/hold-slot"]) {
      assert.ok(refuse(path, headers), `${path} ${JSON.stringify(headers)}`);
    }
  }
});

Deno.test("a public host name reaches the functions and nothing else", () => {
  for (
    const headers of [{ host: publicHost }, {
      host: "127.0.0.1:8000",
      "x-forwarded-host": publicHost,
    }]
  ) {
    assert.equal(refuse("/functions/v1/hold-slot", headers, publicHost), undefined);
    for (const path of ["/", "/local/sms", "/local/faults", "/rest/v1/x", "/functions/v1"]) {
      assert.match(refuse(path, headers, publicHost) ?? "", /functions\/v1/, path);
    }
  }
  assert.equal(isPublicHost(publicHost), true);
  for (
    const wrong of ["https://demo.example.org", "demo.example.org:443", "localhost", "", "a b"]
  ) {
    assert.equal(isPublicHost(wrong), false, wrong);
  }
});
