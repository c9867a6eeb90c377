/**
 * The tasks of `deno.json`, loaded into the test's own process, where running all of them takes less
 * time than starting one as a process.
 *
 * @module
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { ParseArgsOptionsConfig } from "node:util";
import type { Task } from "../../supabase/tasks/task.ts";

type AnyTask = Task<ParseArgsOptionsConfig>;

/** A task, and where it comes from. */
export interface LoadedTask {
  /** As in `deno task NAME`. */
  readonly name: string;
  readonly description: string;
  /** Its module, from the root. */
  readonly path: string;
  /** The name that the module exports it by. */
  readonly constant: string;
  readonly task: AnyTask;
  /** The words that the command puts before those of the user. */
  readonly args: readonly string[];
}

const root = new URL("../../", import.meta.url);
const { tasks }: { tasks: Record<string, { description?: string; command: string }> } = JSON.parse(
  readFileSync(new URL("deno.json", root), "utf8"),
);

/** The names of all tasks. */
export const taskNames: readonly string[] = Object.keys(tasks);

/** Loads the module of every task. Call it before the first test, since a module may register a hook. */
export function loadTasks(): Promise<LoadedTask[]> {
  return Promise.all(taskNames.map(loadTask));
}

async function loadTask(name: string): Promise<LoadedTask> {
  const { command = "", description = "" } = tasks[name] ?? {};
  const [, path = "", words = ""] = /^deno run .*?(\S+\.ts)(.*)$/.exec(command) ?? [];
  const module: Record<string, unknown> = await import(new URL(path, root).href);
  const found = Object.entries(module)
    .flatMap(([constant, value]) => isTask(value) ? [{ constant, task: value }] : []);
  const [first] = found;
  assert.ok(first && found.length === 1, `${path} must export its task, and only this one`);
  return { name, description, path, ...first, args: words.split(" ").filter(Boolean) };
}

function isTask(value: unknown): value is AnyTask {
  return typeof value === "object" && value !== null && "usage" in value && "run" in value;
}
