/**
 * The SQL of a plan. It has the shape of PostgREST's own, because what it answers depends on that
 * shape: which error comes first, what HEAD leaves out, how an empty composite looks.
 *
 * Every statement gives one row: total, page, body, response.headers, response.status.
 *
 * @module
 */
import type { Routine, Table } from "./catalogue.ts";
import type { Filter, Query } from "./query.ts";
import type { Payload, RestRequest } from "./request.ts";
import {
  arrayLiteral,
  bodySlot,
  type Fragment,
  identifier,
  join,
  nothing,
  qualified,
  sql,
  trusted,
  value,
} from "./sql.ts";

/** How the body is made of the rows. */
export type Body = "rows" | "object" | "none";

const column = (of: Fragment, name: string): Fragment =>
  name === "*" ? sql`${of}.*` : sql`${of}.${identifier(name)}`;

function filterSql(of: Fragment, filter: Filter): Fragment {
  const left = sql`${trusted(filter.negated ? "NOT " : "")}${column(of, filter.column)}`;
  if (filter.kind === "is") return sql`${left} IS ${trusted(filter.operand)}`;
  if (filter.kind === "compare") {
    return sql`${left} ${trusted(filter.operator)} ${value(filter.operand)}`;
  }
  if (filter.operands.length === 0) return sql`${left} = ANY('{}')`;
  return sql`${left} = ANY (${value(arrayLiteral(filter.operands))})`;
}

const whereSql = (of: Fragment, { filters }: Query): Fragment =>
  filters.length === 0
    ? nothing
    : sql` WHERE ${join(filters.map((filter) => filterSql(of, filter)), " AND ")}`;

const selectSql = (of: Fragment, { select }: Query): Fragment =>
  join(
    select.map(({ name, alias }) =>
      alias === null ? column(of, name) : sql`${column(of, name)} AS ${identifier(alias)}`
    ),
    ", ",
  );

const orderSql = (of: Fragment, { order }: Query): Fragment =>
  order.length === 0
    ? nothing
    : sql` ORDER BY ${
      join(order.map(({ name, suffix }) => sql`${column(of, name)}${trusted(suffix)}`), ", ")
    }`;

function limitSql({ limit, offset }: Query, maxRows: number | null): Fragment {
  const rows = limit === null ? maxRows : Math.min(limit, maxRows ?? limit);
  if (rows === null && offset === 0) return nothing;
  const limited = rows === null ? trusted("ALL") : value(String(rows));
  return sql` LIMIT ${limited} OFFSET ${value(String(offset))}`;
}

/** The expression that makes the body; `isOne`: of the one row that there is. */
function bodySql(body: Body, row: Fragment, isOne: boolean): Fragment {
  if (body === "none") return sql`''::text`;
  return isOne
    ? sql`coalesce(json_agg(${row})->0, 'null')::text`
    : sql`coalesce(json_agg(${row}), '[]')::text`;
}

const responseSettings =
  sql`nullif(current_setting('response.headers', true), ''), nullif(current_setting('response.status', true), '')`;

const countSql = ({ prefer }: RestRequest): { isCounted: boolean; total: Fragment } => ({
  isCounted: prefer.count !== null,
  total: prefer.count === null
    ? sql`null::bigint`
    : sql`(SELECT pg_catalog.count(*) FROM pgrst_source_count)`,
});

/** A read of a table. */
export function readSql(
  request: RestRequest,
  table: Table,
  body: Body,
  maxRows: number | null,
): Fragment {
  const { query } = request;
  const of = qualified(table);
  const from = sql` FROM ${of}${whereSql(of, query)}`;
  const rows = sql`SELECT ${selectSql(of, query)}${from}${orderSql(of, query)}${
    limitSql(query, maxRows)
  }`;
  const { isCounted, total } = countSql(request);
  const counted = isCounted ? sql`, pgrst_source_count AS (SELECT 1${from})` : nothing;
  return sql`WITH pgrst_source AS (${rows})${counted} SELECT ${total}, pg_catalog.count(_postgrest_t), ${
    bodySql(body, sql`_postgrest_t`, body === "object")
  }, ${responseSettings} FROM (SELECT * FROM pgrst_source) _postgrest_t`;
}

/** A call of a function; `keys` are the arguments given. */
export function callSql(
  request: RestRequest,
  routine: Routine,
  keys: readonly string[],
  body: Body,
  maxRows: number | null,
): Fragment {
  const { query } = request;
  const { returnsComposite, returnsSet } = routine;
  const of = identifier(routine.resultName);
  const from = sql` FROM pgrst_source AS ${of}${whereSql(of, query)}`;
  const { rows: argumentRows, list } = argumentsSql(request, routine, keys);
  const call = sql`${qualified(routine)}(${list})`;
  const source = returnsComposite
    ? sql`SELECT ${returnedSql(query)} FROM ${argumentRows}${call} pgrst_call`
    : sql`SELECT pgrst_call.pgrst_scalar FROM ${argumentRows}(SELECT ${call} pgrst_scalar) pgrst_call`;
  const rows = sql`SELECT ${selectSql(of, query)}${from}${orderSql(of, query)}${
    limitSql(query, maxRows)
  }`;
  const { isCounted, total } = countSql(request);
  const counted = isCounted ? sql`, pgrst_source_count AS (SELECT 1${from})` : nothing;
  const page = returnsSet ? sql`pg_catalog.count(_postgrest_t)` : sql`1`;
  const isBare = !returnsComposite && (!returnsSet || body === "rows");
  const row = isBare ? sql`_postgrest_t.pgrst_scalar` : sql`_postgrest_t`;
  return sql`WITH pgrst_source AS (${source})${counted} SELECT ${total}, ${page}, ${
    bodySql(body, row, body === "object" || !returnsSet)
  }, ${responseSettings} FROM (${rows}) _postgrest_t`;
}

