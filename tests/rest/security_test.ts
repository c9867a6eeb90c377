/**
 * What nobody may get past: keys, tokens, the parser. The fuzz test sends what no client would send.
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Gateway } from "../../supabase/local/rest/gateway.ts";
import { corpusSecret, signToken } from "./support/corpus.ts";
import { withStage } from "./support/stage.ts";

const publishableKey = "sb_publishable_for_tests";
const secretKey = "sb_secret_for_tests";

const whoami = async (gateway: Gateway, headers: Record<string, string>, base = "") => {
  const answer = await gateway.fetch(
    new Request(`http://gateway${base}/rpc/whoami`, {
      method: "POST",
      body: "{}",
      headers: { "content-type": "application/json", ...headers },
    }),
  );
  return { status: answer.status, body: await answer.json() };
};

Deno.test(
  "with keys given, only a known key or a valid token of ours gets in",
  async () => {
    await withStage({ publishableKey, secretKey, basePath: "/rest/v1" }, async ({ gateway }) => {
      const ask = (headers: Record<string, string>) => whoami(gateway, headers, "/rest/v1");
      const token = (role: string) => signToken({ role }, corpusSecret);
      assert.equal((await ask({})).status, 401);
      assert.equal((await ask({ apikey: "sb_secret_guessed" })).status, 401);
      assert.equal((await ask({ apikey: "" })).status, 401);
      assert.equal(
        (await ask({ apikey: signToken({ role: "service_role" }, "another") })).status,
        401,
      );
      assert.equal((await ask({ authorization: `Bearer ${secretKey}` })).status, 401);
      const roleOf = async (headers: Record<string, string>) => (await ask(headers)).body.user;
      assert.equal(await roleOf({ apikey: publishableKey }), "anon");
      assert.equal(await roleOf({ apikey: secretKey }), "service_role");
      assert.equal(
        await roleOf({ apikey: secretKey, authorization: `Bearer ${secretKey}` }),
        "service_role",
      );
      assert.equal(
        await roleOf({ apikey: publishableKey, authorization: `Bearer ${publishableKey}` }),
        "anon",
      );
      assert.equal(await roleOf({ apikey: token("anon") }), "anon");
      assert.equal(await roleOf({ apikey: token("service_role") }), "service_role");
      const user = { apikey: publishableKey, authorization: `Bearer ${token("authenticated")}` };
      assert.equal(await roleOf(user), "authenticated");
      const forged = `Bearer ${signToken({ role: "service_role" }, "another")}`;
      assert.equal((await ask({ apikey: publishableKey, authorization: forged })).status, 401);
    });
  },
);

Deno.test("the database never sees the base path", async () => {
  await withStage({ basePath: "/rest/v1" }, async ({ gateway }) => {
    const answer = await gateway.fetch(
      new Request("http://gateway/rest/v1/rpc/request_line", {
        method: "POST",
        body: "{}",
        headers: { "content-type": "application/json" },
      }),
    );
    assert.deepEqual(await answer.json(), { path: "/rpc/request_line", method: "POST" });
  });
});

Deno.test(
  "a token that is not ours, not valid yet or no longer valid is refused with the reason",
  async () => {
    await withStage({}, async ({ gateway }) => {
      const now = Math.floor(Date.now() / 1000);
      const role = "service_role";
      const valid = signToken({ role }, corpusSecret);
      const [head, payload, signature] = valid.split(".");
      const cases: [string, string][] = [
        [signToken({ role }, corpusSecret, "none"), "PGRST301"],
        [signToken({ role }, corpusSecret, "HS512"), "PGRST301"],
        [signToken({ role }, "wrong"), "PGRST301"],
        [`${head}.${payload}.`, "PGRST301"],
        [
          `${head}.${btoa('{"role":"service_role","x":1}').replace(/=+$/, "")}.${signature}`,
          "PGRST301",
        ],
        ["a.b.c", "PGRST301"],
        ["..", "PGRST301"],
        [signToken({ role, exp: now - 31 }, corpusSecret), "PGRST303"],
        [signToken({ role, nbf: now + 60 }, corpusSecret), "PGRST303"],
        [signToken({ role, iat: now + 60 }, corpusSecret), "PGRST303"],
        [signToken({ role, exp: "soon" }, corpusSecret), "PGRST303"],
        [signToken({ role, aud: 7 }, corpusSecret), "PGRST303"],
        [signToken(["service_role"], corpusSecret), "PGRST303"],
      ];
      for (const [token, code] of cases) {
        const { status, body } = await whoami(gateway, { authorization: `Bearer ${token}` });
        assert.deepEqual([status, body.code], [401, code], token);
      }
      const expiring = signToken({ role, exp: now + 3600 }, corpusSecret);
      assert.equal(
        (await whoami(gateway, { authorization: `Bearer ${expiring}` })).body.user,
        role,
      );
    });
  },
);

const mark = fc.constantFrom(..."'\"\\;,.:()*-> $%_&=?/!{}[]~|\0\n\té陳😀".split(""));
const word = fc.constantFrom(
  "rooms",
  "visits",
  "rpc",
  "rooms_on",
  "take_json",
  "echo_types",
  "id",
  "code",
  "extra",
  "select",
  "order",
  "limit",
  "offset",
  "or",
  "and",
  "not",
  "eq",
  "in",
  "is",
  "cs",
  "asc",
  "nullsfirst",
  "null",
  "1",
  "-1",
  "pg_catalog",
  "--",
  "/*",
  "';drop table rooms;--",
  "count()",
  "::int",
  "->>",
  "any",
);
const scrap = fc.array(
  fc.oneof({ weight: 3, arbitrary: word }, mark, fc.string({ maxLength: 4 })),
  {
    maxLength: 6,
  },
).map((parts) => parts.join(""));
const param = fc.tuple(
  fc.oneof(
    fc.constantFrom("select", "order", "limit", "offset", "columns", "id", "code", "extra->>via"),
    fc.stringMatching(/^[^"\\]{1,6}$/).map((name) => `"${name}"`),
    scrap,
  ),
  fc.oneof(
    fc.tuple(fc.constantFrom("eq.", "neq.", "is.", "like.", "not.eq.", "match.", "cs.", ""), scrap)
      .map((parts) => parts.join("")),
    fc.array(fc.stringMatching(/^[\p{L}'"\\ -]{0,6}$/u), { maxLength: 3 })
      .map((items) => `in.(${items.map((item) => `"${item.replaceAll(/["\\]/g, "\\$&")}"`)})`),
    fc.constantFrom("is.null", "id", "code,id", "code.desc.nullslast", "*", "2", "0"),
    scrap,
  ),
);
const path = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      "/rooms",
      "/visits",
      "/rpc/rooms_on",
      "/rpc/echo_types",
      "/rpc/take_json",
    ),
  },
  scrap.map((part) => `/${encodeURIComponent(part.toWellFormed())}`),
);
const attack = fc.record({
  method: fc.constantFrom("GET", "HEAD", "POST", "PATCH", "DELETE", "PUT", "OPTIONS"),
  path,
  params: fc.array(param, { maxLength: 4 }),
  raw: fc.boolean(),
  accept: fc.constantFrom(
    "*/*",
    "application/json",
    "application/vnd.pgrst.object+json",
    "text/csv",
    "x",
    "",
  ),
  prefer: fc.constantFrom(
    "",
    "count=exact",
    "return=representation",
    "return=headers-only",
    "missing=default, return=representation",
    "handling=strict, max-affected=1",
    "timezone=x'y",
  ),
  body: fc.oneof(
    fc.json(),
    scrap,
    fc.constant('{"code":"x"}'),
    fc.constant('[{"code":"x"},{"floor":1}]'),
  ),
});

