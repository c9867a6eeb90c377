/**
 * The parser and the planner alone: what a URL means, and what may become part of a statement.
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Catalogue } from "../../supabase/local/rest/catalogue.ts";
import { RestError } from "../../supabase/local/rest/errors.ts";
import { planRequest } from "../../supabase/local/rest/planner.ts";
import { readQuery } from "../../supabase/local/rest/query.ts";
import { readRequest, type RestRequest } from "../../supabase/local/rest/request.ts";
import {
  bodySlot,
  identifier,
  join,
  sql,
  statementOf,
  value,
} from "../../supabase/local/rest/sql.ts";

const table = {
  schema: "public",
  name: "rooms",
  isView: false,
  key: ["id"],
  columns: { id: "integer", code: "text" },
};
const routine = {
  schema: "public",
  name: "greet",
  parameters: [{ name: "name", type: "text", isRequired: true }],
  returnsSet: false,
  returnsComposite: false,
  returnsVoid: false,
  isVariadic: false,
  resultName: "greet",
  volatility: "s",
  settings: [],
} as const;
const catalogue: Catalogue = {
  tables: new Map([["public.rooms", table]]),
  routines: new Map([["public.greet", [routine]]]),
  roleSettings: new Map(),
};

function request(
  method: string,
  url: string,
  { headers = {}, body = "" }: { headers?: Record<string, string>; body?: string | null } = {},
): RestRequest {
  const [path = "", search = ""] = url.split("?");
  return readRequest({ method, path, search, headers: new Headers(headers), body }, ["public"]);
}

function refusal(run: () => unknown): string | null {
  try {
    run();
  } catch (error) {
    if (error instanceof RestError) return error.body.code;
    throw error;
  }
  return null;
}

Deno.test("a query string is read into columns, filters, order, limit", () => {
  const query = readQuery(
    "select=code,n:%22id%22&id=not.in.(1,%22a,b%22)&order=id.desc.nullslast&limit=2",
    false,
  );
  assert.deepEqual(query.select.map(({ name, alias }) => [name, alias]), [["code", null], [
    "id",
    "n",
  ]]);
  assert.deepEqual(query.filters, [
    { column: "id", isNegated: true, operator: "= any", operand: '{"1","a,b"}' },
  ]);
  assert.deepEqual(query.order, [{ name: "id", alias: null, order: " desc nulls last" }]);
  assert.deepEqual([query.limit, query.offset], [2, 0]);
});

Deno.test("in a GET call of a function, anything but a condition is an argument", () => {
  const query = readQuery("name=Ada&level=eq.1&word=foo.bar", true);
  assert.deepEqual([...query.args], [["name", "Ada"], ["word", "foo.bar"]]);
  assert.deepEqual(query.filters.map(({ column }) => column), ["level"]);
});

Deno.test("requests that are not implemented are refused", () => {
  const urls = [
    "select=room_labels(label)",
    "select=...visits(id)",
    "select=id::text",
    "select=extra->via",
    "select=id.sum()",
    "select=",
    "or=(id.eq.1)",
    "and=(id.eq.1)",
    "not.or=(id.eq.1)",
    "visits.id=eq.1",
    "id=fts.x",
    "id=eq(any).{1}",
    "id=is.maybe",
    "id=in.1",
    "id=in.(1",
    "id=1",
    "id=eq",
    "id=not.1",
    "order=id.up",
    "order=id,",
    "limit=many",
    "limit=-1",
    "limit=1&limit=2",
    "offset=-1",
    "columns=",
    "on_conflict=id",
    "id=eq.1;code=eq.A",
    "id=eq.%ff",
    "id=eq.%zz",
    "id",
  ];
  for (const search of urls) {
    assert.equal(refusal(() => request("GET", `/rooms?${search}`)), "PGRST127", search);
  }
  const headers: Record<string, string>[] = [
    { prefer: "resolution=merge-duplicates" },
    { prefer: "count=planned" },
    { range: "0-1" },
    { prefer: "missing=default" },
    { prefer: "timezone=UTC" },
    { prefer: "handling=strict" },
    { prefer: "max-affected=1" },
    { prefer: "return=headers-only" },
    { accept: "text/csv" },
    { accept: "application/json;q=0.9, text/html" },
    { accept: "" },
    { accept: "application/vnd.pgrst.plan+json" },
    { accept: "application/geo+json" },
    { accept: "application/vnd.pgrst.object+json;nulls=stripped" },
  ];
  for (const each of headers) {
    const plan = () => planRequest(request("GET", "/rooms", { headers: each }), catalogue, 1000);
    assert.equal(refusal(plan), "PGRST127", JSON.stringify(each));
  }
  for (
    const type of [
      "text/csv",
      "text/plain",
      "application/octet-stream",
      "application/x-www-form-urlencoded",
      "text/json",
    ]
  ) {
    const send = () => request("POST", "/rooms", { headers: { "content-type": type }, body: "{}" });
    assert.equal(refusal(send), "PGRST127", type);
  }
  assert.equal(refusal(() => request("PUT", "/rooms", { body: "{}" })), "PGRST127");
  assert.equal(refusal(() => request("OPTIONS", "/rooms")), "PGRST127");
  assert.equal(refusal(() => request("GET", "/")), "PGRST127");
});

Deno.test("the root tells what is served and what is not", () => {
  assert.throws(() => request("GET", "/"), (thrown: RestError) => {
    assert.match(thrown.body.hint ?? "", /\/rpc\/NAME.*embedding.*upsert/);
    return true;
  });
});

Deno.test("numbers its parameters in order, wherever fragments are put", () => {
  const part = sql`a = ${value("x")} and b = ${value(bodySlot)}`;
  const whole = sql`select ${identifier('odd"name')} where ${
    join([part, sql`c = ${value(null)}`], " or ")
  }`;
  assert.deepEqual(statementOf(whole), {
    text: 'select "odd""name" where a = $1 and b = $2 or c = $3',
    values: ["x", bodySlot, null],
  });
});

Deno.test("a request is planned again unless only the values in its body differ", () => {
  const plan = (body: string, url = "/rooms", headers = {}) =>
    planRequest(request("POST", url, { headers, body }), catalogue, 1000);
  const first = plan('{"code":"a"}');
  assert.equal(plan('{"code":"b"}'), first);
  const others = [
    plan('[{"code":"a"}]'),
    plan('{"id":1}'),
    plan('{"code":"a"}', "/rooms?columns=id"),
    plan('{"code":"a"}', "/rooms", { prefer: "return=representation" }),
    plan('{"code":"a"}', "/rooms", { accept: "application/vnd.pgrst.object+json" }),
    planRequest(request("POST", "/rooms", { body: '{"code":"a"}' }), { ...catalogue }, 1000),
  ];
  assert.equal(new Set([first, ...others]).size, 7);
});

/** Characters that could end a name, a literal or a comment. */
const hostile = fc.array(
  fc.constantFrom(..."'\"\\;-/*$()[]{},.: \n\tx1é😀", "--", "/*", "$1", "';drop table rooms;--"),
  { minLength: 1, maxLength: 8 },
).map((parts) => parts.join(""));

