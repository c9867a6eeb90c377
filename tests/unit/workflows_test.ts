/** The workflows can run: everything that they refer to exists, is pinned, and is explained. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { parse } from "yaml";
import { z } from "zod";

const root = new URL("../../", import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), "utf8");

const workflow = z.object({
  on: z.record(z.string(), z.unknown()),
  permissions: z.object({ contents: z.literal("read") }),
  jobs: z.record(
    z.string(),
    z.object({
      needs: z.union([z.string().transform((name) => [name]), z.array(z.string())]).default([]),
      if: z.string().optional(),
      uses: z.string().optional(),
      with: z.record(z.string(), z.unknown()).default({}),
      environment: z.string().optional(),
      "timeout-minutes": z.number().optional(),
      steps: z.array(z.object({
        uses: z.string().optional(),
        run: z.string().optional(),
        with: z.record(z.string(), z.unknown()).default({}),
      })).default([]),
    }),
  ),
});

const folder = ".github/workflows/";
const texts = new Map(
  readdirSync(new URL(folder, root)).map((name) => [name, read(folder + name)] as const),
);
const workflows = new Map(
  [...texts].map(([name, text]) => [name, workflow.parse(parse(text))] as const),
);
const jobs = [...workflows].flatMap(([file, { jobs }]) =>
  Object.entries(jobs).map(([name, job]) => ({ file, name, ...job }))
);

Deno.test("every action is pinned to a commit, and every job has a time limit", () => {
  for (const { file, name, steps, uses, "timeout-minutes": minutes } of jobs) {
    for (const step of steps) {
      if (step.uses !== undefined) assert.match(step.uses, /^[\w-]+\/[\w-]+@[0-9a-f]{40}$/, file);
    }
    if (uses === undefined) assert.ok(minutes !== undefined && minutes <= 60, `${file}: ${name}`);
  }
  // The version is in a comment after each, for people.
  for (const [file, text] of texts) {
    for (const [line] of text.matchAll(/^.*@[0-9a-f]{40}.*$/gm)) {
      assert.match(line, /# v\d+\.\d+\.\d+$/, file);
    }
  }
});

Deno.test("a job waits for jobs that exist, and gives a called workflow what it takes", () => {
  const called = z.object({
    inputs: z.record(z.string(), z.object({ required: z.boolean().optional() })),
  });
  for (const { file, name, needs, uses, with: given } of jobs) {
    for (const needed of needs) {
      assert.ok(jobs.some((job) => job.file === file && job.name === needed), `${name}: ${needed}`);
    }
    if (uses === undefined) continue;
    const target = workflows.get(uses.replace(`./${folder}`, ""));
    assert.ok(target, `${file}: there is no ${uses}`);
    const { inputs } = called.parse(target.on["workflow_call"]);
    for (const key of Object.keys(given)) assert.ok(key in inputs, `${uses} takes no ${key}`);
    for (const [key, { required }] of Object.entries(inputs)) {
      if (required) assert.ok(key in given, `${name} does not give ${key} to ${uses}`);
    }
  }
});

Deno.test("production follows staging and the gate, and a roll-back leaves the database", () => {
  const of = (name: string) => {
    const found = jobs.find((job) => job.file === "deploy.yml" && job.name === name);
    assert.ok(found, name);
    return found;
  };
  assert.ok(of("production").needs.includes("staging"));
  assert.ok(of("staging").needs.includes("gate"));
  assert.equal(of("gate").uses, "./.github/workflows/ci.yml");
  assert.equal(of("staging").with["environment"], "staging");
  for (const name of ["production", "roll-back"]) {
    assert.equal(of(name).with["environment"], "production");
  }
  assert.equal(of("roll-back").with["functions_only"], true);
  // A job without its own condition would be skipped, or run, under the wrong ones.
  for (const name of ["gate", "staging", "production"]) {
    assert.equal(of(name).if, "${{ !inputs.roll_back }}");
  }
  assert.equal(of("roll-back").if, "${{ inputs.roll_back }}");
});

Deno.test("tasks, options and files in the workflows exist", () => {
  const { tasks } = z.object({ tasks: z.record(z.string(), z.object({ command: z.string() })) })
    .parse(JSON.parse(read("deno.json")));
  const lines = jobs.flatMap(({ steps }) => steps.flatMap(({ run }) => run?.split("\n") ?? []));
  const commands = lines.flatMap((line) => {
    const [, task = "", words = ""] = /^deno task (\S+)(.*)$/.exec(line) ?? [];
    return task === "" ? [] : [{ task, words: words.match(/--[\w-]+|(?<= )[a-z]+(?= |$)/g) ?? [] }];
  });
  assert.deepEqual([...new Set(commands.map(({ task }) => task))].sort(), ["deploy", "load"]);
  for (const { task, words } of commands) {
    const script = tasks[task]?.command.split(" ").find((word) => word.endsWith(".ts")) ?? "";
    for (const word of words) {
      const isKnown = read(script).includes(word) || existsSync(new URL(`k6/${word}.ts`, root));
      assert.ok(isKnown, `deno task ${task} does not know ${word}`);
    }
  }
  for (
    const [, path = ""] of [...texts.values()].join("\n").matchAll(/(?<=[ :])(k6\/\S+|\.ci\/\w+)/g)
  ) {
    assert.ok(existsSync(new URL(path, root)), path);
  }
  const { dependencies } = z.object({ dependencies: z.record(z.string(), z.string()) })
    .parse(JSON.parse(read(".ci/hosted/package.json")));
  for (
    const [, name = ""] of texts.get("put-live.yml")?.matchAll(/node_modules\/(@\w+\/[\w-]+)/g) ??
      []
  ) {
    assert.ok(name in dependencies, name);
  }
});

Deno.test("the workflows have one version of Deno, and every setting is explained", () => {
  const steps = jobs.flatMap((job) => job.steps);
  const versions = new Set(steps.flatMap(({ with: given }) => given["deno-version"] ?? []));
  const { dependencies: { deno } } = JSON.parse(read(".ci/deno/package.json"));
  assert.deepEqual([...versions], [deno]);
  const named = [...texts.values()].flatMap((
    text,
  ) => [...text.matchAll(/\b(?:vars|secrets)\.(\w+)/g)]);
  assert.ok(named.length > 5);
  const deploy = read("docs/deploy.md");
  for (const [, name = ""] of named) assert.ok(deploy.includes(`\`${name}\``), name);
});