Deno.test(
  "no request makes a broken statement or an error that PostgREST would not give",
  async () => {
    await withStage({}, async ({ gateway }) => {
      let answered = 0;
      const service = `Bearer ${signToken({ role: "service_role" }, corpusSecret)}`;
      await fc.assert(
        fc.asyncProperty(attack, async ({ method, path, params, raw, accept, prefer, body }) => {
          const encode = (text: string) =>
            raw ? text.replace(/[#\s]/g, "") : encodeURIComponent(text.toWellFormed());
          const query = params.map(([name, item]) => `${encode(name)}=${encode(item)}`).join("&");
          const headers = {
            authorization: service,
            accept,
            prefer,
            "content-type": "application/json",
          };
          const withBody = method === "POST" || method === "PATCH" || method === "PUT";
          const answer = await gateway.fetch(
            new Request(`http://gateway${path}?${query}`, {
              method,
              headers,
              ...(withBody ? { body } : {}),
            }),
          );
          const text = await answer.text();
          if (!answer.headers.get("proxy-status")?.endsWith("PGRST127")) answered++;
          // 54xxx are PostgreSQL's own limits, which PostgREST answers with 500 too.
          if (answer.status >= 500) assert.match(text, /"code":"54/, text);
          assert.doesNotMatch(text, /"code":"42601"/, text);
          assert.doesNotMatch(text, /sb_secret|corpus-secret/);
        }),
        { numRuns: 3000 },
      );
      // Otherwise only refusals would have been tested.
      assert.ok(answered > 600, `only ${answered} were not refused`);
    });
  },
);
