/**
 * `deno task races`: the races and crashes of the tests at full length.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { defineTask, main, runProgram } from "../supabase/tasks/task.ts";

const usage = `deno task races
  runs the races and crashes of the tests at full length: the same as
  deno task test --full tests/domain/races_test.ts tests/domain/crash_test.ts
  exit code 0: every promise held, 1: one did not, 2: wrong arguments`;

/** The task. */
export const races = defineTask({
  usage,
  options: {},
  run: (_, { running }) => {
    const pathOf = (path: string) => fileURLToPath(new URL(path, import.meta.url));
    const files = ["domain/races_test.ts", "domain/crash_test.ts"].map(pathOf);
    return runProgram(running, Deno.execPath(), [
      "run",
      "-A",
      pathOf("run.ts"),
      "--full",
      ...files,
    ]);
  },
});

if (import.meta.main) await main(races);
