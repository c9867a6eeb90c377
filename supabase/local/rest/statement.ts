/**
 * The SQL of a plan. It has the shape of PostgREST's own, because what it answers depends on that
 * shape: which error comes first, what HEAD leaves out, how an empty composite looks.
 *
 * @module
 */
import type { Routine, Table } from "./catalogue.ts";
import type { Query } from "./query.ts";
import type { Payload, RestRequest } from "./request.ts";
import {
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

/** How the body is made from the rows. */
export type Body = "rows" | "object" | "none";

/** A name and its type in SQL. */
export interface TypedColumn {
  readonly name: string;
  readonly type: string;
}

const column = (of: Fragment, name: string): Fragment =>
  name === "*" ? sql`${of}.*` : sql`${of}.${identifier(name)}`;

function whereSql(of: Fragment, { filters }: Query): Fragment {
  if (filters.length === 0) return nothing;
  const conditions = filters.map((filter) => {
    const left = sql`${trusted(filter.isNegated ? "NOT " : "")}${column(of, filter.column)}`;
    const right = filter.operand === null ? nothing : sql` (${value(filter.operand)})`;
    return sql`${left} ${trusted(filter.operator)}${right}`;
  });
  return sql` WHERE ${join(conditions, " AND ")}`;
}

function selectSql(of: Fragment, { select }: Query): Fragment {
  const items = select.map(({ name, alias }) =>
    alias === null ? column(of, name) : sql`${column(of, name)} AS ${identifier(alias)}`
  );
  return join(items, ", ");
}

function orderSql(of: Fragment, query: Query): Fragment {
  if (query.order.length === 0) return nothing;
  const terms = query.order.map(({ name, order }) => sql`${column(of, name)}${trusted(order)}`);
  return sql` ORDER BY ${join(terms, ", ")}`;
}

function limitSql({ limit, offset }: Query, maxRows: number | null): Fragment {
  const rows = limit === null ? maxRows : Math.min(limit, maxRows ?? limit);
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

/** What every statement answers: one row of total, page, body, response.headers, response.status. */
function answerSql(parts: {
  source: Fragment;
  /** What to count, or null. */
  counted: Fragment | null;
  page: Fragment;
  body: Fragment;
  rows: Fragment;
}): Fragment {
  const { source, counted, page, body, rows } = parts;
  const count = counted ? sql`, pgrst_count AS (SELECT 1${counted})` : nothing;
  const total = counted ? sql`(SELECT count(*) FROM pgrst_count)` : sql`null`;
  const setByCode =
    sql`nullif(current_setting('response.headers', true), ''), nullif(current_setting('response.status', true), '')`;
  return sql`WITH pgrst_source AS (${source})${count} SELECT ${total}, ${page}, ${body}, ${setByCode} FROM (${rows}) _postgrest_t`;
}

const rowCount = sql`count(_postgrest_t)`;
const wholeRow = sql`_postgrest_t`;

/** A read of a table. */
export function readSql(
  { query, count }: RestRequest,
  table: Table,
  body: Body,
  maxRows: number | null,
): Fragment {
  const of = qualified(table);
  const from = sql` FROM ${of}${whereSql(of, query)}`;
  const order = orderSql(of, query);
  return answerSql({
    source: sql`SELECT ${selectSql(of, query)}${from}${order}${limitSql(query, maxRows)}`,
    counted: count && from,
    page: rowCount,
    body: bodySql(body, wholeRow, body === "object"),
    rows: sql`SELECT * FROM pgrst_source`,
  });
}

/** A call of a function; `keys` are the arguments given. */
export function callSql(
  request: RestRequest,
  routine: Routine,
  keys: readonly string[],
  body: Body,
  maxRows: number | null,
): Fragment {
  const { query, count } = request;
  const { returnsComposite, returnsSet } = routine;
  const of = identifier(routine.resultName);
  const from = sql` FROM pgrst_source AS ${of}${whereSql(of, query)}`;
  const order = orderSql(of, query);
  const { source, list } = argumentsSql(request, routine, keys);
  const call = sql`${qualified(routine)}(${list})`;
  const isBare = !returnsComposite && (!returnsSet || body === "rows");
  const row = isBare ? sql`_postgrest_t.pgrst_scalar` : wholeRow;
  return answerSql({
    source: returnsComposite
      ? sql`SELECT ${neededSql(query)} FROM ${source}${call} pgrst_call`
      : sql`SELECT pgrst_call.pgrst_scalar FROM ${source}(SELECT ${call} pgrst_scalar) pgrst_call`,
    counted: count && from,
    page: returnsSet ? rowCount : sql`1`,
    body: bodySql(body, row, body === "object" || !returnsSet),
    rows: sql`SELECT ${selectSql(of, query)}${from}${order}${limitSql(query, maxRows)}`,
  });
}

/** The columns that a call must return: the selected ones and those of filters. */
const neededSql = ({ select, filters }: Query): Fragment =>
  columnsSql(sql`pgrst_call`, [
    ...select.map(({ name }) => name),
    ...select.some(({ name }) => name === "*") ? [] : filters.map((filter) => filter.column),
  ]);

const columnsSql = (of: Fragment, names: readonly string[]): Fragment =>
  names.includes("*")
    ? column(of, "*")
    : join([...new Set(names)].sort().map((name) => column(of, name)), ", ");

function argumentsSql(
  { payload, query }: RestRequest,
  { parameters }: Routine,
  keys: readonly string[],
): { source: Fragment; list: Fragment } {
  const [first] = parameters;
  if (first?.name === "" && parameters.length === 1) {
    return { source: nothing, list: sql`${value(bodySlot)}::${trusted(first.type)}` };
  }
  const given = parameters.filter(({ name }) => keys.includes(name));
  if (given.length === 0) return { source: nothing, list: nothing };
  const list = given.map(({ name, type }) => {
    const argument = payload === null
      ? sql`${value(query.args.get(name) ?? null)}::${trusted(type)}`
      : sql`pgrst_body.${identifier(name)}`;
    return sql`${identifier(name)} := ${argument}`;
  });
  const source = payload === null
    ? nothing
    : sql`${recordSql(payload, given, sql` LIMIT 1`)}, LATERAL `;
  return { source, list: join(list, ", ") };
}

/** The rows of a JSON body as `pgrst_body`, its values cast by PostgreSQL. */
function recordSql(
  payload: Payload | null,
  columns: readonly TypedColumn[],
  limit: Fragment,
): Fragment {
  const isObject = payload?.isObject ?? false;
  const names = join(columns.map(({ name }) => identifier(name)), ", ");
  const typed = columns.map(({ name, type }) => sql`${identifier(name)} ${trusted(type)}`);
  const none = isObject ? sql`(values(1)) _` : sql`json_array_elements(json_data) _`;
  const convert = trusted(isObject ? "json_to_record" : "json_to_recordset");
  const rows = columns.length === 0
    ? none
    : sql`${convert}(json_data) AS _(${join(typed, ", ")})${limit}`;
  return sql`(SELECT ${
    value(bodySlot)
  }::json AS json_data) pgrst_payload, LATERAL (SELECT ${names} FROM ${rows}) pgrst_body`;
}

/** Makes the SQL of a write. */
type WriteSql = (
  request: RestRequest,
  table: Table,
  columns: readonly TypedColumn[],
  body: Body,
) => Fragment;

function writtenSql(write: Fragment, { query }: RestRequest, table: Table, body: Body): Fragment {
  const of = identifier(table.name);
  // As PostgREST does, the columns of the key are selected in addition to those of `select`.
  const names = [...query.select.map(({ name }) => name), ...table.key];
  const returned = body === "none" ? sql`1` : columnsSql(qualified(table), names);
  return answerSql({
    source: sql`${write} RETURNING ${returned}`,
    counted: null,
    page: rowCount,
    body: bodySql(body, wholeRow, body === "object"),
    rows: body === "none"
      ? sql`SELECT * FROM pgrst_source`
      : sql`SELECT ${selectSql(of, query)} FROM pgrst_source AS ${of}${orderSql(of, query)}`,
  });
}

export const insertSql: WriteSql = (request, table, columns, body) => {
  const names = columns.map(({ name }) => identifier(name));
  const into = names.length > 0 ? sql`(${join(names, ", ")})` : nothing;
  const values = join(names.map((name) => sql`pgrst_body.${name}`), ", ");
  const rows = recordSql(request.payload, columns, nothing);
  const insert = sql`INSERT INTO ${qualified(table)}${into} SELECT ${values} FROM ${rows}`;
  return writtenSql(insert, request, table, body);
};

export const updateSql: WriteSql = (request, table, columns, body) => {
  const of = qualified(table);
  const sets = columns.map(({ name }) => sql`${identifier(name)} = pgrst_body.${identifier(name)}`);
  const rows = recordSql(request.payload, columns, nothing);
  const where = whereSql(of, request.query);
  const update = sql`UPDATE ${of} SET ${join(sets, ", ")} FROM ${rows}${where}`;
  return writtenSql(update, request, table, body);
};

export const deleteSql: WriteSql = (request, table, _columns, body) => {
  const of = qualified(table);
  return writtenSql(sql`DELETE FROM ${of}${whereSql(of, request.query)}`, request, table, body);
};
