/** Runs every pgTAP file in this folder, each of its tests as a step. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { createTestDatabase } from "../support/database.ts";
import { installPgtap, readTap, runPgtap } from "../support/pgtap.ts";

const folder = new URL("./", import.meta.url);
const files = readdirSync(folder).filter((name) => name.endsWith(".sql"));

Deno.test("there are pgTAP files", () => assert.ok(files.length > 0));

Deno.test("a plan that does not fit what ran fails", () => {
  assert.deepEqual(readTap("1..1\nok 1 - a").map(({ passed }) => passed), [true]);
  assert.deepEqual(readTap("1..2\nok 1 - a").map(({ passed }) => passed), [true, false]);
  assert.deepEqual(readTap("ok 1 - a").map(({ passed }) => passed), [true, false]);
  assert.deepEqual(readTap("1..1\nnot ok 1 - a\n# why"), [
    { name: "a", passed: false, comment: "# why\n" },
  ]);
});

for (const file of files) {
  Deno.test(`${file} holds`, async (t) => {
    const database = await createTestDatabase();
    try {
      await installPgtap(database);
      const results = await runPgtap(database, readFileSync(new URL(file, folder), "utf8"));
      for (const { name, passed, comment } of results) {
        await t.step(name, () => assert.ok(passed, `${name}\n${comment}`));
      }
    } finally {
      await database.drop();
    }
  });
}

Deno.test("every rule of catalogue.sql fails for a schema that breaks it", async (t) => {
  const database = await createTestDatabase();
  try {
    await installPgtap(database);
    const text = (path: string) => readFileSync(new URL(path, folder), "utf8");
    const results = await runPgtap(
      database,
      text("broken/catalogue.sql") + text("catalogue.sql"),
    );
    for (const { name, passed } of results) {
      await t.step(`broken: ${name}`, () => assert.ok(!passed, "It passes for a broken schema"));
    }
  } finally {
    await database.drop();
  }
});
