/**
 * `deno task licences`: lists the licence of every package of the lock files.
 *
 * Packages of deno.lock are linked from Deno's cache into a folder and read there; npm's lock files
 * have the licences themselves. Only licences known to require no more than a notice are accepted, so
 * that somebody looks at each new one.
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
  test runs it as a program of its own (AGPL-3.0), and nothing of it is in the functions. axe-core (MPL-2.0)
  is accepted, since only tests load it.
  exit code 0: all are permissive, 1: one is copyleft or unknown, 2: wrong arguments,
  3: the packages cannot be read`;

/** They require at most a notice: https://blueoakcouncil.org/list */
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

/** Packages that only tests load, unchanged: nothing of them is passed on. */
const onlyInTests: Readonly<Record<string, string>> = { "axe-core": "MPL-2.0" };

const npmLocks = [".ci/deno/package-lock.json", ".ci/hosted/package-lock.json"] as const;

/** A package of a lock file. */
interface Package {
  readonly name: string;
  readonly version: string;
  /** As the package states it; undefined if it does not. */
  readonly licence: string | undefined;
  /** The system that it is for, if it is not this one. */
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
 * @returns 0, or 1 if there are any.
 */
export async function checkLicences(root: string, terminal: Terminal): Promise<0 | 1> {
  const packages = await readPackages(root);
  for (const { name, version, licence = "none", elsewhere } of packages) {
    terminal.print(`${name} ${version}: ${elsewhere ? `not here, for ${elsewhere}` : licence}`);
  }
  const refused = packages.filter(({ name, licence, elsewhere }) =>
    elsewhere === undefined && !isPermissive(licence) && licence !== (onlyInTests[name] ?? "")
  );
  for (const { name, version, licence } of refused) {
    terminal.printError(
      licence === undefined
        ? `${name} ${version} states no licence: ask for one, or use another package`
        : `${name} ${version} is under ${licence}, which is copyleft or unknown here: use another ` +
          "package, or add it to supabase/tasks/licences.ts if it requires at most a notice",
    );
  }
  const seen = packages.filter(({ elsewhere }) => elsewhere === undefined).length;
  terminal.print(
    `${seen} packages, ${refused.length} refused; ${packages.length - seen} for other systems`,
  );
  return refused.length === 0 ? 0 : 1;
}

/**
 * Whether a licence requires at most a notice. In `(A OR B)` one is enough. Any other expression that is
 * not a single name counts as unknown.
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
  // The format of npm before 2013.
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

/** The system that a package is for, if it is not this one. */
function elsewhere(
  { os = [process.platform], cpu = [process.arch] }: {
    readonly os?: readonly string[] | undefined;
    readonly cpu?: readonly string[] | undefined;
  },
): Pick<Package, "elsewhere"> {
  const isHere = os.includes(process.platform) && cpu.includes(process.arch);
  return isHere ? {} : { elsewhere: `${os.join("/")} on ${cpu.join("/")}` };
}

/** Links the packages of deno.lock into a folder, and downloads those that are not in Deno's cache. */
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
