/**
 * The SQL of a plan, in the shape of PostgREST's own.
 *
 * @module
 */
import type { Column, Routine, Table } from "./catalogue.ts";
import type { Media } from "./plan.ts";
import type { Field, Filter } from "./query_string.ts";
import { limited, type RestRequest } from "./request.ts";
import {
  arrayLiteral,
  bodySlot,
  type Fragment,
  identifier,
  join,
  literal,
  nothing,
  qualified,
  sql,
  trusted,
  value,
} from "./sql.ts";

function fieldSql(of: Fragment, { name, path }: Field, json: boolean): Fragment {
  const column = name === "*" ? sql`${of}.*` : sql`${of}.${identifier(name)}`;
  if (path.length === 0) return column;
  const steps = path.map(({ arrow, key, isIndex }) =>
    sql`${trusted(arrow)}${value(key)}${isIndex ? sql`::int` : nothing}`
  );
  return sql`${json ? column : sql`to_jsonb(${column})`}${join(steps, "")}`;
}

const isJson = (table: Table | null, { name }: Field): boolean =>
  /^jsonb?$/.test(table?.columns.find((column) => column.name === name)?.type ?? "");

function filterSql(of: Fragment, table: Table | null, filter: Filter): Fragment {
  const { field, negated, operation } = filter;
  const left = sql`${trusted(negated ? "NOT " : "")}${fieldSql(of, field, isJson(table, field))}`;
  if (operation.kind === "is") return sql`${left} IS ${trusted(operation.operand)}`;
  if (operation.kind === "in") {
    const { operands } = operation;
    if (operands.length === 1 && operands[0] === "") return sql`${left} = ANY('{}')`;
    return sql`${left} = ANY (${value(arrayLiteral(operands))})`;
  }
  const { operator, quantifier, operand } = operation;
  const right = quantifier === "" ? value(operand) : sql`${trusted(quantifier)}(${value(operand)})`;
  return sql`${left} ${trusted(operator)} ${right}`;
}

const whereSql = (of: Fragment, table: Table | null, filters: readonly Filter[]): Fragment =>
  filters.length === 0
    ? nothing
    : sql` WHERE ${join(filters.map((filter) => filterSql(of, table, filter)), " AND ")}`;

function lastKey({ name, path }: Field): string {
  return path.findLast(({ isIndex }) => !isIndex)?.key ?? name;
}

function selectSql(of: Fragment, table: Table | null, { query }: RestRequest): Fragment {
  const items = query.select.map(({ field, alias, cast }) => {
    const content = fieldSql(of, field, isJson(table, field));
    const as = alias ?? (field.path.length > 0 ? lastKey(field) : null);
    // The grammar lets only letters, digits, "_", "$" and spaces into a cast.
    const typed = cast === null ? content : sql`CAST( ${content} AS ${trusted(cast)} )`;
    return as === null ? typed : sql`${typed} AS ${identifier(as)}`;
  });
  return join(items, ", ");
}

function orderSql(of: Fragment, table: Table | null, { query }: RestRequest): Fragment {
  if (query.order.length === 0) return nothing;
  const terms = query.order.map(({ field, suffix }) =>
    sql`${fieldSql(of, field, isJson(table, field))}${trusted(suffix)}`
  );
  return sql` ORDER BY ${join(terms, ", ")}`;
}

function limitSql({ range }: RestRequest, maxRows: number | null): Fragment {
  const { lower, upper } = limited(range, maxRows);
  if (lower === 0n && upper === null) return nothing;
  const limit = upper === null ? sql`ALL` : value(String(upper - lower + 1n));
  return sql` LIMIT ${limit} OFFSET ${value(String(lower))}`;
}

