/**
 * What to run for a request: the function or table that is meant, checked against the catalogue, and
 * its SQL (`statement.ts`).
 *
 * @module
 */
import type { Catalogue, Routine, Settings, Table } from "./catalogue.ts";
import { notImplemented, RestError } from "./errors.ts";
import type { RestRequest } from "./request.ts";
import { mostSimilar } from "./similar.ts";
import { type Statement, statementOf } from "./sql.ts";
import { callSql, readSql, writeSql } from "./statement.ts";

/** A transaction to run. */
export interface Plan {
  readonly kind: "call" | "read" | "insert" | "update" | "delete";
  readonly statement: Statement;
  readonly isReadOnly: boolean;
  /** Settings of the function. */
  readonly settings: Settings;
  readonly mediaType: string;
  readonly isVoid: boolean;
  /** Another number of rows than one is an error. */
  readonly isSingle: boolean;
  /** More rows than this are an error. */
  readonly maxAffected: number | null;
  /** Whether the rows decide over commit or rollback. */
  readonly mayRefuse: boolean;
}

/** The answer to OPTIONS: the methods that may be used. */
export interface Description {
  readonly kind: "describe";
  readonly allow: string;
}

/** Plans a request. `maxRows` is PostgREST's db-max-rows. @throws {RestError} */
export function planRequest(
  request: RestRequest,
  catalogue: Catalogue,
  maxRows: number | null,
): Plan | Description {
  if (request.isCall) return planCall(request, catalogue, maxRows);
  const table = findTable(request, catalogue);
  const { action } = request;
  if (action === "read") return planRead(request, table, maxRows);
  if (action === "describe" || action === "call") throw notImplemented("OPTIONS of a table");
  return planWrite(request, table, action);
}

function planRead(request: RestRequest, table: Table, maxRows: number | null): Plan {
  const media = negotiate(request);
  checkPreferences(request);
  const body = request.method === "HEAD" ? "none" : media.body;
  return {
    ...media,
    kind: "read",
    statement: statementOf(readSql(request, table, body, maxRows)),
    isReadOnly: true,
    settings: [],
    isVoid: false,
    maxAffected: null,
    mayRefuse: media.isSingle,
  };
}

function planWrite(request: RestRequest, table: Table, kind: "insert" | "update" | "delete"): Plan {
  const { payload, prefer } = request;
  refuseUnusual(request, table, kind);
  const columns = (payload?.keys ?? []).map((name) => ({ name, type: typeOf(table, name) }));
  checkPreferences(request);
  const media = negotiate(request);
  const body = prefer.returns === "return=representation" ? media.body : "none";
  const maxAffected = prefer.handling === "handling=strict" ? prefer.maxAffected : null;
  return {
    ...media,
    kind,
    statement: statementOf(writeSql(request, table, kind, columns, body)),
    isReadOnly: false,
    settings: [],
    isVoid: false,
    maxAffected: kind === "insert" ? null : maxAffected,
    mayRefuse: media.isSingle || maxAffected !== null,
  };
}

function refuseUnusual({ payload, prefer, query }: RestRequest, table: Table, kind: string): void {
  if (table.isView && prefer.returns === "return=representation") {
    throw notImplemented("Rows of a view that was written to, whose key is not looked up");
  }
  if (
    query.limit !== null || query.offset !== 0 || (kind === "insert" && query.filters.length > 0)
  ) {
    throw notImplemented(`limit, offset or filters of an ${kind}`);
  }
  if (kind === "update" && payload?.keys.length === 0) {
    throw notImplemented("An update of no columns");
  }
}

function typeOf({ name, columns }: Table, column: string): string {
  const type = Object.hasOwn(columns, column) ? columns[column] : undefined;
  if (type !== undefined) return type;
  const message = `Could not find the '${column}' column of '${name}' in the schema cache`;
  throw new RestError(400, "PGRST204", message);
}

function planCall(
  request: RestRequest,
  catalogue: Catalogue,
  maxRows: number | null,
): Plan | Description {
  const { method, payload, prefer, query } = request;
  const keys = payload?.keys ?? [...new Set(query.args.map(([name]) => name))].sort();
  const routine = findRoutine(request, keys, catalogue);
  const media = negotiate(request);
  checkPreferences(request);
  const maxAffected = prefer.handling === "handling=strict" ? prefer.maxAffected : null;
  if (maxAffected !== null && !routine.returnsSet) {
    const message =
      "Function must return SETOF or TABLE when max-affected preference is used with handling=strict";
    throw new RestError(400, "PGRST128", message);
  }
  const isVolatile = routine.volatility === "v";
  if (request.action === "describe") {
    return { kind: "describe", allow: isVolatile ? "OPTIONS,POST" : "OPTIONS,GET,HEAD,POST" };
  }
  const body = method === "HEAD" ? "none" : media.body;
  return {
    ...media,
    kind: "call",
    statement: statementOf(callSql(request, routine, keys, body, maxRows)),
    isReadOnly: method !== "POST" || !isVolatile,
    settings: routine.settings,
    isVoid: routine.returnsVoid,
    maxAffected,
    mayRefuse: (media.isSingle && routine.returnsSet) || maxAffected !== null,
  };
}

