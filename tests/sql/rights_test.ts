/** The committed list says who may do what, whatever a project grants by default. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import postgres from "postgres";
import { withConnection } from "../../supabase/local/connection.ts";
import { migrate } from "../../supabase/local/migrations.ts";
import { grantingDefaults, migrations, withDatabase } from "../support/database.ts";
import { atLength } from "../support/length.ts";
import { listMutants, tryMutants } from "../support/mutants.ts";
import { compareRights, describeRights, rightsFile } from "../../supabase/tasks/doctor/rights.ts";

const entries = new URL("../../shared/database/", import.meta.url);
const expected = readFileSync(rightsFile, "utf8").trim().split("\n");

for (const isGranting of [true, false]) {
  const project = isGranting ? "that grants everything by default" : "that grants nothing";
  Deno.test(
    `the rights in a project ${project} are those in rights.txt`,
    () =>
      withDatabase(async ({ admin, url }) => {
        const name = `rights_${crypto.randomUUID().replaceAll("-", "")}`;
        await admin.unsafe(`create database ${name} owner postgres`);
        const urlOf = (role: "postgres" | "supabase_admin") => {
          const address = new URL(url(role));
          address.pathname = name;
          return address.href;
        };
        const sql = postgres(urlOf("supabase_admin"), { max: 1, onnotice: () => {} });
        try {
          if (isGranting) await sql.unsafe(grantingDefaults);
          await migrate(urlOf("postgres"), migrations);
          assert.deepEqual(
            compareRights(expected, await describeRights(sql)),
            { missing: [], surplus: [] },
            "If it is meant: deno task rights, and commit the file with the migration",
          );
        } finally {
          await sql.end();
          await admin.unsafe(`drop database ${name} with (force)`);
        }
      }),
  );
}

Deno.test("the functions' key calls what the functions call, and the clean-up", async () => {
  const called = new Set<string>(["cleanup_expired_holds"]);
  for (const file of readdirSync(entries)) {
    for (const one of Object.values(await import(new URL(file, entries).href))) {
      if (typeof one === "function" && "sqlName" in one) called.add(String(one.sqlName));
    }
  }
  const granted = expected.flatMap((line) =>
    /^function public\.(\w+) to service_role: EXECUTE$/.exec(line)?.[1] ?? []
  );
  assert.ok(granted.length > 10);
  assert.deepEqual(granted.filter((name) => !called.has(name)), []);
});

Deno.test(
  "a weakened right, policy or constraint differs from the list",
  () =>
    withDatabase(async ({ url }) => {
      await withConnection(url("supabase_admin"), async (admin) => {
        const all = await listMutants(admin);
        assert.ok(all.length > 1000, `${all.length} mutants`);
        const count = atLength({ short: 40, full: all.length });
        const step = all.length / count;
        const offset = Math.random() * step;
        const sample = Array.from(
          { length: count },
          (_, index) => all[Math.floor(index * step + offset)] ?? "",
        ).filter((statement) => statement !== "");
        for await (const { statement, noticedBy } of tryMutants(admin, expected, sample)) {
          assert.ok(noticedBy, `Not noticed: ${statement}`);
        }
      });
    }),
);

Deno.test(
  "a change that weakens nothing does not count as a detected mutant",
  () =>
    withDatabase(async ({ url }) => {
      await withConnection(url("supabase_admin"), async (admin) => {
        for await (const { noticedBy } of tryMutants(admin, expected, ["select 1"])) {
          assert.equal(noticedBy, undefined);
        }
      });
    }),
);
