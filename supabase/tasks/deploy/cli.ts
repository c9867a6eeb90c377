/**
 * Supabase's command-line program: found, asked for JSON, and run.
 *
 * @module
 */

import { z } from "zod";
import { type Running, runProgram, Stop } from "../task.ts";

/** The program, of a version that knows `--remote`. */
export interface SupabaseCli {
  /**
   * Runs a command that reads, and checks what it printed.
   *
   * @throws {Stop} When it fails, with its own message.
   */
  read<T>(args: readonly string[], shape: z.ZodType<T>): Promise<T>;
  /**
   * Runs a command that changes something, without questions; its output is ours.
   *
   * @throws {Stop} When it fails.
   */
  change(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<void>;
}

/** The version that the gate deploys with. */
const testedVersion = "3.1.0";
const install = `install it with npm install --global supabase@${testedVersion}, or name the ` +
  "program in SUPABASE_CLI";

/**
 * Finds the program in `SUPABASE_CLI` or on the `PATH`.
 *
 * @throws {Stop} When there is none, or it is older than version 3: there `--remote` is unknown, and
 * `db push` means the linked project instead of the local stack.
 */
export async function findCli(
  env: Readonly<Record<string, string>>,
  running: Running,
): Promise<SupabaseCli> {
  const program = env["SUPABASE_CLI"] || "supabase";
  const version = (await capture(program, ["--version"])).stdout.trim();
  if (Number(/^v?(\d+)\./.exec(version)?.[1] ?? 0) < 3) {
    throw new Stop(
      2,
      `${program} is Supabase's CLI ${version}, and 3 or later is needed: ${install}`,
    );
  }
  return {
    read: async (args, shape) => {
      const { stdout, stderr } = await capture(program, [...args, "--output-format", "json"]);
      const answer = readJson(stdout);
      const parsed = shape.safeParse(answer);
      if (parsed.success) return parsed.data;
      const refused = failure.safeParse(answer).data?.error.message;
      const said = refused ?? (stderr.trim() || "an answer that is not understood");
      throw new Stop(3, `supabase ${args.slice(0, 2).join(" ")}: ${said}`);
    },
    change: async (args, more) => {
      const code = await runProgram(running, program, [...args, "--yes"], more);
      if (code !== 0) {
        throw new Stop(1, `supabase ${args.slice(0, 2).join(" ")} ended with ${code}`);
      }
    },
  };
}

const failure = z.object({ error: z.object({ message: z.string() }) });

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function capture(
  program: string,
  args: readonly string[],
): Promise<{ stdout: string; stderr: string }> {
  try {
    const { stdout, stderr } = await new Deno.Command(program, {
      args: [...args],
      env: { NO_COLOR: "1" },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).output();
    const decoder = new TextDecoder();
    return { stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  } catch (thrown) {
    if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
    throw new Stop(2, `Supabase's CLI is not there: ${install}`);
  }
}
