/** `deno task release` in a checkout of its own. */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { findBreaches, readReleases } from "../../supabase/tasks/release/migrations.ts";
import { prepareRelease } from "../../supabase/tasks/release.ts";

const migration = "20260101000000_first.sql";

/** A checkout with one migration and an entry in its changelog. */
async function withCheckout(work: (checkout: Checkout) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "release-"));
  try {
    const checkout = new Checkout(folder);
    await checkout.run("init", "--quiet");
    await checkout.write(`migrations/${migration}`, "create table public.a (id int);\n");
    await checkout.write("supabase/released.sha256", "# A list.\n");
    await checkout.write("CHANGELOG.md", "# Changelog\n\n## Unreleased\n\n### Added\n\n- All.\n");
    await checkout.commit();
    await work(checkout);
  } finally {
    await rm(folder, { recursive: true });
  }
}

class Checkout {
  readonly root: URL;

  constructor(private readonly folder: string) {
    this.root = pathToFileURL(`${folder}/`);
  }

  async run(...args: string[]): Promise<void> {
    const { success, stderr } = await new Deno.Command("git", {
      args: ["-c", "user.name=Test", "-c", "user.email=test@example.org", ...args],
      cwd: this.folder,
    }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
  }

  async commit(): Promise<void> {
    await this.run("add", "--all");
    await this.run("commit", "--quiet", "--message", "Change");
  }

  async write(path: string, text: string): Promise<void> {
    await mkdir(join(this.folder, path, ".."), { recursive: true });
    await writeFile(join(this.folder, path), text);
  }

  read(path: string): Promise<string> {
    return readFile(join(this.folder, path), "utf8");
  }
}

Deno.test("a release moves the changelog's entries under its heading and fixes the migrations", () =>
  withCheckout(async (checkout) => {
    const { added, last, write } = await prepareRelease(checkout.root, "0.1.0");
    assert.deepEqual({ added, last }, { added: 1, last: undefined });
    await write();
    assert.match(
      await checkout.read("CHANGELOG.md"),
      /^# Changelog\n\n## Unreleased\n\n## 0\.1\.0 - \d{4}-\d\d-\d\d\n\n### Added\n\n- All\.\n$/,
    );
    const releases = readReleases(await checkout.read("supabase/released.sha256"));
    const text = await checkout.read(`migrations/${migration}`);
    assert.deepEqual(findBreaches(releases, [{ file: migration, text }]), []);

    await checkout.commit();
    const nothing = /no entries under ## Unreleased/;
    await assert.rejects(prepareRelease(checkout.root, "0.2.0"), nothing);
    await checkout.write(`migrations/${migration}`, "create table public.b (id int);\n");
    await checkout.commit();
    await assert.rejects(
      prepareRelease(checkout.root, "0.2.0"),
      /first\.sql of v0\.1\.0 has changed/,
    );
    await assert.rejects(prepareRelease(checkout.root, "0.1.0"), /the last release is 0\.1\.0/);
  }));

Deno.test("a later release has a higher version and fixes only its own migrations", () =>
  withCheckout(async (checkout) => {
    const { write } = await prepareRelease(checkout.root, "0.9.0");
    await write();
    const changelog = await checkout.read("CHANGELOG.md");
    await checkout.write(
      "CHANGELOG.md",
      changelog.replace("Unreleased\n", "Unreleased\n\n- More.\n"),
    );
    const next = "set local lock_timeout = '2s';\ncreate table public.b (id int);\n";
    await checkout.write("migrations/20260102000000_second.sql", next);
    await checkout.commit();
    const { added, last, write: writeNext } = await prepareRelease(checkout.root, "0.10.0");
    assert.deepEqual({ added, last }, { added: 1, last: "0.9.0" });
    await writeNext();
    const releases = readReleases(await checkout.read("supabase/released.sha256"));
    assert.deepEqual(
      releases.map(({ version, migrations }) => [version, migrations.size]),
      [["0.9.0", 1], ["0.10.0", 1]],
    );
  }));

Deno.test("changes that are not committed, and what is not a version, are refused", () =>
  withCheckout(async (checkout) => {
    await checkout.write("README.md", "New.\n");
    const uncommitted = /commit or stash these changes first\n\?\? README\.md/;
    await assert.rejects(prepareRelease(checkout.root, "0.1.0"), uncommitted);
    for (const version of ["v0.1.0", "0.1", "0.01.0", "1.0.0-beta", ""]) {
      await assert.rejects(
        prepareRelease(checkout.root, version),
        /Give a version such as 0\.1\.0/,
      );
    }
  }));
