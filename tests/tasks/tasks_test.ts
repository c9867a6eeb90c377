/** Every task of deno.json explains its use, refuses unknown options, and stops what it started. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { findFreePort, tryPort } from "../../supabase/local/port.ts";
import { hidePassword } from "../../supabase/tasks/backup/programs.ts";
import { loadSettings, withDatabase } from "../../supabase/tasks/database.ts";
import {
  defineTask,
  describeFailure,
  Misuse,
  readAddress,
  readCommand,
  readNumber,
  Running,
  runTask,
  Stop,
} from "../../supabase/tasks/task.ts";
import { vapi } from "../../supabase/tasks/vapi.ts";
import { webhooks } from "../../supabase/tasks/webhooks.ts";
import { bench } from "../bench/run.ts";
import { atLength } from "../support/length.ts";
import { loadTasks, taskNames } from "../support/tasks.ts";
import { aTerminal, runApart } from "../support/terminal.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** The arguments that make a task say how it is used, and those that it refuses. */
const questions = { help: "--help", unknown: "--no-such-option" };

interface Answer {
  readonly code: number;
  readonly output: string;
  readonly errors: string;
}

function checkAnswers(name: string, help: Answer, wrong: Answer): void {
  assert.equal(help.code, 0, help.errors);
  // bench:sql is another name for bench sql.
  assert.ok(help.output.startsWith(`deno task ${name.split(":")[0]}`), help.output);
  assert.match(help.output, /exit code 0/);
  assert.equal(wrong.code, 2, wrong.output + wrong.errors);
  assert.equal(wrong.output, "");
  assert.equal(wrong.errors, `Unknown option '${questions.unknown}'\n${help.output}`);
}

for (const { name, description, path, constant, task, args } of await loadTasks()) {
  Deno.test(`deno task ${name} --help says how it is used, and a wrong option is refused`, async () => {
    assert.match(description, /^[A-Z].*[^.]$/);
    const ask = async (question: string) => {
      const { terminal, out, errors } = aTerminal();
      const code = await runTask(task, [...args, question], { env: {}, terminal });
      return { code, output: out.join("\n"), errors: errors.join("\n") };
    };
    checkAnswers(name, await ask(questions.help), await ask(questions.unknown));
    const source = readFileSync(`${root}${path}`, "utf8");
    assert.ok(source.endsWith(`\nif (import.meta.main) await main(${constant});\n`), path);
  });
}

Deno.test("each bench refuses the words and options that it does not take, and measures nothing", async () => {
  const cases = [
    ["", "Give one of rest, sql, call, textbook, growth, cold, attack, overload"],
    ["call many", "CALLERS takes a whole number from 1 to 10000, not many"],
    ["call 8 9", "Unexpected argument 9"],
    ["overload 10 many", "CALLERS takes a whole number from 1 to 10000, not many"],
    ["growth 1", "ROWS takes a whole number from 1000 to 100000000, not 1"],
    ["sql G2 G99", "There is no goal G99: give some of G2, G3, G5, G6, G7, G13"],
    ["cold --quick", "bench cold takes no --quick"],
    ["textbook --beside .", "bench textbook takes no --beside"],
    ["rest more", "Unexpected argument more"],
  ];
  for (const [words = "", said] of cases) {
    const { terminal, out, errors } = aTerminal();
    const args = words.split(" ").filter(Boolean);
    assert.equal(await runTask(bench, args, { env: {}, terminal }), 2, words);
    assert.deepEqual([out, errors.join("\n").split("\n")[0]], [[], said]);
  }
});

Deno.test("a task with commands takes one of them, and names a superfluous word", () => {
  const commands = ["add", "list"] as const;
  assert.deepEqual(readCommand(["add", "FILE"], commands, 1), { command: "add", words: ["FILE"] });
  for (
    const [words, said] of [
      [[], "Give one of add, list"],
      [["ad"], "Give one of add, list"],
      [["list", "it"], "Unexpected argument it"],
    ] as const
  ) assert.throws(() => readCommand(words, commands), { message: said });
  assert.throws(() => readCommand([], ["verify"]), { message: "Give verify" });
});

Deno.test("what a command of vapi or webhooks needs is asked for before any setting", async () => {
  for (
    const [words, said] of [
      ["vapi sync", "sync needs --org"],
      ["vapi export --org x", "export needs --gitops"],
      ["webhooks test --org x", "test needs --id"],
    ] as const
  ) {
    const [name, ...args] = words.split(" ");
    const { terminal, errors } = aTerminal();
    const context = { env: {}, terminal };
    const code = name === "vapi" ? runTask(vapi, args, context) : runTask(webhooks, args, context);
    assert.equal(await code, 2);
    assert.equal(errors.join("\n").split("\n")[0], said);
  }
});

// In a process as an operator starts it: one with many modules, one with arguments, one without permissions.
for (
  const name of atLength({ short: ["start", "bench:sql", "redact"], full: taskNames })
) {
  Deno.test(`deno task ${name} in a process answers --help and refuses a wrong option`, async () => {
    const ask = async (question: string) => {
      const { code, output, errors } = await runApart(["task", "--quiet", name, question]);
      return { code, output: output.trimEnd(), errors: errors.trimEnd() };
    };
    checkAnswers(name, await ask(questions.help), await ask(questions.unknown));
  });
}

