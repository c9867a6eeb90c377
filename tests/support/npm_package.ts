/**
 * npm packages that only one test runs, each in its own folder: the project has no node_modules.
 *
 * @module
 */

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runApart } from "./terminal.ts";

/** Hosted Supabase's version of Deno: functions/ and shared/ may use nothing newer. */
export const hostedDenoVersion = "2.1.4";

const hostedDenoPackages: Readonly<Record<string, string>> = {
  "aarch64-apple-darwin": "@deno/darwin-arm64",
  "aarch64-unknown-linux-gnu": "@deno/linux-arm64-glibc",
  "x86_64-apple-darwin": "@deno/darwin-x64",
  "x86_64-unknown-linux-gnu": "@deno/linux-x64-glibc",
};

/** A package with its dependencies, linked from Deno's cache; downloaded once per machine. */
export interface InstalledPackage {
  /** Has its own deno.json and node_modules. */
  readonly home: string;
  /** The folder of the package itself. */
  readonly folder: string;
  remove(): Promise<void>;
}

/** Installs a package. */
export async function installPackage(name: string, version: string): Promise<InstalledPackage> {
  const home = await mkdtemp(join(tmpdir(), "test-npm-"));
  const remove = () => rm(home, { recursive: true, force: true });
  const settings = { nodeModulesDir: "auto", imports: { [name]: `npm:${name}@${version}` } };
  await writeFile(join(home, "deno.json"), JSON.stringify(settings));
  const { code, errors } = await runApart(["install", "--quiet"], { cwd: home });
  if (code === 0) return { home, folder: join(home, "node_modules", name), remove };
  await remove();
  throw new Error(`Cannot install ${name}@${version}: ${errors}`);
}

/** Installs the hosted version of Deno: `deno` in the folder. */
export function installHostedDeno(): Promise<InstalledPackage> {
  const name = hostedDenoPackages[Deno.build.target];
  if (name) return installPackage(name, hostedDenoVersion);
  throw new Error(
    `Cannot install Deno ${hostedDenoVersion}: npm has none for ${Deno.build.target}`,
  );
}
