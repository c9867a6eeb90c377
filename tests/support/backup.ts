/**
 * PostgreSQL with its client programs, which the local stack's npm package lacks, and the commands of
 * docs/backup.md.
 *
 * @module
 */

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** A folder with postgres, pg_dump and pg_restore of one version; undefined if none is found. */
export const clientBinDir = [
  Deno.env.get("PG_BIN"),
  ...[17, 16, 15].map((major) => `/usr/lib/postgresql/${major}/bin`),
].find((dir) =>
  dir !== undefined &&
  ["postgres", "pg_dump", "pg_restore"].every((name) => existsSync(join(dir, name)))
);

/** The arguments of the commands under a heading of docs/backup.md, after `deno task`. */
export function readCommands(
  heading: string,
  values: Readonly<Record<string, string>>,
): string[][] {
  const page = readFileSync(new URL("../../docs/backup.md", import.meta.url), "utf8");
  const section = page.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? "";
  const [, block = ""] = /^```sh\n(.*?)^```$/ms.exec(section) ?? [];
  const commands = block.trimEnd().split("\n").map((line) =>
    line.replace(/\s+#.*$/, "").split(" ").map((word) => values[word] ?? word)
  );
  assert.ok(commands.length > 1, `no commands under ${heading}`);
  return commands.map(([program, task, ...words]) => {
    assert.deepEqual([program, task], ["deno", "task"]);
    return words;
  });
}
