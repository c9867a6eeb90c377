/** The stack as a user sees it: start it, call it, stop it. HTTP and processes only. */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { startStack } from "../../supabase/tasks/stack.ts";
import { fullLengthOnly } from "../support/length.ts";
import { runApart } from "../support/terminal.ts";

/** States of these tests. The next tests continue with the first one, which saves time. */
const states = { book: "e2e-book", other: "e2e-other" };

const run = (...args: string[]) => runApart(["task", ...args]);

/** The arguments of a task, as the stack printed its command. */
function printed(stack: { output(): string }, task: string): string[] {
  const found = new RegExp(`^(?:deno|npx --yes deno@\\S+) task (${task}\\b.*)$`, "m");
  const [, words = ""] = found.exec(stack.output()) ?? [];
  assert.notEqual(words, "", stack.output());
  return words.split(" ");
}

Deno.test(
  "a started stack books a call at each clinic, answers its own curl, and ends on SIGINT",
  async () => {
    const stack = await startStack(["--fresh"], states.book, { logLevel: "warning" });
    try {
      const called = await run(...printed(stack, "call"));
      assert.equal(called.code, 0, called.said);
      assert.equal(called.said.match(/ms {2}confirmed/g)?.length, 2);
      // Nobody types: the agent greets, and the caller has hung up.
      const talked = await run(...printed(stack, "talk"));
      assert.equal(talked.code, 0, talked.said);
      assert.match(talked.said, /agent: Sunrise Dental, how can I help\?\nThe call is over/);
      const monitored = await run(...printed(stack, "monitor"), "--metric", "otp_success_rate");
      assert.equal(monitored.code, 0, monitored.said);
      assert.match(monitored.said, /100\.0 % .* of 2 /);
      const examined = await run("doctor", "--url", stack.url);
      assert.equal(examined.code, 0, examined.said);
      const curl = /curl -s [^]*?'\n(?=\n)/.exec(stack.output())?.[0] ?? "";
      const shell = new Deno.Command("sh", { args: ["-c", curl], stdin: "null" });
      const { stdout } = await shell.output();
      assert.match(new TextDecoder().decode(stdout), /slotId/);
      const health = await (await fetch(`${stack.url}/health`)).json();
      assert.match(health.database, /^PostgreSQL 1[5-9]/);
      const page = await (await fetch(`${stack.url}/`)).text();
      assert.match(page, /console/);
      assert.equal(await countAppointments(stack.url, "confirmed"), 2);
      assert.equal(called.said.match(/text to \*\*\*\d\d: ".*: you are booked for /g)?.length, 2);
      // A code and a confirmation at each clinic, each sent and delivered.
      const reports = await untilReported(stack.url, 8);
      assert.deepEqual(reports.map(({ answered }) => answered), Array(8).fill(204));
      const port = new URL(stack.url).port;
      const second = await run("start", "--state", states.other, "--port", port);
      assert.equal(second.code, 1);
      assert.match(second.said, /is taken/);
      // Its counts are recorded a second later, which is after the end.
      await shell.output();
    } finally {
      await stack.stop();
    }
    assert.doesNotMatch(stack.output(), /recording_delayed/);
    const after = await fetch(`${stack.url}/health`).then(() => "up", () => "down");
    assert.equal(after, "down");
  },
);

Deno.test(
  "a killed stack starts again with its state, and damaged state is named",
  fullLengthOnly,
  async () => {
    const state = states.book;
    const first = await startStack([], state);
    const appointments = await countAppointments(first.url);
    assert.equal((await run("call", "--url", first.url, "--clinic", "hudson")).code, 0);
    Deno.kill(first.pid, "SIGKILL");
    const second = await startStack([], state);
    // The texts are gone with the process, the appointment is not.
    assert.equal(await countAppointments(second.url), appointments + 1);
    const envFile = printed(second, "credentials").at(-1) ?? "";
    await second.stop();
    const secrets = `${dirname(envFile)}/secrets.json`;
    Deno.writeTextFileSync(secrets, "{");
    const damaged = await run("start", "--state", state);
    assert.equal(damaged.code, 1);
    assert.match(damaged.said, /Cannot read \S+secrets\.json: it is damaged.*--fresh/);
  },
);

Deno.test(
  "--fresh clears damaged state; a public host name serves the functions alone, and refuses the secret in the repository",
  fullLengthOnly,
  async () => {
    const publicHost = "demo.example.org";
    const stack = await startStack(["--fresh", "--public-host", publicHost], states.book);
    try {
      assert.equal(await countAppointments(stack.url), 0);
      const secret = /X-Vapi-Secret: (\S+)/.exec(stack.output())?.[1] ?? "";
      const status = async (path: string, given: string) => {
        const response = await fetch(stack.url + path, {
          method: "POST",
          headers: { "x-forwarded-host": publicHost, "x-vapi-secret": given },
          body: '{"message":{"type":"status-update"}}',
        });
        await response.body?.cancel();
        return response.status;
      };
      assert.equal(await status("/functions/v1/vapi-webhook", secret), 200);
      assert.equal(await status("/functions/v1/vapi-webhook", "local-vapi-secret"), 401);
      assert.equal(await status("/local/faults", secret), 403);
      const wrong = await run("start", "--state", states.other, "--public-host", "https://x.org");
      assert.equal(wrong.code, 2);
    } finally {
      await stack.stop();
    }
  },
);

/** How many appointments a stack has, of all or of one status. */
async function countAppointments(url: string, status?: string): Promise<number> {
  const rows: { readonly status: string }[] = await (await fetch(`${url}/local/appointments`))
    .json();
  return rows.filter((row) => status === undefined || row.status === status).length;
}

interface Report {
  readonly answered: number;
}

/** Waits until Twilio has reported on this many texts: sent and delivered for each. */
async function untilReported(url: string, count: number): Promise<readonly Report[]> {
  const endsAt = performance.now() + 20_000;
  while (performance.now() < endsAt) {
    const reports: Report[] = await (await fetch(`${url}/local/reports`)).json();
    if (reports.length >= count) return reports;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`Twilio did not post ${count} reports`);
}
