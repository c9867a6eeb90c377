// deno-lint-ignore-file no-console -- the one module that writes to the console
/**
 * The one door to the log: a JSON line per event, redacted before it is written.
 *
 * LogTape carries the lines; what is personal is taken out by pattern and by field name here, at
 * the sink, so that no caller can forget it.
 *
 * @module
 */

import { configureSync, getLogger, type LogRecord } from "@logtape/logtape";
import type { Config } from "./config.ts";
import { redactValue } from "./redaction.ts";

/** Fields of a log line; a `fault` is written with type, code, message, cause and stack. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Writes log lines. `event` is a constant: what varies goes into the fields. */
export interface Log {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
  fatal(event: string, fields?: LogFields): void;
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
  const logger = getLogger([category, name]);
  const isWritten = (wanted: string) => order.indexOf(wanted) >= order.indexOf(level);
  return {
    debug: (event, fields = {}) => isWritten("debug") && logger.debug(event, { fields }),
    info: (event, fields = {}) => isWritten("info") && logger.info(event, { fields }),
    warn: (event, fields = {}) => isWritten("warning") && logger.warn(event, { fields }),
    error: (event, fields = {}) => logger.error(event, { fields }),
    fatal: (event, fields = {}) => logger.fatal(event, { fields }),
  };
}

const order = ["debug", "info", "warning", "error", "fatal"];
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

function lineOf(record: LogRecord, lengthLimit: number): string {
  const told = redactValue(record.properties["fields"], { lengthLimit });
  return JSON.stringify({
    level: record.level === "warning" ? "warn" : record.level,
    time: new Date(record.timestamp).toISOString(),
    event: record.rawMessage,
    ...(typeof told === "object" ? told : {}),
  });
}
