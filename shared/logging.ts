// deno-lint-ignore-file no-console -- the one module that writes to the console
/**
 * The one door to the log: a JSON line per event, redacted before it is written.
 *
 * What is personal is taken out by pattern and by field name here, so that no caller can forget it.
 * There is no logging library underneath: levels are a comparison and the console is the only sink,
 * so it would have carried lines from one function of this file to another.
 *
 * @module
 */

import type { Config } from "./config.ts";
import { concealing, personalTexts, redactValue } from "./redaction.ts";

/** Fields of a log line; a `fault` is written with type, code, message, cause and stack. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Writes log lines. `event` is a constant: what varies goes into the fields. */
export interface Log {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
  fatal(event: string, fields?: LogFields): void;
  /**
   * The same log for the lines of one call: what the call's arguments say in personal fields is left
   * out wherever it turns up. A database that quotes a patient's name in an error gives nothing away.
   */
  concealing(given: unknown): Log;
}

const levels = ["debug", "info", "warn", "error", "fatal"] as const;
type Level = typeof levels[number];

/**
 * Opens the log.
 *
 * @param lowest The lowest level written.
 * @param write Receives each line; the console by default.
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
      // The console is gone: an answer is worth more than its line.
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

/** Supabase cuts a line at 10,000 characters, which would leave half a JSON object. */
const lineLimit = 10_000;
/** Characters of the fields, before quotes and escapes are added. */
const fieldsLimit = 6000;
/** Also when every character needs six (`\u0000`) the line is short enough. */
const emergencyLimit = 1000;

function lineOf(head: object, fields: LogFields, conceal: (text: string) => string): string {
  const within = (lengthLimit: number) => {
    const told = redactValue(fields, { lengthLimit, conceal });
    return JSON.stringify({ ...head, ...(typeof told === "object" ? told : {}) });
  };
  const line = within(fieldsLimit);
  return line.length <= lineLimit ? line : within(emergencyLimit);
}
