/**
 * What to run for a request: its function or table, checked against the catalogue, and the SQL
 * (`statement.ts`).
 *
 * @module
 */
import type { Catalogue, Routine, Settings, Table } from "./catalogue.ts";
import { notImplemented, RestError } from "./errors.ts";
import type { Action, RestRequest } from "./request.ts";
import { mostSimilar } from "./similar.ts";
import { type Statement, statementOf } from "./sql.ts";
import { type Body, callSql, deleteSql, insertSql, readSql, updateSql } from "./statement.ts";

/** A transaction to run. */
export interface Plan {
  readonly action: Action;
  readonly statement: Statement;
  readonly isReadOnly: boolean;
  /** Settings of the function. */
  readonly settings: Settings;
  /** Whether the answer has rows. */
  readonly hasBody: boolean;
  /** Whether the media type is one object, not rows. */
  readonly isObject: boolean;
  /** Any number of rows but one is an error and rolled back. */
  readonly isSingle: boolean;
}

/** Plans by catalogue, so that a new catalogue starts without plans. */
const plans = new WeakMap<Catalogue, Map<string, Plan>>();
const maxPlans = 1000;

/**
 * Plans a request, or finds the plan of an earlier one that differed only in the values of its body:
 * planning is a tenth of the gateway's own time. `maxRows` is PostgREST's db-max-rows.
 *
 * @throws {RestError}
 */
export function planRequest(
  request: RestRequest,
  catalogue: Catalogue,
  maxRows: number | null,
): Plan {
  const { method, path, schema, query, accept, returns, count, payload } = request;
  const body = [payload?.isObject, payload?.keys];
  const key = JSON.stringify([method, path, schema, query.pairs, accept, returns, count, body]);
  const known = plans.get(catalogue);
  const found = known?.get(key);
  if (found) return found;
  const plan = makePlan(request, catalogue, maxRows);
  plans.set(
    catalogue,
    known && known.size < maxPlans ? known.set(key, plan) : new Map([[key, plan]]),
  );
  return plan;
}

function makePlan(request: RestRequest, catalogue: Catalogue, maxRows: number | null): Plan {
  const { action } = request;
  if (action === "call") return planCall(request, catalogue, maxRows);
  const table = findTable(request, catalogue);
  return action === "read" ? planRead(request, table, maxRows) : planWrite(request, table, action);
}

function planRead(request: RestRequest, table: Table, maxRows: number | null): Plan {
  const isObject = asksForObject(request);
  const body = bodyOf(request.method !== "HEAD", isObject);
  return {
    action: "read",
    statement: statementOf(readSql(request, table, body, maxRows)),
    isReadOnly: true,
    settings: [],
    hasBody: true,
    isObject,
    isSingle: isObject,
  };
}

function planWrite(
  request: RestRequest,
  table: Table,
  action: "insert" | "update" | "delete",
): Plan {
  const { payload, returns, query } = request;
  const hasBody = returns === "representation";
  if (table.isView && hasBody) {
    throw notImplemented("Rows of a view that was written to, whose key is not looked up");
  }
  if (query.limit !== null || query.offset > 0) throw notImplemented("limit or offset of a write");
  if (action === "insert" && query.filters.length > 0) throw notImplemented("Filters of an insert");
  if (action === "update" && payload?.keys.length === 0) {
    throw notImplemented("An update of no columns");
  }
  const columns = (payload?.keys ?? []).map((name) => ({ name, type: typeOf(table, name) }));
  const isObject = asksForObject(request);
  const write = { insert: insertSql, update: updateSql, delete: deleteSql }[action];
  return {
    action,
    statement: statementOf(write(request, table, columns, bodyOf(hasBody, isObject))),
    isReadOnly: false,
    settings: [],
    hasBody,
    isObject,
    isSingle: isObject,
  };
}

function typeOf({ name, columns }: Table, column: string): string {
  const type = Object.hasOwn(columns, column) ? columns[column] : undefined;
  if (type !== undefined) return type;
  const message = `Could not find the '${column}' column of '${name}' in the schema cache`;
  throw new RestError(400, "PGRST204", message);
}

function planCall(request: RestRequest, catalogue: Catalogue, maxRows: number | null): Plan {
  const { method, payload, query } = request;
  const keys = payload?.keys ?? [...query.args.keys()].sort();
  const routine = findRoutine(request, keys, catalogue);
  const isObject = asksForObject(request);
  const body = bodyOf(method !== "HEAD", isObject);
  return {
    action: "call",
    statement: statementOf(callSql(request, routine, keys, body, maxRows)),
    isReadOnly: method !== "POST" || routine.volatility !== "v",
    settings: routine.settings,
    hasBody: !routine.returnsVoid,
    isObject,
    isSingle: isObject && routine.returnsSet,
  };
}

