/** `deno task desk`: the page is written for a project, never with a secret key, and over no other files. */
import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { desk } from "../../supabase/tasks/desk.ts";
import { runHere } from "../support/terminal.ts";

const url = "https://abc.supabase.co";
const aToken = (role: string) => `e30.${btoa(JSON.stringify({ role }))}.x`;

const run = (...args: string[]) => runHere(desk, args);

Deno.test("the page is written with address, key and headers, and written again over itself", async () => {
  const folder = await mkdtemp(join(tmpdir(), "desk-test-"));
  try {
    const out = join(folder, "page");
    for (const key of ["sb_publishable_x", aToken("anon")]) {
      const { code, said } = await run("--out", out, "--url", url, "--key", key);
      assert.equal(code, 0, said);
      const page = await readFile(join(out, "index.html"), "utf8");
      assert.ok(page.includes(`data-key="${key}"`));
    }
    const names = await readdir(out, { recursive: true });
    for (const name of ["app.js", "style.css", "vendor/preact.js", "LICENSES.txt", "_headers"]) {
      assert.ok(names.includes(name), name);
    }
    const headers = await readFile(join(out, "_headers"), "utf8");
    assert.match(
      headers,
      /^\/\*\n {2}content-security-policy: .*connect-src https:\/\/abc\.supabase\.co;/,
    );
    assert.match(headers, /frame-ancestors 'none'/);
    await writeFile(join(folder, "notes.txt"), "mine");
    const refused = await run("--out", folder, "--url", url, "--key", "sb_publishable_x");
    assert.deepEqual(refused, {
      code: 1,
      said: `${folder} has other files in it: choose an empty folder`,
    });
  } finally {
    await rm(folder, { recursive: true });
  }
});

Deno.test("a secret key and incomplete arguments are refused", async () => {
  for (const key of ["sb_secret_x", aToken("service_role"), "nothing", "a.b.c"]) {
    const { code, said } = await run("--out", "nowhere", "--url", url, "--key", key);
    assert.equal(code, 2);
    assert.match(said, /^--key takes the publishable key/);
    assert.ok(!said.includes(key));
  }
  for (
    const args of [["--out", "x"], ["--out", "x", "--url", url], ["--key", "sb_publishable_x"], [
      "--out",
      "x",
      "--url",
      "nowhere",
      "--key",
      "sb_publishable_x",
    ]]
  ) assert.equal((await run(...args)).code, 2, args.join(" "));
});
