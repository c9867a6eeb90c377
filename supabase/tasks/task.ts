/**
 * The frame of every task in `deno.json`: options, `--help`, wrong arguments, exit codes, and stopping
 * what a task started when the process is told to end.
 *
 * It imports nothing that needs a permission, because `deno task redact` runs without any.
 *
 * @module
 */

import { parseArgs, type ParseArgsOptionsConfig } from "node:util";
import { Fault } from "../../shared/errors.ts";
import { Interrupted, processTerminal, type Terminal } from "./terminal.ts";

/** How a run ends: done, something is wrong, wrong arguments or input, something is unreachable. */
export type ExitCode = 0 | 1 | 2 | 3;

/** Ends the run with a sentence. */
export class Stop extends Error {
  constructor(readonly code: ExitCode, message: string) {
    super(message);
  }
}

/** Ends the run with exit code 2: a sentence about what is wrong, then the usage. */
export class Misuse extends Error {}

/** What a task does, and its arguments. */
export interface Task<Options extends ParseArgsOptionsConfig> {
  /** What `--help` prints. Its first line begins with `deno task NAME`. */
  readonly usage: string;
  /** As for `parseArgs`; `--help` is added. */
  readonly options: Options;
  /** Whether words besides the options are allowed. */
  readonly allowPositionals?: boolean;
  /** A reason not to parse the arguments, if they must not be repeated in an error. */
  readonly refuse?: (args: readonly string[]) => string | undefined;
  /** The exit code after SIGINT, SIGTERM or SIGHUP; 130 by default. */
  readonly codeAfterSignal?: number;
  /**
   * Does the work.
   *
   * @returns The exit code, usually an {@linkcode ExitCode}.
   * @throws {Misuse | Stop} When it cannot be done; anything else is described by its message.
   */
  readonly run: (given: Given<Options>, context: TaskContext) => Promise<number> | number;
}

/** The parsed arguments. */
export type Given<Options extends ParseArgsOptionsConfig> = Pick<
  ReturnType<typeof parseArgs<{ options: Options; allowPositionals: true }>>,
  "values" | "positionals"
>;

/** The context of a run: the process, or what a test provides instead. */
export interface TaskContext {
  readonly terminal: Terminal;
  /** The environment of the process. It is read only when it is used. */
  readonly env: Readonly<Record<string, string>>;
  readonly running: Running;
}

/** A {@link TaskContext} whose `running` is optional. */
export type GivenContext = Omit<TaskContext, "running"> & Partial<Pick<TaskContext, "running">>;

/** What a run has started and must stop, however it ends. */
export class Running {
  readonly #stops: (() => Promise<void> | void)[] = [];
  #stopping: Promise<void> | undefined;

  /** Whether the run is ending. Errors from now on are a result of that. */
  get isStopping(): boolean {
    return this.#stopping !== undefined;
  }

  /**
   * Waits for something to start, and remembers how to stop it. A signal in the meantime also waits for
   * the start, so that nothing is left half started. Then the run ends here.
   *
   * @throws {Error} What `starting` throws, or that the run is ending.
   */
  async start<T>(starting: Promise<T>, stop: (started: T) => Promise<unknown> | void): Promise<T> {
    this.#stops.push(async () => {
      const settled = await starting.then((started) => ({ started }), () => undefined);
      if (settled) await stop(settled.started);
    });
    const started = await starting;
    if (this.isStopping) throw new Error("The run is ending");
    return started;
  }

  /** Stops everything once, the newest first. A second call waits for the first. */
  stop(): Promise<void> {
    return this.#stopping ??= this.#stopAll();
  }

  async #stopAll(): Promise<void> {
    for (let stop = this.#stops.pop(); stop; stop = this.#stops.pop()) await stop();
  }
}

/** Never settles. For a task that serves until the process is told to end. */
export function untilSignal(): Promise<never> {
  return new Promise(() => {});
}

/** Declares a task and infers the type of its options. */
export function defineTask<const Options extends ParseArgsOptionsConfig>(
  task: Task<Options>,
): Task<Options> {
  return task;
}

/**
 * Runs a task once, and stops what it started at the end.
 *
 * @param args The words after `deno task NAME`.
 * @returns The exit code.
 */
export async function runTask<Options extends ParseArgsOptionsConfig>(
  task: Task<Options>,
  args: readonly string[],
  context: GivenContext,
): Promise<number> {
  const { terminal, running = new Running() } = context;
  if (args.includes("--help") || args.includes("-h")) {
    terminal.print(task.usage);
    return 0;
  }
  try {
    const refusal = task.refuse?.(args);
    if (refusal !== undefined) throw new Stop(2, refusal);
    return await task.run(readArguments(task, args), {
      terminal,
      get env() {
        return context.env;
      },
      running,
    });
  } catch (thrown) {
    if (running.isStopping) return 1;
    if (thrown instanceof Misuse) {
      terminal.printError(`${thrown.message}\n${task.usage}`);
      return 2;
    }
    const { code, message } = describeFailure(thrown);
    terminal.printError(message);
    return code;
  } finally {
    await running.stop();
  }
}

