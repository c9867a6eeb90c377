/**
 * The terminal of a task that a test runs in its own process.
 *
 * @module
 */

import type { Terminal } from "../../supabase/tasks/terminal.ts";

/** A terminal that keeps what is printed: by stream, and all of it in order. Nobody can be asked. */
export function aTerminal(input = "") {
  const out: string[] = [];
  const errors: string[] = [];
  const lines: string[] = [];
  const terminal: Terminal = {
    isTerminal: false,
    readAll: () => Promise.resolve(input),
    ask: () => Promise.reject(new Error("nobody to ask")),
    print: (line) => void (out.push(line), lines.push(line)),
    printError: (line) => void (errors.push(line), lines.push(line)),
  };
  return { terminal, out, errors, lines };
}