/** The expression that makes the body. */
export function mediaBody({ body, stripNulls }: Media, routine: Routine | null): Fragment {
  if (body === "none") return sql`''::text`;
  const composite = routine !== null && !routine.returnsSet && routine.returnsComposite;
  const isScalar = routine !== null && !routine.returnsComposite;
  const scalar = isScalar && (!routine.returnsSet || body === "json");
  const row = scalar ? sql`_postgrest_t.pgrst_scalar` : sql`_postgrest_t`;
  const one = body === "object" || composite || (isScalar && !routine.returnsSet);
  const all = sql`json_agg(${row})${trusted(one ? "->0" : "")}`;
  const kept = stripNulls ? sql`json_strip_nulls(${all})` : all;
  return sql`coalesce(${kept}, ${trusted(one ? "'null'" : "'[]'")})::text`;
}

const settingsSql =
  sql`nullif(current_setting('response.headers', true), '') AS response_headers, nullif(current_setting('response.status', true), '') AS response_status`;

const isCounted = ({ preferences }: RestRequest): boolean =>
  preferences.count === "count=exact" || preferences.count === "count=estimated";

const countSql = (from: Fragment, counted: boolean, upTo: number | null = null) => ({
  cte: counted
    ? sql`, pgrst_source_count AS (SELECT 1${from}${
      upTo === null ? nothing : trusted(` LIMIT ${upTo}`)
    })`
    : nothing,
  result: counted ? sql`(SELECT pg_catalog.count(*) FROM pgrst_source_count)` : sql`null::bigint`,
});

/** A read of a table. Every result row has the five columns of `Row` in executor.ts. */
export function readSql(
  request: RestRequest,
  table: Table,
  media: Media,
  maxRows: number | null,
): Fragment {
  const of = qualified(table.schema, table.name);
  const from = sql` FROM ${of}${whereSql(of, table, request.query.filters)}`;
  const estimated = request.preferences.count === "count=estimated" && maxRows !== null;
  const count = countSql(from, isCounted(request), estimated ? maxRows + 1 : null);
  const order = orderSql(of, table, request);
  const rows = sql`SELECT ${selectSql(of, table, request)}${from}${order}${
    limitSql(request, maxRows)
  }`;
  return sql`WITH pgrst_source AS (${rows})${count.cte} SELECT ${count.result} AS total, pg_catalog.count(_postgrest_t) AS page, ${
    mediaBody(media, null)
  } AS body, ${settingsSql}, '' AS location FROM (SELECT * FROM pgrst_source) _postgrest_t`;
}

/** A call of a function; `keys` are the arguments given. */
export function callSql(
  request: RestRequest,
  routine: Routine,
  keys: readonly string[],
  media: Media,
  maxRows: number | null,
): Fragment {
  const isScalar = !routine.returnsComposite;
  const of = identifier(routine.resultName);
  const filters = request.query.filters;
  const where = whereSql(of, null, filters);
  const from = sql` FROM pgrst_source AS ${of}${where}`;
  const count = countSql(from, isCounted(request));
  const { from: call, args } = argumentsSql(request, routine, keys);
  const invoked = sql`${qualified(routine.schema, routine.name)}(${args})`;
  const callee = isScalar
    ? sql`(SELECT ${invoked} pgrst_scalar) pgrst_call`
    : sql`${invoked} pgrst_call`;
  const returned = isScalar ? sql`pgrst_call.pgrst_scalar` : returnedSql(request);
  const rows = sql`SELECT ${selectSql(of, null, request)}${from}${orderSql(of, null, request)}${
    limitSql(request, maxRows)
  }`;
  const page = routine.returnsSet ? sql`pg_catalog.count(_postgrest_t)` : sql`1`;
  return sql`WITH pgrst_source AS (SELECT ${returned} FROM ${call}${callee})${count.cte} SELECT ${count.result} AS total, ${page} AS page, ${
    mediaBody(media, routine)
  } AS body, ${settingsSql}, '' AS location FROM (${rows}) _postgrest_t`;
}

