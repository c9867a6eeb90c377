/**
 * What to run for a request: the function or table that is meant, checked against the catalogue, and
 * its SQL. The SQL has PostgREST's shape, because what it answers depends on that shape: which error
 * comes first, what HEAD leaves out, how an empty composite looks.
 *
 * @module
 */
import { callSql, deleteSql, insertSql, readSql, resultSql, updateSql } from "./build.ts";
import type { Catalogue, Column, Routine, Table } from "./catalogue.ts";
import { notImplemented, RestError } from "./errors.ts";
import type { RestRequest } from "./request.ts";
import { mostSimilar } from "./similar.ts";
import type { Fragment } from "./sql.ts";

/** A transaction to run. */
export interface Plan {
  readonly kind: "call" | "read" | "insert" | "update" | "delete";
  readonly main: Fragment;
  readonly readOnly: boolean;
  readonly isolation: string | null;
  readonly settings: readonly (readonly [string, string])[];
  readonly mediaType: string;
  readonly single: boolean;
  /** More rows than this are an error and rolled back. */
  readonly maxRows: bigint | null;
  readonly isVoid: boolean;
}

/** An answer that needs no transaction: the methods that OPTIONS allows. */
export interface Description {
  readonly kind: "describe";
  readonly allow: string;
}

/** Plans a request. `maxRows` is PostgREST's db-max-rows. */
export function planRequest(
  request: RestRequest,
  catalogue: Catalogue,
  maxRows: number | null,
): Plan | Description {
  if (request.isCall) return planCall(request, catalogue, maxRows);
  const table = findTable(request, catalogue);
  if (request.action === "describe") return { kind: "describe", allow: allowed(table) };
  refuseEmbeds(request);
  checkUnsupported(request, table);
  const { action } = request;
  return action === "read" || action === "call"
    ? planRead(request, table, maxRows)
    : planWrite(request, table, action);
}

const common = { isolation: null, settings: [], isVoid: false } as const;

function planRead(request: RestRequest, table: Table, maxRows: number | null): Plan {
  const media = negotiate(request, request.method === "HEAD");
  checkPreferences(request);
  return {
    ...common,
    kind: "read",
    main: readSql(request, table, media, maxRows),
    readOnly: true,
    mediaType: media.type,
    single: media.single,
    maxRows: null,
  };
}

function planWrite(request: RestRequest, table: Table, kind: "insert" | "update" | "delete"): Plan {
  const columns = kind === "delete" ? [] : columnsOf(request, table);
  checkPreferences(request);
  const media = negotiate(request, request.preferences.returns !== "return=representation");
  const build = { insert: insertSql, update: updateSql, delete: deleteSql }[kind];
  const { isStrict, maxAffected } = request.preferences;
  return {
    ...common,
    kind,
    main: resultSql(request, table, media, build(request, table, columns)),
    readOnly: false,
    mediaType: media.type,
    single: media.single,
    maxRows: kind !== "insert" && isStrict ? maxAffected : null,
  };
}

