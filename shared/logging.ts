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
import { Fault } from "./errors.ts";
import { redactValue } from "./redaction.ts";

/** Fields of a log line; a `fault` is written with name, code, cause and stack. */
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
    debug: (event, fields = {}) => isWritten("debug") && logger.debug(event, describe(fields)),
    info: (event, fields = {}) => isWritten("info") && logger.info(event, describe(fields)),
    warn: (event, fields = {}) => isWritten("warning") && logger.warn(event, describe(fields)),
    error: (event, fields = {}) => logger.error(event, describe(fields)),
    fatal: (event, fields = {}) => logger.fatal(event, describe(fields)),
  };
}

const order = ["debug", "info", "warning", "error", "fatal"];
const sinks = new Map<string, (line: string) => void>();
let names = 0;
const nextName = () => `log-${++names}`;

function writeLine(record: LogRecord): void {
  const write = sinks.get(record.category[1] ?? "") ?? console.log;
  const { fault, ...fields } = record.properties;
  write(JSON.stringify({
    level: record.level === "warning" ? "warn" : record.level,
    time: new Date(record.timestamp).toISOString(),
    event: record.rawMessage,
    ...asRecord(redactValue(fields)),
    ...(fault === undefined ? {} : { fault: redactValue(fault) }),
  }));
}

function asRecord(value: unknown): object {
  return typeof value === "object" && value !== null ? value : {};
}

function describe(fields: LogFields): Record<string, unknown> {
  return "fault" in fields ? { ...fields, fault: describeThrown(fields["fault"]) } : { ...fields };
}

function describeThrown(thrown: unknown): LogFields {
  if (!(thrown instanceof Error)) return { value: String(thrown) };
  return {
    type: thrown.name,
    message: thrown.message,
    ...(thrown instanceof Fault ? { code: thrown.code } : {}),
    ...(thrown.cause === undefined ? {} : { cause: describeCause(thrown.cause) }),
    stack: thrown.stack,
  };
}

function describeCause(cause: unknown): unknown {
  return cause instanceof Error ? describeThrown(cause) : cause;
}
