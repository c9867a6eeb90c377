/** A released migration never changes, and a later one leaves the last release's functions working. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import {
  findBreaches,
  findUnreleased,
  readReleases,
  writeRelease,
} from "../../supabase/tasks/release/migrations.ts";
import { readMigrations } from "../support/migrations.ts";

const first = { file: "20260101000000_first.sql", text: "create table public.a (id int);" };
const second = { file: "20260102000000_second.sql", text: "create table public.b (id int);" };
const releases = readReleases(
  `# A list.\n${writeRelease("0.1.0", [first])}${writeRelease("0.2.0", [second])}`,
);
const released = [first, second];
const wait = "set local lock_timeout = '2s';\n";

/** What is wrong with one more migration. */
const breachesOf = (text: string, file = "20260103000000_third.sql") =>
  findBreaches(releases, [...released, { file, text }].sort((a, b) => a.file < b.file ? -1 : 1));

Deno.test("the migrations of this checkout fit the releases", () => {
  const root = new URL("../../", import.meta.url);
  const own = readReleases(readFileSync(new URL("supabase/released.sha256", root), "utf8"));
  assert.deepEqual(findBreaches(own, readMigrations()), []);
  const changelog = readFileSync(new URL("CHANGELOG.md", root), "utf8");
  const headings = [...changelog.matchAll(/^## (\d+\.\d+\.\d+) - \d{4}-\d{2}-\d{2}$/gm)]
    .map(([, version]) => version);
  assert.deepEqual(headings, own.map(({ version }) => version).reverse());
});

Deno.test("a list of releases is read as it is written", () => {
  assert.deepEqual(releases.map(({ version }) => version), ["0.1.0", "0.2.0"]);
  assert.deepEqual(findBreaches(releases, released), []);
  assert.deepEqual(findUnreleased(releases, [...released, { file: "9.sql", text: "" }]), [{
    file: "9.sql",
    text: "",
  }]);
  assert.throws(() => readReleases("# v0.1.0\nabc  x.sql"), /line 2 is neither/);
  assert.throws(() => readReleases(`${"a".repeat(64)}  x.sql`), /line 1 is neither/);
});

Deno.test("a released migration that changed or is missing is named", () => {
  const changed = { ...first, text: `${first.text} ` };
  assert.deepEqual(findBreaches(releases, [changed]), [
    "20260101000000_first.sql of v0.1.0 has changed: bring it back, and write the change as a new " +
    "migration",
    "20260102000000_second.sql of v0.2.0 is missing: bring it back",
  ]);
  assert.deepEqual(findBreaches([], [changed]), [], "before the first release");
});

Deno.test("a new migration comes after the released ones, and waits for locks only briefly", () => {
  assert.deepEqual(breachesOf(`${wait}alter table public.a add column name text;`), []);
  assert.match(breachesOf(wait, "20260101120000_between.sql").join(), /sorts before 20260102/);
  assert.match(breachesOf("alter table public.a add column n int;").join(), /does not begin with/);
});

Deno.test("a new migration alters one existing table", () => {
  const create =
    "create table public.c (id int);\nalter table public.c enable row level security;\n";
  const alter = (name: string) => `alter table public.${name} add column later int;\n`;
  assert.deepEqual(breachesOf(wait + create + alter("a") + alter("a")), []);
  assert.match(
    breachesOf(wait + create + alter("a") + alter("b")).join(),
    /third\.sql alters public\.a and public\.b: give each table a migration of its own/,
  );
});

Deno.test("a new migration sets the default of a column after it has added the column", () => {
  const add = "alter table public.a add column later";
  const harmless = [
    `${add} int;\nalter table public.a alter column later set default 3;`,
    `${add} int check (later in (1, 2)), alter column later set default 1;`,
    "create table public.c (id int default 3);",
  ];
  for (const sql of harmless) assert.deepEqual(breachesOf(wait + sql), [], sql);
  for (const sql of [`${add} int default 3;`, `${add} numeric(4, 2) not null DEFAULT 0;`]) {
    assert.match(breachesOf(wait + sql).join(), /third\.sql adds later with a default, which/, sql);
  }
});

Deno.test("a new migration adds, and removes only what the last release does not use", () => {
  const harmless = [
    "alter table public.a drop constraint a_check;",
    "alter table public.a alter column id drop default;",
    "drop index public.a_name;",
    "drop function if exists public.f(int);\ncreate function public.f(int, text default '') returns int",
    "create function public.f() returns void language sql as $$ drop table public.a $$;",
    "create function public.g(p_call jsonb) returns int;\ncreate function public.h() returns int;\n" +
    "revoke execute on function public.g(jsonb), public.h from public, service_role;",
    "create table public.c (id int);\nrevoke all on public.c from anon;",
    "-- drop table public.a;",
  ];
  for (const sql of harmless) assert.deepEqual(breachesOf(wait + sql), [], sql);
  const removing = [
    "drop table public.a;",
    "drop function public.f(int);",
    "drop view public.v;",
    "alter table public.a\n  drop column name;",
    "alter table public.a drop name;",
    "alter table public.a rename column name to title;",
    "alter function public.f() rename to g;",
    "alter table public.a alter column id type bigint;",
    "alter table public.a alter name set not null;",
    "revoke execute on function public.f() from service_role;",
    "create function public.g() returns int;\nrevoke execute on function public.g, public.f from anon;",
    "create or replace function public.f() returns int;\nrevoke execute on function public.f from anon;",
    "create function public.g() returns int;\nrevoke admin from service_role;",
    "create function public.g() returns int;\nrevoke all on all functions in schema public from anon;",
  ];
  for (const sql of removing) {
    assert.match(breachesOf(wait + sql).join(), /third\.sql removes something/, sql);
    assert.deepEqual(breachesOf(`${wait}-- contract: v0.2.0\n${sql}`), [], sql);
    assert.match(
      breachesOf(`${wait}-- contract: v0.3.0\n${sql}`).join(),
      /what v0\.3\.0 no longer uses, which is not released/,
      sql,
    );
  }
});
