/**
 * Compares the stand-in for GoTrue with the recorded answers of a real one. The recording and its
 * checker are not part of this repository: where they or Python are missing, the test says so and
 * checks nothing.
 *
 * @module
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { createAuth } from "../../supabase/local/auth/server.ts";
import { withDatabase } from "../support/database.ts";
import { isFull } from "../support/length.ts";

const recording = fileURLToPath(new URL("../../../shared/gotrue/", import.meta.url));
const python = ["/usr/bin/python3", "/usr/local/bin/python3"].find((path) => existsSync(path));
const reason = !existsSync(`${recording}recorded.jsonl`)
  ? "the recording ../shared/gotrue is not there"
  : python === undefined
  ? "there is no python3"
  : undefined;

/** Cases beyond the core. The others need what the stand-in does not do: see the table in server.ts. */
const furtherCases = [
  "user/odd tokens",
  "sign-out/bad requests",
  "update-user/bad requests",
  "admin/create user, bad requests",
  "admin/odd tokens",
].flatMap((name) => ["--only", name]);

async function check(...args: readonly string[]): Promise<string> {
  let output = "";
  await withDatabase(async (database) => {
    const auth = await createAuth({
      dbUrl: database.url("supabase_admin"),
      basePath: "/auth/v1",
      // The secret of the recorded server.
      secret: "corpus-secret-of-exactly-forty-character",
      issuer: "http://127.0.0.1:8000/auth/v1",
    });
    const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, auth.fetch);
    const url = `http://127.0.0.1:${server.addr.port}`;
    try {
      const run = await new Deno.Command(python ?? "python3", {
        args: [`${recording}record.py`, "--url", url, "--base", "/auth/v1", "--wipe", ...args]
          .concat(["--check", `${recording}recorded.jsonl`, "--timeout", "60"])
          .concat(isFull ? [] : ["--skip-waits"]),
        env: { PYTHONDONTWRITEBYTECODE: "1" },
      }).output();
      output = new TextDecoder().decode(run.stdout) + new TextDecoder().decode(run.stderr);
      assert.equal(run.code, 0, output);
    } finally {
      await server.shutdown();
      await auth.close();
    }
  });
  return output;
}

Deno.test(
  `staff's requests are answered as by a real GoTrue${reason ? ` (left out: ${reason})` : ""}`,
  { ignore: reason !== undefined },
  async () => {
    const output = await check("--core");
    assert.match(output, /\nall +\d+ +1\d\d +1\d\d +0\n/, "more than a hundred steps, none failed");
  },
);

Deno.test(
  `odd tokens and bad requests are answered equally, except for Go's error texts${
    reason ? ` (left out: ${reason})` : ""
  }`,
  { ignore: reason !== undefined || !isFull },
  async () => {
    await check(...furtherCases, "--ignore", "message,msg");
  },
);