function findTable({ schema, target }: RestRequest, { tables }: Catalogue): Table {
  const table = tables.get(`${schema}.${target}`);
  if (table) return table;
  const names = [...tables.values()].filter((other) => other.schema === schema).map((t) => t.name);
  const hint = mostSimilar(target, names, 0.75);
  const message = `Could not find the table '${schema}.${target}' in the schema cache`;
  throw new RestError(404, "PGRST205", message, {
    hint: hint === null ? null : `Perhaps you meant the table '${schema}.${hint}'`,
  });
}

function checkPreferences({ prefer: { handling, unknown } }: RestRequest): void {
  if (handling !== "handling=strict" || unknown.length === 0) return;
  throw new RestError(400, "PGRST122", "Invalid preferences given with handling=strict", {
    details: `Invalid preferences: ${unknown.join(", ")}`,
  });
}

/** How the body is made, and the media type that it is called. */
interface Media {
  readonly mediaType: string;
  readonly body: "rows" | "object";
  readonly isSingle: boolean;
}

const jsonMedia: Media = { mediaType: "application/json", body: "rows", isSingle: false };
const objectMedia: Media = {
  mediaType: "application/vnd.pgrst.object+json",
  body: "object",
  isSingle: true,
};
const media = new Map([
  ["*/*", jsonMedia],
  ["application/json", jsonMedia],
  ["application/vnd.pgrst.object+json", objectMedia],
  ["application/vnd.pgrst.object", objectMedia],
]);
/** Types that PostgREST might know or write in another way. */
const unclearType = /csv|geo\+json|openapi|vnd\.pgrst|[^a-z\d/.*+-]/;

function negotiate({ accept }: RestRequest): Media {
  for (const type of accept) {
    const found = media.get(type);
    if (found) return found;
    if (unclearType.test(type)) throw notImplemented(`Accept: ${type}`);
  }
  const message = `None of these media types are available: ${accept.join(", ")}`;
  throw new RestError(406, "PGRST107", message);
}

function findRoutine(
  request: RestRequest,
  keys: readonly string[],
  { routines }: Catalogue,
): Routine {
  const overloads = routines.get(`${request.schema}.${request.target}`) ?? [];
  const named = overloads.filter((routine) => takes(routine, keys));
  const unnamed = overloads.filter(({ parameters: [first, ...more] }) =>
    request.payload !== null && first?.name === "" && more.length === 0 &&
    (first.type === "json" || first.type === "jsonb")
  );
  const [found, ...others] = named.length > 0 ? named : unnamed;
  if (found === undefined) throw noRoutine(request, keys, overloads, routines);
  if (others.length === 0) return found;
  const list = [found, ...others].map(({ schema, name, parameters }) =>
    `${schema}.${name}(${parameters.map((p) => `${p.name} => ${p.type}`).join(", ")})`
  );
  const message = `Could not choose the best candidate function between: ${list.join(", ")}`;
  throw new RestError(300, "PGRST203", message, {
    hint:
      "Try renaming the parameters or the function itself in the database so function overloading can be resolved",
  });
}

const takes = ({ parameters }: Routine, keys: readonly string[]): boolean =>
  parameters.every(({ name, required }) => !required || keys.includes(name)) &&
  keys.every((key) => parameters.some(({ name }) => name === key));

function noRoutine(
  { schema, target, payload }: RestRequest,
  keys: readonly string[],
  overloads: readonly Routine[],
  routines: Catalogue["routines"],
): RestError {
  const list = keys.join(", ");
  const isBare = keys.length === 0;
  const searched = isBare
    ? " without parameters"
    : ` with parameter${keys.length > 1 ? "s" : ""} ${list}`;
  const orUnnamed = payload === null ? "" : " or with a single unnamed json/jsonb parameter";
  const hint = overloads.length === 0
    ? mostSimilar(
      target,
      [...routines.values()].flat().filter((r) => r.schema === schema).map((r) => r.name),
      0.75,
    )
    : similarSignature(target, keys, overloads);
  const called = isBare ? " without parameters" : `(${list})`;
  return new RestError(
    404,
    "PGRST202",
    `Could not find the function ${schema}.${target}${called} in the schema cache`,
    {
      details:
        `Searched for the function ${schema}.${target}${searched}${orUnnamed}, but no matches were found in the schema cache.`,
      hint: hint === null ? null : `Perhaps you meant to call the function ${schema}.${hint}`,
    },
  );
}

function similarSignature(
  target: string,
  keys: readonly string[],
  overloads: readonly Routine[],
): string | null {
  const signature = (names: readonly string[]) => `(${names.toSorted().join(", ")})`;
  const known = overloads.map(({ parameters }) => signature(parameters.map((p) => p.name)));
  const similar = mostSimilar(signature(keys), known, 0.33);
  return similar === null ? null : target + similar;
}
