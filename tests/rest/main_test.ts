/**
 * `deno task rest` as a user starts it: options, environment, and what it says if it cannot start.
 *
 * @module
 */
import assert from "node:assert/strict";
import { signToken } from "./support/corpus.ts";
import { withStage } from "./support/stage.ts";

const main = new URL("../../supabase/local/rest/main.ts", import.meta.url).pathname;
const secret = "another-secret-of-more-than-32-characters";

function start(args: string[], env: Record<string, string> = {}): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--unstable-no-legacy-abort", main, ...args],
    env,
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** The address that a started program prints. */
async function addressOf(child: Deno.ChildProcess): Promise<string> {
  let printed = "";
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    printed += chunk;
    const found = /Listening on (http:\/\/\S+:\d+)\s/.exec(printed)?.[1];
    if (found !== undefined) return found;
  }
  throw new Error(`It ended without listening: ${printed}`);
}

const post = (url: string, body: string, headers: Record<string, string> = {}) =>
  fetch(url, { method: "POST", body, headers: { "content-type": "application/json", ...headers } });

Deno.test("environment variables have the same meaning as in PostgREST", async () => {
  await withStage({}, async ({ db, dbUrl }) => {
    await db`create role visitor nologin`;
    await db`grant visitor to authenticator`;
    await db`grant usage on schema public, extra to visitor`;
    await db`grant execute on all functions in schema public, extra to visitor`;
    const child = start(["--port", "0"], {
      PGRST_DB_URI: dbUrl,
      PGRST_DB_SCHEMAS: "extra, public",
      PGRST_DB_EXTRA_SEARCH_PATH: "extensions",
      PGRST_DB_ANON_ROLE: "visitor",
      PGRST_DB_MAX_ROWS: "2",
      PGRST_DB_POOL: "1",
      PGRST_JWT_SECRET: secret,
    });
    try {
      const url = await addressOf(child);
      assert.match(url, /^http:\/\/127\.0\.0\.1:/);
      const path = await post(`${url}/rpc/show_search_path`, "{}");
      assert.equal(path.headers.get("content-profile"), "extra");
      assert.equal(await path.json(), '"extra", "extensions"');
      const other = { "content-profile": "public" };
      const cut = await post(`${url}/rest/v1/rpc/count_up`, '{"n":5}', other);
      assert.deepEqual(await cut.json(), [1, 2]);
      const who = async (headers: Record<string, string>) =>
        (await (await post(`${url}/rpc/whoami`, "{}", { ...other, ...headers })).json()).user;
      assert.equal(await who({}), "visitor");
      const token = signToken({ role: "service_role" }, secret);
      assert.equal(await who({ authorization: `Bearer ${token}` }), "service_role");
      const [row] = await db<{ n: number }[]>`select count(*)::int as n from pg_stat_activity
        where application_name = 'rest' and datname = current_database()`;
      assert.equal(row?.n, 1); // the stage's own gateway has opened none
    } finally {
      child.kill("SIGTERM");
    }
    const { code } = await child.status;
    await child.stderr.cancel();
    assert.equal(code, 0);
  });
});

Deno.test("errors are one line and an exit code, without a stack trace", async () => {
  const cases: [string[], Record<string, string>, number, RegExp][] = [
    [[], {}, 2, /^No database: give --db URL/],
    [["--db", "here"], {}, 2, /^The database's URL must begin with postgres:/],
    [["--nonsense"], {}, 2, /^Unknown option '--nonsense'/],
    [["--db", "postgres://x@127.0.0.1:1/x"], {}, 1, /^Cannot read the database's catalogue: /],
    [
      ["--db", "postgres://x@127.0.0.1:1/x"],
      { PGRST_DB_POOL: "many" },
      2,
      /^PGRST_DB_POOL must be/,
    ],
    [["--db", "postgres://x@127.0.0.1:1/x"], { PGRST_JWT_SECRET: "short" }, 2, /^PGRST_JWT_SECRET/],
    [["--help"], {}, 0, /^$/],
  ];
  await Promise.all(cases.map(async ([args, env, expected, message]) => {
    const output = await start(args, env).output();
    const text = new TextDecoder().decode(output.stderr);
    assert.deepEqual([output.code, message.test(text)], [expected, true], text);
    assert.doesNotMatch(text, /^\s+at /m);
  }));
});
