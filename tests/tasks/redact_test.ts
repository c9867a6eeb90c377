/** `deno task redact` as a separate process without any permission. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const path = fileURLToPath(new URL("../../supabase/tasks/redact.ts", import.meta.url));

function start(args: readonly string[] = []): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-check", "--no-prompt", path, ...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

async function run(input: string | Uint8Array<ArrayBuffer>, args: readonly string[] = []) {
  const process = start(args);
  const writer = process.stdin.getWriter();
  await writer.write(typeof input === "string" ? new TextEncoder().encode(input) : input);
  await writer.close();
  const { code, stdout, stderr } = await process.output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, output: decode(stdout), errors: decode(stderr) };
}

Deno.test("redact answers every line in order, without any permission", async () => {
  const { code, output, errors } = await run(
    '{"id":"a","text":"Call 07700 900123"}\r\n\n{"id":2,"text":"BP 120/80"}',
  );
  assert.equal(errors, "");
  assert.equal(code, 0);
  assert.deepEqual(output.trimEnd().split("\n").map((line) => JSON.parse(line)), [
    {
      id: "a",
      redacted: "Call [REDACTED: PHONE]",
      spans: [{ start: 5, end: 17, type: "PHONE" }],
    },
    { id: 2, redacted: "BP 120/80", spans: [] },
  ]);
});

Deno.test("redact names broken lines by number, does not repeat their content, and continues", async () => {
  const { code, output, errors } = await run(
    [
      '{"id":"1","text":"a"}',
      "my number is 07700 900123",
      '{"text":"07700 900123"}',
      '{"id":"4","text":7700900123}',
      "[]",
      '{"id":"6","text":"b"}',
    ].join("\n"),
  );
  assert.equal(code, 1);
  assert.deepEqual(output.match(/"id":"\d"/g), ['"id":"1"', '"id":"6"']);
  assert.deepEqual(errors.match(/^line \d/gm), ["line 2", "line 3", "line 4", "line 5"]);
  assert.ok(!errors.includes("900123"));
});

Deno.test("redact answers a line before the next one comes, and splits no character", async () => {
  const process = start();
  const writer = process.stdin.getWriter();
  const bytes = new TextEncoder().encode('{"id":"ü","text":"💬 07700 900123"}\n');
  for (const byte of bytes) await writer.write(new Uint8Array([byte]));
  const reader = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const first = await reader.read();
  assert.match(first.value ?? "", /"id":"ü","redacted":"💬 \[REDACTED: PHONE\]"/);
  await writer.close();
  while (!(await reader.read()).done);
  await process.stderr.cancel();
  assert.equal((await process.status).code, 0);
});

Deno.test("redact ends quietly when its reader goes, and says how it is used", async () => {
  const process = start();
  await process.stdout.cancel();
  const writer = process.stdin.getWriter();
  const line = new TextEncoder().encode('{"id":"1","text":"a"}\n'.repeat(10_000));
  await writer.write(line).then(() => writer.close()).catch(() => {});
  assert.equal(await new Response(process.stderr).text(), "");
  assert.equal((await process.status).code, 0);
  const help = await run("", ["--help"]);
  assert.match(help.output, /deno task redact/);
  const wrong = await run("", ["--nonsense"]);
  assert.equal(wrong.code, 2);
  assert.match(wrong.errors, /Unknown option '--nonsense'/);
});
