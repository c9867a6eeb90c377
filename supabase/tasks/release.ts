/**
 * `deno task release`: writes a release into the changelog and fixes its migrations.
 *
 * @module
 */

import { readFile, writeFile } from "node:fs/promises";
import {
  findBreaches,
  findUnreleased,
  readMigrations,
  readReleases,
  writeRelease,
} from "./release/migrations.ts";
import { defineTask, main, Misuse, Stop } from "./task.ts";

const usage = `deno task release VERSION [--dry-run]
  writes a release: the entries under Unreleased in CHANGELOG.md get the heading VERSION and today's
  date, and supabase/released.sha256 gets the checksums of the migrations that the release adds. From
  then on these migrations never change. Run the gate before.
  --dry-run   change nothing; say what would be released
  exit code 0: written, 1: it cannot be released now, 2: wrong arguments`;

const unreleased = "## Unreleased\n";

/** The task. */
export const release = defineTask({
  usage,
  options: { "dry-run": { type: "boolean", default: false } },
  allowPositionals: true,
  run: async ({ values: { "dry-run": dryRun }, positionals }, { terminal }) => {
    const [version, surplus] = positionals;
    if (surplus !== undefined) throw new Misuse(`Unexpected argument ${surplus}`);
    if (version === undefined) throw new Misuse("Give a version such as 0.1.0");
    const root = new URL("../../", import.meta.url);
    const { added, last, write } = await prepareRelease(root, version);
    terminal.print(`${version} adds ${added} migrations to ${last ?? "nothing"}`);
    if (dryRun) return 0;
    await write();
    terminal.print(`CHANGELOG.md and supabase/released.sha256 are written. Now:
  git commit --all --message "Release v${version}"
  git tag --annotate v${version} --message v${version}
  git push --follow-tags`);
    return 0;
  },
});

/**
 * Checks that a checkout can be released.
 *
 * @param root Its folder.
 * @param version Such as `0.1.0`.
 * @returns How many migrations the release adds, the last release, and what writes it.
 * @throws {Misuse | Stop} When it is not a version, or it cannot be released now.
 */
export async function prepareRelease(root: URL, version: string) {
  if (!/^(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*)){2}$/.test(version)) {
    throw new Misuse(`Give a version such as 0.1.0, not ${version}`);
  }
  const listFile = new URL("supabase/released.sha256", root);
  const changelogFile = new URL("CHANGELOG.md", root);
  await refuseChanges(root);
  const list = await readFile(listFile, "utf8");
  const releases = readReleases(list);
  const last = releases.at(-1)?.version;
  if (last !== undefined && inOrder.compare(version, last) <= 0) {
    throw new Stop(1, `Cannot release ${version}: the last release is ${last}`);
  }
  const migrations = readMigrations(new URL("migrations/", root));
  const breaches = findBreaches(releases, migrations);
  if (breaches.length > 0) throw new Stop(1, `Cannot release:\n${breaches.join("\n")}`);
  const changelog = addHeading(await readFile(changelogFile, "utf8"), version);
  const added = findUnreleased(releases, migrations);
  const write = async () => {
    await writeFile(changelogFile, changelog);
    await writeFile(listFile, list + writeRelease(version, added));
  };
  return { added: added.length, last, write };
}

/** Puts 0.10.0 after 0.9.0. */
const inOrder = new Intl.Collator("en", { numeric: true });

/** @throws {Stop} When the checkout has changes that are not committed. */
async function refuseChanges(root: URL): Promise<void> {
  const { success, stdout, stderr } = await new Deno.Command("git", {
    args: ["status", "--porcelain"],
    cwd: root,
  }).output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trimEnd();
  if (!success) throw new Stop(1, `Cannot release: ${decode(stderr)}`);
  if (decode(stdout) !== "") {
    throw new Stop(1, `Cannot release: commit or stash these changes first\n${decode(stdout)}`);
  }
}

/** Puts the entries under Unreleased under the heading of a release. */
function addHeading(changelog: string, version: string): string {
  const [before, after] = changelog.split(unreleased);
  const entries = after?.split("\n## ")[0];
  if (before === undefined || after === undefined || !/^- /m.test(entries ?? "")) {
    throw new Stop(1, "Cannot release: CHANGELOG.md has no entries under ## Unreleased");
  }
  const today = new Date().toISOString().slice(0, 10);
  return `${before}${unreleased}\n## ${version} - ${today}\n${after}`;
}

if (import.meta.main) await main(release);
