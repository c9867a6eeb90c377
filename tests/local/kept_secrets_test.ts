/** The secrets of a local stack: drawn once, kept, and never replaced when their file is damaged. */
import assert from "node:assert/strict";
import { keepSecrets } from "../../supabase/local/kept_secrets.ts";

async function withFile(test: (file: string) => Promise<void>): Promise<void> {
  const folder = Deno.makeTempDirSync();
  try {
    await test(`${folder}/secrets.json`);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

Deno.test("secrets are drawn once, and a file that lacks one of them gets that one", () =>
  withFile(async (file) => {
    const first = await keepSecrets(file);
    assert.deepEqual(await keepSecrets(file), first);
    const { JOBS_SECRET, ...rest } = first;
    Deno.writeTextFileSync(file, JSON.stringify(rest));
    const next = await keepSecrets(file);
    assert.deepEqual({ ...next, JOBS_SECRET }, first);
    assert.notEqual(next.JOBS_SECRET, JOBS_SECRET);
  }));

Deno.test("a damaged file of secrets is named and left as it is", () =>
  withFile(async (file) => {
    for (const damaged of ["", "{", "[]", '{"OTP_PEPPERS":"v1:spilled"}', '{"JWT_SECRET":7}']) {
      Deno.writeTextFileSync(file, damaged);
      await assert.rejects(keepSecrets(file), { message: new RegExp(`^Cannot read ${file}: it`) });
      assert.equal(Deno.readTextFileSync(file), damaged);
    }
  }));
