/**
 * What the database offers: functions, tables, columns and role settings. They are read at the start and
 * again after each `notify pgrst`.
 *
 * @module
 */
import { type Client, connect } from "./driver.ts";

/** A parameter of a function; `type` is SQL. The name is empty for an unnamed one. */
export interface Parameter {
  readonly name: string;
  readonly type: string;
  readonly isRequired: boolean;
}

/** A function that can be called. */
export interface Routine {
  readonly schema: string;
  readonly name: string;
  readonly parameters: readonly Parameter[];
  readonly returnsSet: boolean;
  readonly returnsComposite: boolean;
  readonly returnsVoid: boolean;
  readonly isVariadic: boolean;
  /** The table whose rows it returns, otherwise its own name. */
  readonly resultName: string;
  readonly volatility: "i" | "s" | "v";
  /** Its own settings that apply to the whole transaction. */
  readonly settings: Settings;
}

/** Names and values. */
export type Settings = readonly (readonly [string, string])[];

/** A table or view; the types of its columns are SQL, with their lengths. */
export interface Table {
  readonly schema: string;
  readonly name: string;
  readonly isView: boolean;
  readonly key: readonly string[];
  readonly columns: Readonly<Record<string, string>>;
}

/** One reading of the database's catalogue; keys are `schema.name`. */
export interface Catalogue {
  readonly routines: ReadonlyMap<string, readonly Routine[]>;
  readonly tables: ReadonlyMap<string, Table>;
  readonly roleSettings: ReadonlyMap<string, Settings>;
}

const routinesSql = `
  select n.nspname as schema, p.proname as name, p.proretset as "returnsSet",
    t.typtype = 'c' or coalesce(p.proargmodes::text[] && '{t,b,o}', false) as "returnsComposite",
    t.oid = 'pg_catalog.void'::pg_catalog.regtype and not p.proretset as "returnsVoid",
    case when t.typtype = 'c' then c.relname else p.proname end as "resultName",
    p.provolatile as volatility, p.provariadic <> 0 as "isVariadic",
    coalesce((select jsonb_agg(jsonb_build_array(substr(s, 1, strpos(s, '=') - 1), substr(s, strpos(s, '=') + 1)))
      from unnest(p.proconfig) s
      where s ~ '^(statement_timeout|plan_filter.statement_cost_limit|default_transaction_isolation)='), '[]') as settings,
    coalesce(a.parameters, '[]') as parameters
  from pg_proc p
  join pg_namespace n on n.oid = p.pronamespace
  join pg_type r on r.oid = p.prorettype
  join pg_type t on t.oid = case when r.typtype = 'd' then r.typbasetype else r.oid end
  left join pg_class c on c.oid = t.typrelid
  left join lateral (
    select jsonb_agg(jsonb_build_object('name', coalesce(name, ''),
        'type', regexp_replace(type::regtype::text, '^(bit|character)(\\[\\])?$', '\\1 varying\\2'),
        'isRequired', idx <= p.pronargs - p.pronargdefaults) order by idx) as parameters,
      case count(*) - count(name) when 0 then true
        when 1 then (array_agg(type))[1] in ('bytea'::regtype, 'json'::regtype, 'jsonb'::regtype, 'text'::regtype, 'xml'::regtype)
        else false end as callable
    from unnest(p.proargnames, p.proargtypes, p.proargmodes) with ordinality as u (name, type, mode, idx)
    where type is not null) a on true
  where p.prokind = 'f' and t.oid <> 'trigger'::regtype and (a.parameters is null or a.callable)
    and n.nspname = any ($1)
  order by cardinality(p.proargtypes::oid[]), p.oid`;

const tablesSql = `
  select n.nspname as schema, c.relname as name, c.relkind in ('v', 'm') as "isView",
    coalesce((select jsonb_agg(a.attname order by a.attname) from pg_constraint k
      join pg_attribute a on a.attrelid = c.oid and a.attnum = any (k.conkey)
      where k.conrelid = c.oid and k.contype = 'p'), '[]') as key,
    coalesce((select jsonb_object_agg(a.attname, format_type(a.atttypid, a.atttypmod)) from pg_attribute a
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped), '{}') as columns
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('v', 'r', 'm', 'f', 'p') and not c.relispartition and n.nspname = any ($1)`;

// Settings of a role that a login as authenticator may set; PostgREST applies them on each request.
const rolesSql = `
  select r.rolname as role, jsonb_agg(jsonb_build_array(split_part(s, '=', 1), substr(s, strpos(s, '=') + 1))) as settings
  from pg_auth_members m join pg_roles r on r.oid = m.roleid, unnest(r.rolconfig) s
  join pg_settings ps on ps.name = split_part(s, '=', 1)
  where m.member = (select oid from pg_roles where rolname = current_user)
    and (ps.context = 'user' or has_parameter_privilege(current_user, ps.name, 'set'))
  group by r.rolname`;

const keyOf = ({ schema, name }: { schema: string; name: string }): string => `${schema}.${name}`;

/** Reads the catalogue of `schemas`, with every type name qualified. */
async function readCatalogue(client: Client, schemas: readonly string[]): Promise<Catalogue> {
  await client.query("begin read only");
  try {
    await client.query("set local search_path = ''");
    const routines = await client.query<Routine>(routinesSql, [schemas]);
    const tables = await client.query<Table>(tablesSql, [schemas]);
    const roles = await client.query<{ role: string; settings: Settings }>(rolesSql);
    return {
      routines: Map.groupBy(routines.rows, keyOf),
      tables: new Map(tables.rows.map((table) => [keyOf(table), table])),
      roleSettings: new Map(roles.rows.map(({ role, settings }) => [role, settings])),
    };
  } finally {
    await client.query("rollback");
  }
}

/** A catalogue that stays up to date. */
export interface WatchedCatalogue {
  /** The last one read. */
  readonly current: () => Catalogue;
  /** Cancels what a backend is doing. Resolves when the request was sent. */
  readonly cancel: (pid: number) => Promise<void>;
  readonly close: () => Promise<void>;
}

const retryMs = 200;

/**
 * Reads the catalogue, then reads it again on `notify pgrst` and after a lost connection. Calls
 * `onChange` after each reading.
 *
 * @throws when the first reading fails
 */
export async function watchCatalogue(
  dbUrl: string,
  schemas: readonly string[],
  onChange: () => void,
): Promise<WatchedCatalogue> {
  let isClosed = false;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let current: Catalogue;
  let client: Client;

  async function listen(): Promise<void> {
    const own = await connect(dbUrl, "rest catalogue");
    if (isClosed) return await own.end();
    client = own;
    let reading = Promise.resolve();
    const reload = () => {
      // One after another. If a reading fails, the last catalogue stays.
      reading = reading.catch(() => {}).then(async () => {
        current = await readCatalogue(own, schemas);
        onChange();
      });
      return reading;
    };
    own.on("notification", () => reload().catch(() => {}));
    own.on("end", again);
    await own.query("listen pgrst");
    await reload();
  }
  function again(): void {
    if (isClosed) return;
    clearTimeout(retry);
    retry = setTimeout(() => listen().catch(again), retryMs);
  }

  await listen();
  return {
    current: () => current,
    cancel: async (pid) => {
      await client.query("select pg_cancel_backend($1)", [pid]);
    },
    close: async () => {
      isClosed = true;
      clearTimeout(retry);
      await client.end();
    },
  };
}