function returnedSql({ query }: RestRequest): Fragment {
  const names = query.select.map(({ field }) => field.name);
  if (names.includes("*")) return sql`pgrst_call.*`;
  const needed = new Set([...names, ...query.filters.map(({ field }) => field.name)]);
  return join([...needed].sort().map((name) => sql`pgrst_call.${identifier(name)}`), ", ");
}

function argumentsSql(
  { payload, query }: RestRequest,
  routine: Routine,
  keys: readonly string[],
): { from: Fragment; args: Fragment } {
  const [first] = routine.parameters;
  if (first?.name === "" && routine.parameters.length === 1) {
    return { from: nothing, args: sql`${value(bodySlot)}::${trusted(first.type)}` };
  }
  const given = routine.parameters.filter(({ name }) => keys.includes(name));
  const assign = (name: string, variadic: boolean, to: Fragment) =>
    sql`${trusted(variadic ? "VARIADIC " : "")}${identifier(name)} := ${to}`;
  if (given.length === 0) return { from: nothing, args: nothing };
  if (payload?.kind === "json") {
    const columns = given.map(({ name, wideType }) => ({ name, type: wideType, default: null }));
    const body = bodySql(payload.isObject, columns, false, true, false);
    const args = given.map(({ name, variadic }) =>
      assign(name, variadic, sql`pgrst_body.${identifier(name)}`)
    );
    return { from: sql`${body}, LATERAL `, args: join(args, ", ") };
  }
  const params = payload?.kind === "form" ? payload.params : query.params;
  const args = given.map(({ name, variadic, wideType }) => {
    const all = params.filter(([key]) => key === name).map(([, item]) => item);
    const item = variadic ? sql`${value(arrayLiteral(all))}::text[]` : value(all.at(-1) ?? null);
    return assign(name, variadic, sql`${item}::${trusted(wideType)}`);
  });
  return { from: nothing, args: join(args, ", ") };
}

/** The rows of a JSON body as `pgrst_body`, its values cast by PostgreSQL. */
function bodySql(
  isObject: boolean,
  columns: readonly Column[],
  selects: boolean,
  one: boolean,
  withDefaults: boolean,
): Fragment {
  const type = withDefaults ? "jsonb" : "json";
  const names = columns.map(({ name }) => identifier(name));
  const typed = columns.map((column) => sql`${identifier(column.name)} ${trusted(column.type)}`);
  const named = join(names.map((name) => sql`pgrst_body.${name}`), ", ");
  const defaults = columns.flatMap((column) =>
    column.default === null ? [] : [sql`${literal(column.name)}, ${trusted(column.default)}`]
  );
  const built = sql`jsonb_build_object(${join(defaults, ",")})`;
  const filled = isObject
    ? sql`LATERAL (SELECT ${built} || pgrst_payload.json_data AS val) pgrst_json_defs, `
    : sql`LATERAL (SELECT jsonb_agg(${built} || elem) AS val from jsonb_array_elements(pgrst_payload.json_data) elem) pgrst_json_defs, `;
  const body = withDefaults ? sql`pgrst_json_defs.val` : sql`pgrst_payload.json_data`;
  const each = trusted(`${type}_to_record${isObject ? "" : "set"}`);
  const rows = columns.length > 0
    ? sql`${each}(${body}) AS _(${join(typed, ", ")})${one ? sql` LIMIT 1` : nothing}`
    : isObject
    ? sql`(values(1)) _`
    : sql`${trusted(type)}_array_elements(${body}) _`;
  return sql`${selects ? sql`SELECT ${named} FROM ` : nothing}(SELECT ${value(bodySlot)}::${
    trusted(type)
  } AS json_data) pgrst_payload, ${withDefaults ? filled : nothing}LATERAL (SELECT ${
    join(names, ", ")
  } FROM ${rows}) pgrst_body`;
}

const isJsonObject = ({ payload }: RestRequest): boolean =>
  payload?.kind === "json" && payload.isObject;

