/** Each migration is one capability that builds on earlier ones. */
import assert from "node:assert/strict";
import {
  type Migration,
  namesCreated,
  namesUsed,
  readFunctions,
  readMigrations,
} from "../support/migrations.ts";

/**
 * Where a migration uses a table or function that only a later one creates, or that none creates.
 * PostgreSQL does not report this: the names in a PL/pgSQL body are resolved when it runs.
 */
function findLateUses(migrations: readonly Migration[]): string[] {
  const known = new Set<string>();
  return migrations.flatMap(({ file, text }) => {
    for (const name of namesCreated(text)) known.add(name);
    return [...namesUsed(text)].filter((name) => !known.has(name)).map((name) =>
      `${file} uses ${name}`
    );
  });
}

Deno.test("a migration uses only itself and earlier ones", () => {
  const migrations = readMigrations();
  assert.ok(migrations.length > 10);
  assert.deepEqual(findLateUses(migrations), []);
});

Deno.test("a use of a later migration is found, inside a body and outside", () => {
  const table = { file: "1.sql", text: "create table public.late (id uuid);" };
  const body = {
    file: "2.sql",
    text:
      "create function private.early() returns void\nas $$ select from public.late /* public.no */ $$;",
  };
  const rule = { file: "3.sql", text: "insert into private.rules values ('public.late');" };
  assert.deepEqual(findLateUses([table, body]), []);
  assert.deepEqual(findLateUses([body, rule, table]), [
    "2.sql uses public.late",
    "3.sql uses private.rules",
    "3.sql uses public.late",
  ]);
});

/** In lines of the body. A longer function has a header that says why. */
const longest = 80;

Deno.test("a function that is longer than its reader can follow says why", () => {
  const functions = readMigrations().flatMap(({ text }) => readFunctions(text));
  const newest = [...new Map(functions.map((one) => [one.name, one])).values()];
  const long = newest.filter(({ body }) => body.trim().split("\n").length > longest);
  assert.deepEqual(
    long.filter(({ header }) => !/\bLonger\b/.test(header)).map((one) => one.name),
    [],
  );
});