/** Runs a task with the arguments of this process and ends the process. */
export async function main<Options extends ParseArgsOptionsConfig>(
  task: Task<Options>,
): Promise<never> {
  const running = new Running();
  let isSignalled = false;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, () => {
      isSignalled = true;
      running.stop().finally(() => Deno.exit(task.codeAfterSignal ?? 130));
    });
  }
  const code = await runTask(task, Deno.args, {
    terminal: processTerminal(),
    get env() {
      return Deno.env.toObject();
    },
    running,
  });
  if (isSignalled) await untilSignal();
  Deno.exit(code);
}

function readArguments<Options extends ParseArgsOptionsConfig>(
  { options, allowPositionals = false }: Task<Options>,
  args: readonly string[],
): Given<Options> {
  try {
    const given = parseArgs({ args: [...args], options, allowPositionals: true });
    const [surplus] = given.positionals;
    if (surplus !== undefined && !allowPositionals) {
      throw new Misuse(`Unexpected argument ${surplus}`);
    }
    return given;
  } catch (thrown) {
    if (thrown instanceof Misuse) throw thrown;
    // The first sentence says what is wrong. The second explains positional arguments.
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    throw new Misuse(message.split(". ")[0] ?? message);
  }
}

/**
 * Runs another program with our standard output, until it ends or the run does.
 *
 * @returns Its exit code.
 */
export async function runProgram(
  running: Running,
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<number> {
  const child = new Deno.Command(program, {
    args: [...args],
    env: { ...env },
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn();
  let hasEnded = false;
  const status = child.status.finally(() => hasEnded = true);
  await running.start(Promise.resolve(child), async () => {
    if (!hasEnded) child.kill("SIGTERM");
    await status;
  });
  return (await status).code;
}

/** The message and exit code for anything thrown. */
export function describeFailure(thrown: unknown): { code: ExitCode; message: string } {
  if (thrown instanceof Stop) return thrown;
  if (thrown instanceof Interrupted) return { code: 2, message: "Nothing was changed" };
  if (thrown instanceof Fault && thrown.code === "config_invalid") {
    return { code: 2, message: thrown.message };
  }
  return { code: 1, message: thrown instanceof Error ? thrown.message : String(thrown) };
}

/**
 * Reads which of its commands a task was given: `add FILE` in `deno task clinic add FILE`.
 *
 * @param most How many words may follow the command.
 * @throws {Misuse} When it is none of them, or when more words follow.
 */
export function readCommand<const Command extends string>(
  positionals: readonly string[],
  commands: readonly Command[],
  most = 0,
): { readonly command: Command; readonly words: readonly string[] } {
  const [given, ...words] = positionals;
  const command = commands.find((one) => one === given);
  if (command === undefined) {
    const some = commands.length > 1 ? "one of " : "";
    throw new Misuse(`Give ${some}${commands.join(", ")}`);
  }
  const surplus = words[most];
  if (surplus !== undefined) throw new Misuse(`Unexpected argument ${surplus}`);
  return { command, words };
}

/**
 * Asks a person whether to do something that was not agreed to by `--yes`.
 *
 * @param doIt What it is, as in `apply it`, and `done` as in `applied`.
 * @throws {Stop} When the answer is not yes, or nobody can be asked.
 */
export async function requireConsent(
  terminal: Terminal,
  question: string,
  doIt: string,
  done: string,
): Promise<void> {
  if (!terminal.isTerminal) throw new Stop(2, `Nothing was ${done}: give --yes to ${doIt}`);
  const answer = await terminal.ask(`${question} yes or no: `);
  if (!/^y(es)?$/i.test(answer.trim())) throw new Stop(1, `Nothing was ${done}`);
}

/**
 * Reads a whole number from an option.
 *
 * @throws {Misuse} When it is not one, or out of range.
 */
export function readNumber(
  option: string,
  text: string,
  { from, to }: { readonly from: number; readonly to: number },
): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= from && value <= to) return value;
  throw new Misuse(`${option} takes a whole number from ${from} to ${to}, not ${text}`);
}

/**
 * Reads `--url`, the address of a stack or project, without a trailing slash: `http://127.0.0.1:8000`,
 * `https://PROJECT.supabase.co`.
 *
 * @throws {Misuse} When it is something else, such as the URL of a function.
 */
export function readAddress(text: string): string {
  const url = URL.parse(text);
  if (url && /^https?:$/.test(url.protocol) && url.pathname === "/" && url.search === "") {
    return url.origin;
  }
  throw new Misuse(
    "--url takes the address of a stack or project, such as http://127.0.0.1:8000 or " +
      `https://PROJECT.supabase.co, not ${text}`,
  );
}
