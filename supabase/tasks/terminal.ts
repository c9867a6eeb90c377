// deno-lint-ignore-file no-console -- what the operator sees
/**
 * Input and output of an operator's task.
 *
 * @module
 */

/** A terminal, or a substitute for one. */
export interface Terminal {
  /** Whether a person types; otherwise standard input is a file or a pipe. */
  readonly isTerminal: boolean;
  /** Everything on standard input. */
  readAll(): Promise<string>;
  /** Asks for one line. A hidden one is not shown while it is typed. */
  ask(question: string, options?: { readonly hidden?: boolean }): Promise<string>;
  print(line: string): void;
  printError(line: string): void;
}

/** The operator pressed Ctrl-C or Ctrl-D. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
}

/** What a terminal needs: standard input and output, or a test's. */
export interface Keyboard {
  /** Undefined at the end. */
  read(): Promise<Uint8Array | undefined>;
  write(text: string): void;
  /** In raw mode nothing is echoed and every key arrives immediately. */
  setRaw(isRaw: boolean): void;
}

/** The process's terminal. */
export function processTerminal(): Terminal {
  return {
    isTerminal: Deno.stdin.isTerminal(),
    readAll: () => new Response(Deno.stdin.readable).text(),
    ask: (question, { hidden = false } = {}) => readLine(processKeyboard(), question, hidden),
    print: (line) => console.log(line),
    printError: (line) => console.error(line),
  };
}

function processKeyboard(): Keyboard {
  const buffer = new Uint8Array(1024);
  const encoder = new TextEncoder();
  return {
    read: async () => {
      const count = await Deno.stdin.read(buffer);
      return count === null ? undefined : buffer.slice(0, count);
    },
    // Prompts go to standard error, because standard output is for results.
    write: (text) => void Deno.stderr.writeSync(encoder.encode(text)),
    setRaw: (isRaw) => Deno.stdin.setRaw(isRaw),
  };
}

/**
 * Reads a line key by key in raw mode. In that mode the terminal shows nothing itself, so visible input
 * is echoed here.
 *
 * @throws {Interrupted} On Ctrl-C, Ctrl-D or the end of the input. The terminal is restored.
 */
export async function readLine(
  keyboard: Keyboard,
  question: string,
  isHidden: boolean,
): Promise<string> {
  // Before the question is shown, so that early input is hidden too.
  keyboard.setRaw(true);
  keyboard.write(question);
  const decoder = new TextDecoder();
  let line = "";
  try {
    while (true) {
      const keys = await keyboard.read();
      if (keys === undefined) throw new Interrupted("The input ended");
      const typed = decoder.decode(keys, { stream: true });
      // Arrow and function keys.
      if (typed.startsWith("\u001b")) continue;
      for (const key of typed) {
        if (key === "\r" || key === "\n") return line;
        if (key === "\x03" || key === "\x04") throw new Interrupted("Interrupted by the operator");
        if (key === "\x7f" || key === "\b") {
          if (line !== "" && !isHidden) keyboard.write("\b \b");
          line = [...line].slice(0, -1).join("");
        } else if (key >= " ") {
          line += key;
          if (!isHidden) keyboard.write(key);
        }
      }
    }
  } finally {
    keyboard.setRaw(false);
    keyboard.write("\n");
  }
}
