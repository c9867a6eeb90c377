/**
 * `deno task licences`: under which licence every package of the lock files is.
 *
 * What deno.lock names is linked out of Deno's cache into a folder and read there; npm's lock files
 * say it themselves. Only licences that are known to ask for no more than a notice pass, so a new one
 * is looked at by somebody.
 *
 * @module
 */

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { defineTask, main, Stop } from "./task.ts";
import type { Terminal } from "./terminal.ts";

const usage = `deno task licences
  lists every package of deno.lock and .ci/*/package-lock.json with its version and licence
  Packages for other systems than this one are listed and not judged. k6 is not among them: the load
  test runs it as a program of its own (AGPL-3.0), and nothing of it is in the functions.
  exit code 0: all are permissive, 1: one is copyleft or unknown, 2: wrong arguments,
  3: the packages cannot be read`;

/** They ask for a notice at most: https://blueoakcouncil.org/list */
const permissive = new Set([
  "0BSD",
  "Apache-2.0",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "BlueOak-1.0.0",
  "CC0-1.0",
  "ISC",
  "MIT",
  "MIT-0",
  "PostgreSQL",
  "Unlicense",
  "Zlib",
]);

const npmLocks = [".ci/deno/package-lock.json", ".ci/hosted/package-lock.json"] as const;

/** A package of a lock file. */
interface Package {
  readonly name: string;
  readonly version: string;
  /** As the package says; undefined when it says nothing. */
  readonly licence: string | undefined;
  /** Where it runs, if that is not here. */
  readonly elsewhere?: string;
}

/** The task. */
export const licences = defineTask({
  usage,
  options: {},
  run: (_, { terminal }) =>
    checkLicences(fileURLToPath(new URL("../..", import.meta.url)), terminal),
});

/**
 * Lists the packages of a project's lock files and names those that may not be used.
 *
 * @param root The folder of deno.json and deno.lock.
 * @returns 0, or 1 when there are such.
 */
export async function checkLicences(root: string, terminal: Terminal): Promise<0 | 1> {
  const packages = await readPackages(root);
  for (const { name, version, licence = "none", elsewhere } of packages) {
    terminal.print(`${name} ${version}: ${elsewhere ? `not here, for ${elsewhere}` : licence}`);
  }
  const refused = packages.filter(({ licence, elsewhere }) =>
    elsewhere === undefined && !isPermissive(licence)
  );
  for (const { name, version, licence } of refused) {
    terminal.printError(
      licence === undefined
        ? `${name} ${version} names no licence: ask for one, or use something else`
        : `${name} ${version} is under ${licence}, which is copyleft or unknown here: use ` +
          "something else, or add it to supabase/tasks/licences.ts if it asks for a notice at most",
    );
  }
  const seen = packages.filter(({ elsewhere }) => elsewhere === undefined).length;
  terminal.print(
    `${seen} packages, ${refused.length} refused; ${packages.length - seen} for other systems`,
  );
  return refused.length === 0 ? 0 : 1;
}

/**
 * Whether a licence asks for a notice at most. Of `(A OR B)` one is enough; whatever else is not one
 * plain name is not known.
 *
 * @param licence An SPDX expression.
 */
export function isPermissive(licence: string | undefined): boolean {
  const choices = licence?.trim().replace(/^\(([^()]*)\)$/, "$1").split(" OR ") ?? [];
  return choices.some((choice) => permissive.has(choice.trim()));
}

/** All packages of the lock files, each once, by name. */
async function readPackages(root: string): Promise<Package[]> {
  const found = [
    ...await readDenoLock(root),
    ...(await Promise.all(npmLocks.map((path) => readNpmLock(join(root, path))))).flat(),
  ];
  const each = new Map(found.map((one) => [`${one.name} ${one.version}`, one]));
  return [...each].sort(([a], [b]) => a < b ? -1 : 1).map(([, one]) => one);
}

const system = { os: z.array(z.string()).optional(), cpu: z.array(z.string()).optional() };
const npmLock = z.object({
  packages: z.record(z.string(), z.object({ version: z.string(), license: z.string() }).partial()),
});

async function readNpmLock(path: string): Promise<Package[]> {
  const { packages } = npmLock.parse(JSON.parse(await readFile(path, "utf8")));
  return Object.entries(packages).filter(([folder]) => folder !== "").map(([folder, one]) => ({
    name: folder.replace(/^.*node_modules\//, ""),
    version: one.version ?? "",
    licence: one.license,
  }));
}

const denoLock = z.object({ npm: z.record(z.string(), z.object(system)).default({}) });
const named = z.object({ type: z.string() }).transform(({ type }) => type);
const manifest = z.object({
  license: z.union([z.string(), named]).optional(),
  // As npm had it before 2013.
  licenses: z.array(named).optional(),
});

async function readDenoLock(root: string): Promise<Package[]> {
  const { npm } = denoLock.parse(JSON.parse(await readFile(join(root, "deno.lock"), "utf8")));
  const folder = await mkdtemp(join(tmpdir(), "licences-"));
  try {
    await install(root, folder);
    return await Promise.all(
      Object.entries(npm).map(async ([key, one]): Promise<Package> => {
        const [, name = "", version = ""] = /^(@?[^@]+)@([^_]+)/.exec(key) ?? [];
        const linked = `${name.replace("/", "+")}@${version}`;
        const path = join(folder, "node_modules/.deno", linked, "node_modules", name);
        const text = await readFile(join(path, "package.json"), "utf8").catch(() => undefined);
        if (text === undefined) return { name, version, licence: undefined, ...elsewhere(one) };
        const { license, licenses } = manifest.parse(JSON.parse(text));
        return { name, version, licence: license ?? licenses?.map(String).join(" OR ") };
      }),
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The system that a package is for, where that is not this one. */
function elsewhere(
  { os = [process.platform], cpu = [process.arch] }: {
    readonly os?: readonly string[] | undefined;
    readonly cpu?: readonly string[] | undefined;
  },
): Pick<Package, "elsewhere"> {
  const isHere = os.includes(process.platform) && cpu.includes(process.arch);
  return isHere ? {} : { elsewhere: `${os.join("/")} on ${cpu.join("/")}` };
}

/** Links what deno.lock names into a folder; what is not in Deno's cache is fetched. */
async function install(root: string, folder: string): Promise<void> {
  const { imports } = z.object({ imports: z.record(z.string(), z.string()) })
    .parse(JSON.parse(await readFile(join(root, "deno.json"), "utf8")));
  await writeFile(
    join(folder, "deno.json"),
    JSON.stringify({ imports, nodeModulesDir: "auto" }),
  );
  await writeFile(join(folder, "deno.lock"), await readFile(join(root, "deno.lock"), "utf8"));
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["install", "--frozen", "--quiet"],
    cwd: folder,
    stdin: "null",
  }).output();
  if (!success) {
    throw new Stop(3, `Cannot read the packages: ${new TextDecoder().decode(stderr).trim()}`);
  }
}

if (import.meta.main) await main(licences);