const rowsTypes = ["*/*", "application/json"];
const objectTypes = ["application/vnd.pgrst.object+json", "application/vnd.pgrst.object"];
/** Types that PostgREST might serve, or write differently. */
const unclearType = /^$|csv|geo\+json|openapi|vnd\.pgrst|[^a-z\d/.*+-]/;

/** Whether one object is requested, or rows. */
function asksForObject({ accept }: RestRequest): boolean {
  for (const type of accept) {
    if (objectTypes.includes(type)) return true;
    if (rowsTypes.includes(type)) return false;
    if (unclearType.test(type)) throw notImplemented(`Accept: ${type}`);
  }
  const message = `None of these media types are available: ${accept.join(", ")}`;
  throw new RestError(406, "PGRST107", message);
}

/** The form of the rows; none if nobody sees them. */
const bodyOf = (isShown: boolean, isObject: boolean): Body =>
  !isShown ? "none" : isObject ? "object" : "rows";

function findTable({ schema, target }: RestRequest, { tables }: Catalogue): Table {
  const table = tables.get(`${schema}.${target}`);
  if (table) return table;
  const hint = mostSimilar(target, namesIn(schema, [...tables.values()]), 0.75);
  const message = `Could not find the table '${schema}.${target}' in the schema cache`;
  throw new RestError(404, "PGRST205", message, {
    hint: hint && `Perhaps you meant the table '${schema}.${hint}'`,
  });
}

const namesIn = (schema: string, all: readonly { schema: string; name: string }[]): string[] =>
  all.filter((each) => each.schema === schema).map(({ name }) => name);

function findRoutine(
  request: RestRequest,
  keys: readonly string[],
  { routines }: Catalogue,
): Routine {
  const overloads = routines.get(`${request.schema}.${request.target}`) ?? [];
  const named = overloads.filter(({ parameters }) =>
    parameters.every(({ name, isRequired }) => !isRequired || keys.includes(name)) &&
    keys.every((key) => parameters.some(({ name }) => name === key))
  );
  const unnamed = overloads.filter(({ parameters: [first, ...more] }) =>
    request.payload !== null && first?.name === "" && more.length === 0 &&
    (first.type === "json" || first.type === "jsonb")
  );
  const [found, ...others] = named.length > 0 ? named : unnamed;
  if (found === undefined) throw noRoutine(request, keys, overloads, routines);
  if (others.length > 0) throw ambiguous([found, ...others]);
  if (found.isVariadic) throw notImplemented("Variadic functions");
  return found;
}

function ambiguous(routines: readonly Routine[]): RestError {
  const list = routines.map(({ schema, name, parameters }) =>
    `${schema}.${name}(${parameters.map((p) => `${p.name} => ${p.type}`).join(", ")})`
  );
  const message = `Could not choose the best candidate function between: ${list.join(", ")}`;
  const hint =
    "Try renaming the parameters or the function itself in the database so function overloading can be resolved";
  return new RestError(300, "PGRST203", message, { hint });
}

function noRoutine(
  { schema, target, payload }: RestRequest,
  keys: readonly string[],
  overloads: readonly Routine[],
  routines: Catalogue["routines"],
): RestError {
  const list = keys.join(", ");
  const without = " without parameters";
  const called = keys.length === 0 ? without : `(${list})`;
  const searched = keys.length === 0
    ? without
    : ` with parameter${keys.length > 1 ? "s" : ""} ${list}`;
  const orUnnamed = payload === null ? "" : " or with a single unnamed json/jsonb parameter";
  const similar = overloads.length === 0
    ? mostSimilar(target, namesIn(schema, [...routines.values()].flat()), 0.75)
    : similarSignature(target, keys, overloads);
  const message = `Could not find the function ${schema}.${target}${called} in the schema cache`;
  return new RestError(404, "PGRST202", message, {
    details:
      `Searched for the function ${schema}.${target}${searched}${orUnnamed}, but no matches were found in the schema cache.`,
    hint: similar && `Perhaps you meant to call the function ${schema}.${similar}`,
  });
}

function similarSignature(
  target: string,
  keys: readonly string[],
  overloads: readonly Routine[],
): string | null {
  const signature = (names: readonly string[]) => `(${names.toSorted().join(", ")})`;
  const known = overloads.map(({ parameters }) => signature(parameters.map(({ name }) => name)));
  const similar = mostSimilar(signature(keys), known, 0.33);
  return similar && target + similar;
}
