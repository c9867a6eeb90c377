/**
 * The installed packages are those of the lock files, without install scripts and under known licences.
 */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { checkLicences, isPermissive } from "../../supabase/tasks/licences.ts";
import { aTerminal } from "../support/terminal.ts";
import { hostedDenoVersion } from "../support/npm_package.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const read = (path: string) => readFile(join(root, path), "utf8");
const readJson = async (path: string) => JSON.parse(await read(path));

/** A project whose tools have the given licences. */
async function withProject(
  packages: Readonly<Record<string, string | undefined>>,
  work: (root: string) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "licences-test-"));
  const locked = Object.entries(packages).map(([name, license]) =>
    [`node_modules/${name}`, { version: "1.0.0", ...(license ? { license } : {}) }] as const
  );
  try {
    await writeFile(join(folder, "deno.json"), '{"imports":{}}');
    await writeFile(join(folder, "deno.lock"), '{"version":"5"}');
    for (const [name, entries] of [["deno", locked], ["hosted", []]] as const) {
      await mkdir(join(folder, ".ci", name), { recursive: true });
      const lock = { packages: { "": {}, ...Object.fromEntries(entries) } };
      await writeFile(join(folder, ".ci", name, "package-lock.json"), JSON.stringify(lock));
    }
    await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

Deno.test("every package of the lock files is listed with version and licence, and may be used", async () => {
  const { terminal, out, errors } = aTerminal();
  assert.equal(await checkLicences(root, terminal), 0, errors.join("\n"));
  assert.deepEqual(errors, []);
  const { imports } = await readJson("deno.json");
  for (const specifier of Object.values<string>(imports)) {
    const [, name, version] = /^npm:\/?(@?[^@]+)@([^/]+)/.exec(specifier) ?? [];
    assert.ok(out.some((line) => line.startsWith(`${name} ${version}: `)), specifier);
  }
  assert.ok(out.includes("twilio 6.2.0: MIT"));
  const { npm } = await readJson("deno.lock");
  const counted = /^(\d+) packages, 0 refused; (\d+) for other systems$/.exec(out.at(-1) ?? "");
  assert.ok(Number(counted?.[1]) + Number(counted?.[2]) > Object.keys(npm).length);
});

Deno.test("a licence that is copyleft, unknown or missing is refused by name", async () => {
  const packages = {
    free: "MIT",
    either: "(GPL-2.0-only OR Apache-2.0)",
    copyleft: "GPL-3.0-only",
    network: "AGPL-3.0",
    both: "MIT AND LGPL-3.0",
    odd: "SEE LICENSE IN LICENSE.md",
    silent: undefined,
  };
  await withProject(packages, async (folder) => {
    const { terminal, out, errors } = aTerminal();
    assert.equal(await checkLicences(folder, terminal), 1);
    assert.deepEqual(errors.map((line) => line.split(" ")[0]), [
      "both",
      "copyleft",
      "network",
      "odd",
      "silent",
    ]);
    assert.match(errors.at(-1) ?? "", /^silent 1\.0\.0 states no licence/);
    assert.equal(out.at(-1), "7 packages, 5 refused; 0 for other systems");
  });
  await withProject({ free: "MIT" }, async (folder) => {
    assert.equal(await checkLicences(folder, aTerminal().terminal), 0);
  });
});

Deno.test("one of several alternative licences is enough, while combined licences must all be accepted", () => {
  for (const good of ["MIT", "(MIT OR GPL-3.0)", "GPL-3.0 OR ISC", " 0BSD "]) {
    assert.ok(isPermissive(good), good);
  }
  for (
    const bad of [
      "",
      undefined,
      "mit",
      "MIT AND GPL-3.0",
      "(MIT AND GPL-3.0) OR LGPL-3.0",
      "GPL-3.0 WITH MIT",
      "UNLICENSED",
    ]
  ) assert.ok(!isPermissive(bad), `${bad}`);
});

for (const folder of ["deno", "hosted"]) {
  Deno.test(`the tools of .ci/${folder} are locked by hash, from no registry of its own`, async () => {
    const { dependencies } = await readJson(`.ci/${folder}/package.json`);
    const text = await read(`.ci/${folder}/package-lock.json`);
    const { packages } = JSON.parse(text);
    assert.doesNotMatch(text, /resolved|https?:|registry/);
    assert.deepEqual(packages[""].dependencies, dependencies);
    for (const [name, version] of Object.entries<string>(dependencies)) {
      assert.match(version, /^\d+\.\d+\.\d+$/);
      assert.equal(packages[`node_modules/${name}`].version, version);
    }
    for (const [name, one] of Object.entries<Record<string, unknown>>(packages)) {
      if (name === "") continue;
      assert.match(String(one["integrity"]), /^sha512-[A-Za-z0-9+/]{86}==$/, name);
      // Deno's script puts the program in place, which the wrapper does too: see .ci/run.
      assert.equal(one["hasInstallScript"] ?? false, name === "node_modules/deno", name);
    }
  });
}

Deno.test("the gate installs npm packages from these locks alone, and runs none of their scripts", async () => {
  const gate = await read(".ci/run");
  const installs = gate.split("\n").map((line) => line.trim())
    .filter((line) => /^[^#]*\b(npm (install|i|add|ci|exec|x)\b|npx\b|deno install\b)/.test(line));
  assert.deepEqual(installs, [
    'npm ci --prefix "$2" --ignore-scripts --no-audit --no-fund --silent',
  ]);
});

Deno.test("the hosted Deno of the gate is the one that the tests name", async () => {
  const { dependencies } = await readJson(".ci/hosted/package.json");
  assert.equal(dependencies["@deno/linux-x64-glibc"], hostedDenoVersion);
});