function planCall(
  request: RestRequest,
  catalogue: Catalogue,
  maxRows: number | null,
): Plan | Description {
  const byGet = request.method !== "POST";
  const keys = byGet
    ? [...new Set(request.query.params.map(([name]) => name))].sort()
    : request.columns;
  const routine = findRoutine(request, keys, catalogue);
  refuseEmbeds(request);
  const media = negotiate(request, request.method === "HEAD");
  checkPreferences(request);
  const { isStrict, maxAffected } = request.preferences;
  if (isStrict && maxAffected !== null && !routine.returnsSet) {
    const message =
      "Function must return SETOF or TABLE when max-affected preference is used with handling=strict";
    throw new RestError(400, "PGRST128", message);
  }
  if (request.action === "describe") {
    const allow = routine.volatility === "v" ? "OPTIONS,POST" : "OPTIONS,GET,HEAD,POST";
    return { kind: "describe", allow };
  }
  return {
    kind: "call",
    main: callSql(request, routine, keys, media, maxRows),
    readOnly: byGet || routine.volatility !== "v",
    isolation: routine.isolation,
    settings: routine.settings,
    mediaType: media.type,
    single: media.single,
    maxRows: isStrict ? maxAffected : null,
    isVoid: routine.returnsVoid,
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

const allowed = (table: Table): string =>
  [
    "OPTIONS,GET,HEAD",
    ...(table.insertable ? ["POST"] : []),
    ...(table.insertable && table.updatable && table.key.length > 0 ? ["PUT"] : []),
    ...(table.updatable ? ["PATCH"] : []),
    ...(table.deletable ? ["DELETE"] : []),
  ].join(",");

function refuseEmbeds({ query }: RestRequest): void {
  const embed = query.filters.findLast((filter) => filter.embed !== null)?.embed;
  if (embed === undefined || embed === null) return;
  throw new RestError(400, "PGRST108", `'${embed}' is not an embedded resource in this request`, {
    hint: `Verify that '${embed}' is included in the 'select' query parameter.`,
  });
}

function checkUnsupported({ action, preferences, query }: RestRequest, table: Table): void {
  const { count, returns } = preferences;
  if (action === "read" && count === "count=planned") {
    throw notImplemented(`Prefer: ${count}`);
  }
  if (table.isView && action === "insert" && returns !== null && returns !== "return=minimal") {
    throw notImplemented("Answers to inserts into views, whose key is not looked up");
  }
  if (action !== "read" && query.filters.some(({ field }) => field.path.length > 0)) {
    throw notImplemented("Filters on JSON paths when writing");
  }
}

function columnsOf({ columns }: RestRequest, table: Table): Column[] {
  return columns.map((name) => {
    const column = table.columns.find((column) => column.name === name);
    if (column) return column;
    const message = `Could not find the '${name}' column of '${table.name}' in the schema cache`;
    throw new RestError(400, "PGRST204", message);
  });
}

function checkPreferences({ preferences: { isStrict, unknown } }: RestRequest): void {
  if (!isStrict || unknown.length === 0) return;
  throw new RestError(400, "PGRST122", "Invalid preferences given with handling=strict", {
    details: `Invalid preferences: ${unknown.join(", ")}`,
  });
}

/** How the body is made, and the media type that it is called. */
export interface Media {
  readonly type: string;
  readonly single: boolean;
  readonly body: "json" | "object" | "none";
  readonly stripNulls: boolean;
}

function negotiate({ accept }: RestRequest, withoutBody: boolean): Media {
  for (const type of accept) {
    const single = type.startsWith("application/vnd.pgrst.object");
    const isJson = type === "*/*" || type === "application/json";
    if (type === "text/csv" || type === "application/geo+json") {
      throw notImplemented(`Accept: ${type}`);
    }
    if (!single && !isJson && !type.startsWith("application/vnd.pgrst.array")) continue;
    return {
      type: isJson ? "application/json" : type,
      single,
      body: withoutBody ? "none" : single ? "object" : "json",
      stripNulls: type.endsWith("nulls=stripped"),
    };
  }
  if (accept.includes("application/vnd.pgrst.plan")) throw notImplemented("Plans");
  const message = `None of these media types are available: ${accept.join(", ")}`;
  throw new RestError(406, "PGRST107", message);
}

const unnamedTypes = new Map([
  ["application/json", ["json", "jsonb"]],
  ["text/plain", ["text"]],
  ["text/xml", ["xml"]],
  ["application/octet-stream", ["bytea"]],
]);

function findRoutine(
  request: RestRequest,
  keys: readonly string[],
  { routines }: Catalogue,
): Routine {
  const overloads = routines.get(`${request.schema}.${request.target}`) ?? [];
  const isPost = request.action === "call" && request.method === "POST";
  const isRaw = isPost && request.payload?.kind === "raw";
  const named = overloads.filter((routine) => takes(routine, keys, isRaw));
  const types = isPost ? unnamedTypes.get(request.contentType) ?? [] : [];
  const unnamed = overloads.filter(({ parameters: [first, ...more] }) =>
    first?.name === "" && more.length === 0 && types.includes(first.type)
  );
  const [found, ...others] = named.length > 0 ? named : unnamed.filter((r) => !named.includes(r));
  if (found === undefined) throw noRoutine(request, keys, overloads, routines, isPost, isRaw);
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

function takes({ parameters }: Routine, keys: readonly string[], isRaw: boolean): boolean {
  if (parameters.length === 0) return keys.length === 0 && !isRaw;
  const required = parameters.filter((parameter) => parameter.required);
  return required.every(({ name }) => keys.includes(name)) &&
    keys.every((key) => parameters.some(({ name }) => name === key));
}

function noRoutine(
  { schema, target, contentType }: RestRequest,
  keys: readonly string[],
  overloads: readonly Routine[],
  routines: Catalogue["routines"],
  isPost: boolean,
  isRaw: boolean,
): RestError {
  const list = keys.join(", ");
  const none = " without parameters";
  const searched = keys.length === 0
    ? none
    : ` with parameter${keys.length > 1 ? "s" : ""} ${list}`;
  const isJson = isPost && contentType === "application/json";
  const [rawType = ""] = unnamedTypes.get(contentType) ?? [];
  const details = isRaw
    ? ` with a single unnamed ${rawType} parameter`
    : searched + (isJson ? " or with a single unnamed json/jsonb parameter" : "");
  const called = isRaw ? "" : keys.length === 0 ? none : `(${list})`;
  const signature = (names: readonly string[]) => `(${[...names].sort().join(", ")})`;
  const names = [...routines.values()].flat().filter((r) => r.schema === schema).map((r) => r.name);
  const signatures = overloads.map(({ parameters }) => signature(parameters.map((p) => p.name)));
  const similar = overloads.length === 0
    ? mostSimilar(target, names, 0.75)
    : mostSimilar(signature(keys), signatures, 0.33);
  const meant = overloads.length === 0 ? similar : `${target}${similar}`;
  return new RestError(
    404,
    "PGRST202",
    `Could not find the function ${schema}.${target}${called} in the schema cache`,
    {
      details:
        `Searched for the function ${schema}.${target}${details}, but no matches were found in the schema cache.`,
      hint: isRaw || similar === null
        ? null
        : `Perhaps you meant to call the function ${schema}.${meant}`,
    },
  );
}
