// deno-lint-ignore-file no-console -- the one module that writes to the console
/**
 * The one door to the log: a JSON line per event, redacted before it is written.
 *
 * LogTape carries the lines; what is personal is taken out by pattern and by field name here, at
 * the sink, so that no caller can forget it.
 *
 * @module
 */

import { configureSync, getLogger, type Logger, type LogRecord } from "@logtape/logtape";
import type { Config } from "./config.ts";
import { personalTexts, redactValue } from "./redaction.ts";

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
   * out wherever it turns up. A database that quotes a patient's name in an error is no way out.
   */
  concealing(given: unknown): Log;
}

const category = "master-orchestrator";

/**
 * Opens the log.
 *
 * @param level The lowest level written.
 * @param write Receives each line; the console by default.
 */
export function openLog(
  level: Config["logLevel"],
  write: (line: string) => void = console.log,
): Log {
  // LogTape is configured per process; each log has a category of its own under ours.
  const name = nextName();
  sinks.set(name, write);
  configureSync({
    reset: true,
    sinks: { lines: writeLine },
    loggers: [
      { category, sinks: ["lines"], lowestLevel: "debug" },
      { category: ["logtape", "meta"], sinks: ["lines"], lowestLevel: "error" },
    ],
  });
  return logTo(getLogger([category, name]), level);
}

function logTo(logger: Logger, level: Config["logLevel"], conceal: readonly string[] = []): Log {
  const writer = (wanted: Config["logLevel"], method: "debug" | "info" | "warn" | "error") => {
    const isWritten = order.indexOf(wanted) >= order.indexOf(level);
    return (event: string, fields: LogFields = {}) => {
      if (isWritten) logger[method](event, { fields, conceal });
    };
  };
  return {
    debug: writer("debug", "debug"),
    info: writer("info", "info"),
    warn: writer("warning", "warn"),
    error: writer("error", "error"),
    fatal: (event, fields = {}) => logger.fatal(event, { fields, conceal }),
    concealing: (given) => logTo(logger, level, [...conceal, ...personalTexts(given)]),
  };
}

const order: readonly Config["logLevel"][] = ["debug", "info", "warning", "error"];
const sinks = new Map<string, (line: string) => void>();
let names = 0;
const nextName = () => `log-${++names}`;

/** Supabase cuts a line at 10,000 characters, which would leave half a JSON object. */
const lineLimit = 10_000;
/** Characters of the fields, before quotes and escapes are added. */
const fieldsLimit = 6000;
/** Also when every character needs six (`\u0000`) the line is short enough. */
const emergencyLimit = 1000;

function writeLine(record: LogRecord): void {
  const write = sinks.get(record.category[1] ?? "") ?? console.log;
  try {
    const line = lineOf(record, fieldsLimit);
    write(line.length <= lineLimit ? line : lineOf(record, emergencyLimit));
  } catch {
    // The console is gone: an answer is worth more than its line.
  }
}

function lineOf({ level, timestamp, rawMessage, properties }: LogRecord, lengthLimit: number) {
  const conceal = Array.isArray(properties["conceal"]) ? properties["conceal"] : [];
  const told = redactValue(properties["fields"], { lengthLimit, conceal });
  return JSON.stringify({
    level: level === "warning" ? "warn" : level,
    time: new Date(timestamp).toISOString(),
    event: rawMessage,
    ...(typeof told === "object" ? told : {}),
  });
}