Deno.test("a caller's values reach a statement only as parameters", () => {
  fc.assert(fc.property(hostile, hostile, (first, second) => {
    const textOf = (operand: string, argument: string) => {
      const query = `code=eq.${encodeURIComponent(operand)}&limit=3`;
      return [
        planRequest(request("GET", `/rooms?${query}`), catalogue, 1000),
        planRequest(
          request("DELETE", `/rooms?code=like.${encodeURIComponent(operand)}`),
          catalogue,
          null,
        ),
        planRequest(
          request("GET", `/rpc/greet?name=${encodeURIComponent(`x${argument}`)}`),
          catalogue,
          5,
        ),
        planRequest(
          request("POST", "/rpc/greet", { body: JSON.stringify({ name: argument }) }),
          catalogue,
          5,
        ),
        planRequest(
          request("PATCH", "/rooms?id=eq.1", { body: JSON.stringify({ code: operand }) }),
          catalogue,
          5,
        ),
      ].map(({ statement }) => statement.text);
    };
    assert.deepEqual(textOf(first, second), textOf("plain", "plain"));
  }));
});

Deno.test("a caller's names reach a statement only quoted", () => {
  const textOf = (name: string) => {
    const quoted = `%22${encodeURIComponent(name)}%22`;
    const url = `/rooms?select=a:${quoted}&${quoted}=eq.1&order=${quoted}`;
    const { text } = planRequest(request("GET", url), catalogue, 1000).statement;
    return text.replaceAll(/"(?:[^"]|"")*"/g, "NAME");
  };
  fc.assert(fc.property(hostile, (name) => {
    // A name with a quote, a backslash or a comma is refused earlier.
    const code = refusal(() => assert.equal(textOf(name), textOf("plain")));
    if (code !== null) assert.equal(code, "PGRST127");
  }));
  assert.equal(refusal(() => textOf("*")), "PGRST127");
  assert.equal(statementOf(identifier('a"; drop table b; --')).text, '"a""; drop table b; --"');
});
