/** Migrations and seeds run once, in order, all or nothing, and a failure names its place. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { migrate, seed } from "../../supabase/local/migrations.ts";
import { withDatabase } from "../support/database.ts";

/** A folder with these files. */
interface Folder extends AsyncDisposable {
  readonly url: URL;
}

async function aFolder(files: Readonly<Record<string, string>>): Promise<Folder> {
  const url = pathToFileURL(`${await mkdtemp(join(tmpdir(), "migrations-"))}/`);
  for (const [name, text] of Object.entries(files)) await writeFile(new URL(name, url), text);
  return { url, [Symbol.asyncDispose]: () => rm(fileURLToPath(url), { recursive: true }) };
}

const good = "20990101000000_good.sql";
const late = "20990102000000_late.sql";

Deno.test("migrations run once and in order, and are recorded as the Supabase CLI does", () =>
  withDatabase(async (database) => {
    await using folder = await aFolder({
      [late]: "insert into late values (1)",
      [good]: "create table late (number integer);",
    });
    const url = database.url();
    assert.deepEqual(await migrate(url, folder.url), { applied: [good, late], skipped: 0 });
    assert.deepEqual(await migrate(url, folder.url), { applied: [], skipped: 2 });
    assert.deepEqual(
      [
        ...await database.sql`
      select m.version, m.name, m.statements from supabase_migrations.schema_migrations as m
      where m.version > '2099' order by m.version`,
      ].at(-1),
      {
        version: "20990102000000",
        name: "late",
        statements: ["insert into late values (1)"],
      },
    );
  }));

Deno.test("a migration that changed after it was applied is refused by name", () =>
  withDatabase(async (database) => {
    await using folder = await aFolder({ [good]: "create table good ();" });
    await migrate(database.url(), folder.url);
    await writeFile(new URL(good, folder.url), "create table better ();");
    await assert.rejects(migrate(database.url(), folder.url), new RegExp(`${good} .*has changed`));
  }));

Deno.test("a migration that names the text it was applied as is not refused, and not applied again", () =>
  withDatabase(async (database) => {
    const before = "create table good ();";
    await using folder = await aFolder({ [good]: before });
    await migrate(database.url(), folder.url);
    const rewrite = (sum: string) =>
      writeFile(
        new URL(good, folder.url),
        `-- Same result as sha256 ${sum}\ncreate table public.good ();`,
      );
    await rewrite("0".repeat(64));
    await assert.rejects(migrate(database.url(), folder.url), /has changed/);
    await rewrite(createHash("sha256").update(before).digest("hex"));
    assert.deepEqual(await migrate(database.url(), folder.url), { applied: [], skipped: 1 });
  }));

Deno.test("a failing migration names file, line and reason; it is rolled back, earlier ones stay", () =>
  withDatabase(async (database) => {
    const fail = async (text: string, why: RegExp) => {
      await using folder = await aFolder({ [good]: "create table good ();", [late]: text });
      await assert.rejects(migrate(database.url(), folder.url), why);
    };
    await fail(
      "create table bäd ();\n\nselect missing;\n",
      /Cannot apply 20990102000000_late\.sql, line 3: column "missing" does not exist/,
    );
    await fail(
      "do $$\nbegin\n  raise 'no';\nend $$",
      /_late\.sql, PL\/pgSQL function inline_code_block line 3 at RAISE: no/,
    );
    await fail(
      "create table bäd (a int not null); insert into bäd values (null)",
      /_late\.sql, table bäd: null value/,
    );
    assert.deepEqual([
      ...await database.sql`
      select to_regclass('good') is not null as good, to_regclass('bäd') is not null as bad`,
    ], [
      { good: true, bad: false },
    ]);
  }));

Deno.test("no migrations, or a file whose name would keep it from running, is an error", async () => {
  const nowhere = "postgres://nobody@127.0.0.1:1/none";
  await using empty = await aFolder({});
  await assert.rejects(migrate(nowhere, empty.url), /no migrations in/);
  await using odd = await aFolder({ [good]: "", "2099_new.sql": "" });
  await assert.rejects(migrate(nowhere, odd.url), /2099_new\.sql is not named like/);
});

Deno.test("a seed applies completely or not at all", () =>
  withDatabase(async (database) => {
    await using folder = await aFolder({ "seed.sql": "create table late ();\nselect 1/0;" });
    await assert.rejects(
      seed(database.url(), new URL("seed.sql", folder.url)),
      /Cannot apply seed\.sql: division by zero/,
    );
    assert.deepEqual([...await database.sql`select to_regclass('late') as late`], [{ late: null }]);
  }));
