/**
 * Tasks that a test runs: in its own process with a terminal that records, or in one apart.
 *
 * @module
 */

import type { ParseArgsOptionsConfig } from "node:util";
import { runTask, type Task } from "../../supabase/tasks/task.ts";
import type { Terminal } from "../../supabase/tasks/terminal.ts";

const root = new URL("../../", import.meta.url);

/**
 * A terminal that records what is printed: by stream, and all of it in order.
 *
 * @param input The content of standard input.
 * @param typed Answers to the task's questions, one each; if left out, it cannot ask.
 */
export function aTerminal(
  { input = "", typed }: { readonly input?: string; readonly typed?: readonly string[] } = {},
) {
  const answers = [...typed ?? []];
  const out: string[] = [];
  const errors: string[] = [];
  const lines: string[] = [];
  const terminal: Terminal = {
    isTerminal: typed !== undefined,
    readAll: () => Promise.resolve(input),
    ask: (question) => {
      terminal.print(question);
      const answer = answers.shift();
      return answer === undefined
        ? Promise.reject(new Error(`Nobody answers: ${question}`))
        : Promise.resolve(answer);
    },
    print: (line) => void (out.push(line), lines.push(line)),
    printError: (line) => void (errors.push(line), lines.push(line)),
  };
  return { terminal, out, errors, lines };
}

/**
 * Runs a task.
 *
 * @param given As for {@link aTerminal}.
 * @returns Its exit code, and all that it printed.
 */
export async function runHere<Options extends ParseArgsOptionsConfig>(
  task: Task<Options>,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  given: Parameters<typeof aTerminal>[0] = {},
): Promise<{ code: number; said: string }> {
  const { terminal, lines } = aTerminal(given);
  const code = await runTask(task, args, { env, terminal });
  return { code, said: lines.join("\n") };
}

/**
 * Runs Deno in a process apart, as an operator does, without input.
 *
 * @param options.cwd The root of the repository if left out.
 * @returns Its exit code, what it wrote to each stream, and all of it.
 */
export async function runApart(
  args: readonly string[],
  { cwd = root, env = {} }: { cwd?: string | URL; env?: Readonly<Record<string, string>> } = {},
): Promise<{ code: number; output: string; errors: string; said: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd,
    env: { NO_COLOR: "1", ...env },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  const [output, errors] = [decoder.decode(stdout), decoder.decode(stderr)];
  return { code, output, errors, said: output + errors };
}