Deno.test("settings: a file of --env overrides the environment, which overrides .env", async () => {
  const home = Deno.cwd();
  const folder = Deno.makeTempDirSync();
  try {
    Deno.chdir(folder);
    const env = { COFFEE: "of the environment", TEA: "of the environment" };
    assert.deepEqual(await loadSettings({}, env), env);
    for (const file of [".env", "given.env"]) {
      Deno.writeTextFileSync(file, "TEA=of the file\nMILK=of the file\nCOFFEE=\n");
    }
    const milk = { MILK: "of the file" };
    assert.deepEqual(await loadSettings({}, env), { ...milk, ...env });
    assert.deepEqual(await loadSettings({ env: "given.env" }, env), {
      ...milk,
      ...env,
      TEA: "of the file",
    });
    await assert.rejects(loadSettings({ env: "absent.env" }, env), Stop);
  } finally {
    Deno.chdir(home);
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test("every task that takes --env FILE reads its settings in this order", async () => {
  const readers = (await loadTasks()).filter(({ task }) => "env" in task.options);
  assert.ok(readers.length > 10);
  for (const { path } of readers) {
    assert.match(readFileSync(`${root}${path}`, "utf8"), /loadSettings\(/, path);
  }
});

const usage = "deno task pour [--cups N]";

Deno.test("a database's URL that cannot be read is not repeated, because it has a password", async () => {
  const unreadable = (thrown: unknown) => {
    assert.ok(thrown instanceof Stop);
    assert.equal(thrown.code, 2);
    assert.match(thrown.message, /cannot be read/);
    assert.doesNotMatch(thrown.message, /hunter/);
    return true;
  };
  for (const password of ["hunter#2", "hunter/2", "hunter?2", "hunter%zz"]) {
    const url = `postgres://postgres:${password}@127.0.0.1:1/postgres`;
    await assert.rejects(withDatabase(url, () => Promise.resolve()), unreadable);
  }
  assert.throws(() => hidePassword("postgres://u:hunter2@one:1,two:2/postgres"), unreadable);
});

Deno.test("a file that cannot be written is not taken for a database that cannot be reached", async () => {
  const url = "postgres://postgres:x@127.0.0.1:1/postgres";
  const write = () => writeFile("/nowhere/file", "");
  await assert.rejects(withDatabase(url, write), (thrown) => {
    assert.ok(thrown instanceof Stop);
    assert.deepEqual([thrown.code, thrown.message], [
      1,
      "Cannot read or write /nowhere/file (ENOENT)",
    ]);
    return true;
  });
});

Deno.test("a task gets parsed arguments, and its errors become a sentence and an exit code", async () => {
  const pour = (run: (cups: string) => number) =>
    defineTask({
      usage,
      options: { cups: { type: "string", default: "1" } },
      run: ({ values: { cups } }) => run(cups),
    });
  const fail = (thrown: unknown) =>
    pour(() => {
      throw thrown;
    });
  const cases = [
    [pour((cups) => Number(cups) - 3), ["--cups", "3"], 0, ""],
    [pour(() => 99), [], 99, ""],
    [pour(() => 0), ["tea"], 2, `Unexpected argument tea\n${usage}`],
    [pour(() => 0), ["--cups"], 2, `Option '--cups <value>' argument missing\n${usage}`],
    [
      pour((cups) => readNumber("--cups", cups, { from: 1, to: 9 })),
      ["--cups", "10"],
      2,
      `--cups takes a whole number from 1 to 9, not 10\n${usage}`,
    ],
    [fail(new Misuse("Too hot")), [], 2, `Too hot\n${usage}`],
    [fail(new Stop(3, "No water")), [], 3, "No water"],
    [fail(new Error("Cannot pour: the cup is broken")), [], 1, "Cannot pour: the cup is broken"],
  ] as const;
  for (const [task, args, code, said] of cases) {
    const { terminal, errors } = aTerminal();
    assert.equal(await runTask(task, args, { env: {}, terminal }), code);
    assert.equal(errors.join("\n"), said);
  }
  assert.equal(describeFailure("spilled").message, "spilled");
});

Deno.test("everything that a task started is stopped once, newest first, even while it is starting", async () => {
  const events: string[] = [];
  const running = new Running();
  const starting = Promise.withResolvers<string>();
  const { terminal, errors } = aTerminal();
  const serve = defineTask({
    usage,
    options: {},
    run: async (_, { running }) => {
      const stop = (name: string) => void events.push(`stop ${name}`);
      await running.start(Promise.resolve("first"), stop);
      events.push("starting");
      await running.start(starting.promise, stop);
      events.push("never");
      return 0;
    },
  });
  const ended = runTask(serve, [], { env: {}, terminal, running });
  while (events.length === 0) await Promise.resolve();
  const stopped = running.stop();
  starting.resolve("second");
  await Promise.all([stopped, ended, running.stop()]);
  assert.deepEqual(events, ["starting", "stop second", "stop first"]);
  // A failure that is caused by stopping is not reported.
  assert.deepEqual(errors, []);
});

Deno.test("an address is that of a stack or project, not of one function", () => {
  assert.equal(readAddress("http://127.0.0.1:8000/"), "http://127.0.0.1:8000");
  assert.equal(readAddress("https://abc.supabase.co"), "https://abc.supabase.co");
  for (const wrong of ["nowhere", "ftp://x", "http://127.0.0.1:8000/functions/v1/metrics"]) {
    assert.throws(() => readAddress(wrong), /--url takes the address of a stack/);
  }
});

Deno.test("a port is free or taken", () => {
  const port = findFreePort(18_000);
  assert.deepEqual(tryPort(port), { kind: "free" });
  const listener = Deno.listen({ hostname: "127.0.0.1", port });
  try {
    assert.deepEqual(tryPort(port), { kind: "taken" });
    assert.notEqual(findFreePort(port), port);
  } finally {
    listener.close();
  }
});
