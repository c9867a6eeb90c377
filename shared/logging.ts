// deno-lint-ignore-file no-console -- the one module that writes to the console
/**
 * The only way to the log: one JSON line for each event, redacted before it is written.
 *
 * Personal data is removed here, by pattern and by field name, so that no caller can forget it. There
 * is no logging library underneath: it would add nothing to a comparison of levels and a call of the
 * console.
 *
 * @module
 */

import type { Config } from "./config.ts";
import { concealing, personalTexts, redactValue } from "./redaction.ts";

/** Fields of a log line; a `fault` is written with type, code, message, cause and stack. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Writes log lines. `event` is a constant; everything that varies goes into the fields. */
export interface Log {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
  fatal(event: string, fields?: LogFields): void;
  /**
   * The same log for one call. It also removes the values of the call's personal arguments, wherever
   * they occur: if the database quotes a patient's name in an error, the name is not logged.
   */
  concealing(given: unknown): Log;
}

const levels = ["debug", "info", "warn", "error", "fatal"] as const;
type Level = typeof levels[number];

/**
 * Creates a log.
 *
 * @param lowest The lowest level written.
 * @param write Receives each line; writes to the console by default.
 */
export function openLog(
  lowest: Config["logLevel"],
  write: (line: string) => void = console.log,
): Log {
  return logTo(write, levels.indexOf(lowest === "warning" ? "warn" : lowest), []);
}

function logTo(
  write: (line: string) => void,
  lowest: number,
  concealed: readonly string[],
  conceal: (text: string) => string = concealing(concealed),
): Log {
  const writer = (level: Level) => (event: string, fields: LogFields = {}) => {
    if (levels.indexOf(level) < lowest) return;
    try {
      write(lineOf({ level, time: new Date().toISOString(), event }, fields, conceal));
    } catch {
      // The console cannot be written to. Losing a line is better than losing an answer.
    }
  };
  return {
    debug: writer("debug"),
    info: writer("info"),
    warn: writer("warn"),
    error: writer("error"),
    fatal: writer("fatal"),
    concealing: (given) => {
      const texts = personalTexts(given);
      return texts.length === 0
        ? logTo(write, lowest, concealed, conceal)
        : logTo(write, lowest, [...concealed, ...texts]);
    },
  };
}

/** Supabase cuts lines at 10,000 characters, which would leave invalid JSON. */
const lineLimit = 10_000;
/** For the fields' values, before quotes and escapes are added. */
const fieldsLimit = 6000;
/** Short enough even if every character is escaped by six (`\u0000`). */
const emergencyLimit = 1000;

function lineOf(head: object, fields: LogFields, conceal: (text: string) => string): string {
  const within = (lengthLimit: number) => {
    const told = redactValue(fields, { lengthLimit, conceal });
    return JSON.stringify({ ...head, ...(typeof told === "object" ? told : {}) });
  };
  const line = within(fieldsLimit);
  return line.length <= lineLimit ? line : within(emergencyLimit);
}
