/** The connection to the database asks once, and a second time if a migration came in between. */
import assert from "node:assert/strict";
import { startBudget } from "../../shared/deadline.ts";
import { openDatabase } from "../../shared/database/client.ts";
import { openLog } from "../../shared/logging.ts";

/** Calls a function at a server that gives these answers in order, the last one for ever. */
async function callServer(...answers: readonly (readonly [status: number, body: unknown])[]) {
  return await callServerFor("get_answer", ...answers);
}

async function callServerFor(
  sqlName: string,
  ...answers: readonly (readonly [status: number, body: unknown])[]
) {
  let asked = 0;
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => {
    const [status, body] = answers[Math.min(asked++, answers.length - 1)] ?? [500, {}];
    return Response.json(body, { status });
  });
  const database = openDatabase({
    restUrl: `http://127.0.0.1:${server.addr.port}/rest/v1`,
    databaseKey: "key",
  }, { databaseCallMs: 60_000 }).within(startBudget(60_000));
  const result = await database.call(sqlName, {}).catch((thrown: Error) => thrown);
  return { asked, result };
}

const changed = [400, { code: "42804", message: "structure of query does not match" }] as const;
const answered = [200, { outcome: "found" }] as const;

Deno.test("a call that a migration interrupted is made once more, and only once", async () => {
  assert.deepEqual(await callServer(changed, answered), { asked: 2, result: { outcome: "found" } });
  const { asked, result } = await callServer(changed);
  assert.equal(asked, 2);
  assert.ok(result instanceof Error);
});

Deno.test("other failures are not repeated", async () => {
  for (const code of ["57014", "55P03", "P0001", "PGRST202"]) {
    const { asked, result } = await callServer([400, { code, message: "no" }], answered);
    assert.equal(asked, 1, code);
    assert.ok(result instanceof Error, code);
  }
});

Deno.test("the log keeps the code of a failure, even next to words about passcodes", async () => {
  for (const code of ["42804", "57014", "PGRST202"]) {
    for (const sqlName of ["begin_otp_send", "verify_otp_and_confirm"]) {
      const { result } = await callServerFor(sqlName, [400, { code, message: "no" }]);
      const lines: string[] = [];
      openLog("info", (line) => lines.push(line)).error("tool_call_failed", { fault: result });
      assert.doesNotMatch(lines.join(), /REDACTED/);
      assert.equal(JSON.parse(lines[0] ?? "").fault.cause.code, code);
    }
  }
});
