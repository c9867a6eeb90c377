/**
 * `deno task check`: what can be said about the code without running it.
 *
 * @module
 */

import { defineTask, main, runProgram } from "../supabase/tasks/task.ts";

const usage = `deno task check
  checks format, lint rules and types of every file, with the dependencies that deno.lock has
  exit code 0: everything is right, 1: something is wrong, 2: wrong arguments`;

const checks = [
  ["fmt", "--check", "--quiet"],
  ["lint", "--quiet"],
  // With a setting in deno.json instead of --frozen, Supabase's CLI could not deploy.
  ["check", "--frozen", "--quiet", "."],
] as const;

/** The task. */
export const check = defineTask({
  usage,
  options: {},
  run: async (_, { running }) => {
    const codes = await Promise.all(
      checks.map((args) => runProgram(running, Deno.execPath(), args)),
    );
    return codes.every((code) => code === 0) ? 0 : 1;
  },
});

if (import.meta.main) await main(check);