function returning(request: RestRequest, table: Table): readonly string[] {
  const { returns } = request.preferences;
  if (returns === null || returns === "return=minimal") return [];
  const names = request.query.select.map(({ field }) => field.name);
  return names.includes("*") ? ["*"] : [...new Set([...names, ...table.key])].sort();
}

function returningSql(request: RestRequest, table: Table): Fragment {
  const of = qualified(table.schema, table.name);
  const names = returning(request, table);
  if (names.length === 0) return sql` RETURNING 1`;
  return sql` RETURNING ${
    join(names.map((name) => fieldSql(of, { name, path: [] }, false)), ", ")
  }`;
}

export function insertSql(
  request: RestRequest,
  table: Table,
  columns: readonly Column[],
): Fragment {
  const names = join(columns.map(({ name }) => identifier(name)), ", ");
  const withDefaults = request.preferences.missing === "missing=default";
  const rows = bodySql(isJsonObject(request), columns, true, false, withDefaults);
  return sql`INSERT INTO ${qualified(table.schema, table.name)}${
    columns.length > 0 ? sql`(${names})` : nothing
  } ${rows}${returningSql(request, table)}`;
}

export function updateSql(
  request: RestRequest,
  table: Table,
  columns: readonly Column[],
): Fragment {
  const of = qualified(table.schema, table.name);
  if (columns.length === 0) {
    const names = returning(request, table);
    const empty = names.map((name) => fieldSql(identifier(table.name), { name, path: [] }, false));
    return sql`SELECT ${names.length > 0 ? join(empty, ", ") : sql`NULL`} FROM ${of} WHERE false`;
  }
  const sets = columns.map(({ name }) => sql`${identifier(name)} = pgrst_body.${identifier(name)}`);
  const withDefaults = request.preferences.missing === "missing=default";
  const body = bodySql(isJsonObject(request), columns, false, false, withDefaults);
  return sql`UPDATE ${of} SET ${join(sets, ", ")} FROM ${body}${
    whereSql(of, table, request.query.filters)
  }${returningSql(request, table)}`;
}

export function deleteSql(request: RestRequest, table: Table): Fragment {
  const of = qualified(table.schema, table.name);
  return sql`DELETE FROM ${of}${whereSql(of, table, request.query.filters)}${
    returningSql(request, table)
  }`;
}

/** A writing statement with what it answers. */
export function resultSql(
  request: RestRequest,
  table: Table,
  media: Media,
  write: Fragment,
): Fragment {
  const of = identifier(table.name);
  const rows = media.body === "none"
    ? sql`SELECT * FROM pgrst_source`
    : sql`SELECT ${selectSql(of, table, request)} FROM pgrst_source AS ${of}${
      orderSql(of, table, request)
    }`;
  return sql`WITH pgrst_source AS (${write}) SELECT null::bigint AS total, pg_catalog.count(_postgrest_t) AS page, ${
    mediaBody(media, null)
  } AS body, ${settingsSql}, ${
    locationSql(request, table)
  } AS location FROM (${rows}) _postgrest_t`;
}

function locationSql({ action, preferences }: RestRequest, table: Table): Fragment {
  if (action !== "insert" || preferences.returns !== "return=headers-only") return sql`''`;
  const keys = join(table.key.map(literal), ", ");
  const isKey = table.key.length === 0 ? sql`false` : sql`json_data.key IN (${keys})`;
  return sql`CASE WHEN pg_catalog.count(_postgrest_t) = 1 THEN coalesce((WITH data AS (SELECT row_to_json(_) AS row FROM pgrst_source AS _ LIMIT 1) SELECT json_agg(json_build_array(json_data.key, coalesce('eq.' || json_data.value, 'is.null')))::text FROM data CROSS JOIN json_each_text(data.row) AS json_data WHERE ${isKey}), '') ELSE '' END`;
}