/** The columns that the call must give: those asked for and those of filters. */
function returnedSql({ select, filters }: Query): Fragment {
  const names = select.map(({ name }) => name);
  if (names.includes("*")) return sql`pgrst_call.*`;
  const needed = new Set([...names, ...filters.map((filter) => filter.column)]);
  return join([...needed].sort().map((name) => column(sql`pgrst_call`, name)), ", ");
}

function argumentsSql(
  { payload, query }: RestRequest,
  { parameters }: Routine,
  keys: readonly string[],
): { rows: Fragment; list: Fragment } {
  const [first] = parameters;
  if (first?.name === "" && parameters.length === 1) {
    return { rows: nothing, list: sql`${value(bodySlot)}::${trusted(first.type)}` };
  }
  const given = parameters.filter(({ name }) => keys.includes(name));
  if (given.length === 0) return { rows: nothing, list: nothing };
  const columns = given.map(({ name, castType }) => ({ name, type: castType }));
  const args = given.map(({ name, variadic, castType }) => {
    const content = payload === null
      ? sql`${argument(query, name, variadic)}::${trusted(castType)}`
      : sql`pgrst_body.${identifier(name)}`;
    return sql`${trusted(variadic ? "VARIADIC " : "")}${identifier(name)} := ${content}`;
  });
  const rows = payload === null ? nothing : sql`${recordSql(payload, columns, true)}, LATERAL `;
  return { rows, list: join(args, ", ") };
}

/** Of an argument given more than once the last counts; a variadic one takes all. */
function argument({ args }: Query, wanted: string, isVariadic: boolean): Fragment {
  const items = args.flatMap(([name, item]) => name === wanted ? [item] : []);
  return isVariadic ? sql`${value(arrayLiteral(items))}::text[]` : value(items.at(-1) ?? null);
}

/** The rows of a JSON body as `pgrst_body`, its values cast by PostgreSQL. */
function recordSql(
  { isObject }: Payload,
  columns: readonly { name: string; type: string }[],
  isFirstOnly: boolean,
): Fragment {
  const names = join(columns.map(({ name }) => identifier(name)), ", ");
  const typed = columns.map(({ name, type }) => sql`${identifier(name)} ${trusted(type)}`);
  const json = sql`(SELECT ${value(bodySlot)}::json AS json_data) pgrst_payload`;
  const none = isObject ? sql`(values(1)) _` : sql`json_array_elements(pgrst_payload.json_data) _`;
  const some = sql`${
    trusted(isObject ? "json_to_record" : "json_to_recordset")
  }(pgrst_payload.json_data) AS _(${join(typed, ", ")})${isFirstOnly ? sql` LIMIT 1` : nothing}`;
  const rows = columns.length === 0 ? none : some;
  return sql`${json}, LATERAL (SELECT ${names} FROM ${rows}) pgrst_body`;
}

/** A write with what it answers. */
export function writeSql(
  request: RestRequest,
  table: Table,
  kind: "insert" | "update" | "delete",
  columns: readonly { name: string; type: string }[],
  body: Body,
): Fragment {
  const { query } = request;
  const of = identifier(table.name);
  const rows = body === "none"
    ? sql`SELECT * FROM pgrst_source`
    : sql`SELECT ${selectSql(of, query)} FROM pgrst_source AS ${of}${orderSql(of, query)}`;
  const write = { insert: insertSql, update: updateSql, delete: deleteSql }[kind];
  return sql`WITH pgrst_source AS (${write(request, table, columns)} RETURNING ${
    returningSql(query, table, body)
  }) SELECT null::bigint, pg_catalog.count(_postgrest_t), ${
    bodySql(body, sql`_postgrest_t`, body === "object")
  }, ${responseSettings} FROM (${rows}) _postgrest_t`;
}

/** The columns asked for and, as PostgREST does, those of the key. */
function returningSql({ select }: Query, table: Table, body: Body): Fragment {
  if (body === "none") return sql`1`;
  const of = qualified(table);
  const names = select.map(({ name }) => name);
  if (names.includes("*")) return column(of, "*");
  return join([...new Set([...names, ...table.key])].sort().map((name) => column(of, name)), ", ");
}

type Write = (
  request: RestRequest,
  table: Table,
  columns: readonly { name: string; type: string }[],
) => Fragment;

const insertSql: Write = ({ payload }, table, columns) => {
  const names = columns.map(({ name }) => identifier(name));
  const into = names.length > 0 ? sql`(${join(names, ", ")})` : nothing;
  const values = join(names.map((name) => sql`pgrst_body.${name}`), ", ");
  return sql`INSERT INTO ${qualified(table)}${into} SELECT ${values} FROM ${
    rowsOf(payload, columns)
  }`;
};

const updateSql: Write = ({ payload, query }, table, columns) => {
  const of = qualified(table);
  const sets = columns.map(({ name }) => sql`${identifier(name)} = pgrst_body.${identifier(name)}`);
  return sql`UPDATE ${of} SET ${join(sets, ", ")} FROM ${rowsOf(payload, columns)}${
    whereSql(of, query)
  }`;
};

const deleteSql: Write = ({ query }, table) =>
  sql`DELETE FROM ${qualified(table)}${whereSql(qualified(table), query)}`;

const rowsOf = (
  payload: Payload | null,
  columns: readonly { name: string; type: string }[],
): Fragment => payload === null ? nothing : recordSql(payload, columns, false);
