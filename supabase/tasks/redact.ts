/**
 * `deno task redact`: reads JSON lines and writes them redacted, in order and as they arrive.
 *
 * Needs no permission. The content of a broken line is never repeated, because it may be personal.
 *
 * @module
 */

import { redact } from "../../shared/redaction.ts";
import { defineTask, main } from "./task.ts";
import type { Terminal } from "./terminal.ts";

const usage = `deno task redact < lines.jsonl
  reads   {"id":"1","text":"Call 07700 900123"}             one per line, from standard input
  writes  {"id":"1","redacted":"Call [REDACTED: PHONE]","spans":[{"start":5,"end":17,"type":"PHONE"}]}
  A line that is not such JSON is reported on standard error with its number; the rest is redacted.
  exit code 0: every line was redacted, 1: some were not, 2: wrong arguments`;

/** The task. */
export const redactTask = defineTask({
  usage,
  options: {},
  run: async (_, { terminal }) => {
    try {
      return await redactLines(Deno.stdin.readable, Deno.stdout.writable, terminal);
    } catch (thrown) {
      // Nobody reads our output any more, as with `head`.
      if (thrown instanceof Deno.errors.BrokenPipe) return 0;
      throw thrown;
    }
  },
});

/** Redacts one stream into another; 1 if a line was broken, else 0. */
async function redactLines(
  input: ReadableStream<Uint8Array<ArrayBuffer>>,
  output: WritableStream<Uint8Array<ArrayBuffer>>,
  terminal: Terminal,
): Promise<0 | 1> {
  const writer = output.getWriter();
  const encoder = new TextEncoder();
  let number = 0;
  let code: 0 | 1 = 0;
  for await (const lines of readLines(input)) {
    let redacted = "";
    for (const line of lines) {
      number++;
      if (line.trim() === "") continue;
      const read = readLine(line);
      if (read.ok) redacted += `${redactLine(read)}\n`;
      else {
        terminal.printError(`line ${number}: ${read.reason}`);
        code = 1;
      }
    }
    if (redacted !== "") await writer.write(encoder.encode(redacted));
  }
  return code;
}

/** The lines of a stream, in groups as they arrive. The last line needs no line break. */
async function* readLines(
  input: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<string[]> {
  // Parts of an incomplete line. Joining them at each chunk would be quadratic for a long line.
  let parts: string[] = [];
  for await (const chunk of input.pipeThrough(new TextDecoderStream())) {
    const [first = "", ...others] = chunk.split("\n");
    parts.push(first);
    const last = others.pop();
    if (last === undefined) continue;
    yield [parts.join(""), ...others];
    parts = [last];
  }
  yield [parts.join("")];
}

type Line =
  | { readonly ok: true; readonly id: string | number; readonly text: string }
  | { readonly ok: false; readonly reason: string };

function readLine(line: string): Line {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return { ok: false, reason: 'this is not JSON; expected {"id": ..., "text": "..."}' };
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return { ok: false, reason: 'this is not a JSON object; expected {"id": ..., "text": "..."}' };
  }
  const { id, text }: { id?: unknown; text?: unknown } = value;
  if (typeof id !== "string" && typeof id !== "number") {
    return { ok: false, reason: '"id" must be a string or a number' };
  }
  if (typeof text !== "string") return { ok: false, reason: '"text" must be a string' };
  return { ok: true, id, text };
}

function redactLine({ id, text }: { id: string | number; text: string }): string {
  const { text: redacted, spans } = redact(text);
  return JSON.stringify({ id, redacted, spans });
}

if (import.meta.main) await main(redactTask);
