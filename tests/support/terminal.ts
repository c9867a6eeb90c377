/**
 * The terminal of a task that a test runs in its own process.
 *
 * @module
 */

import type { Terminal } from "../../supabase/tasks/terminal.ts";

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
