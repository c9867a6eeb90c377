/**
 * What the database has to offer: functions, tables, columns and role settings, read once and again
 * whenever somebody says `notify pgrst`.
 *
 * @module
 */
import postgres from "postgres";

/** A parameter of a function; `type` is SQL. The name is empty where it has none. */
export interface Parameter {
  readonly name: string;
  readonly type: string;
  readonly wideType: string;
  readonly required: boolean;
  readonly variadic: boolean;
}

/** A function that can be called. */
export interface Routine {
  readonly schema: string;
  readonly name: string;
  readonly parameters: readonly Parameter[];
  readonly returnsSet: boolean;
  readonly returnsComposite: boolean;
  readonly returnsVoid: boolean;
  /** The table whose rows it returns, else its own name. */
  readonly resultName: string;
  readonly volatility: "i" | "s" | "v";
  readonly isolation: string | null;
  readonly settings: readonly (readonly [string, string])[];
}

/** A column; type and default are SQL. */
export interface Column {
  readonly name: string;
  readonly type: string;
  readonly default: string | null;
}

/** A table or view. */
export interface Table {
  readonly schema: string;
  readonly name: string;
  readonly isView: boolean;
  readonly insertable: boolean;
  readonly updatable: boolean;
  readonly deletable: boolean;
  readonly key: readonly string[];
  readonly columns: readonly Column[];
}

/** One reading of the database's catalogue; keys are `schema.name`. */
export interface Catalogue {
  readonly routines: ReadonlyMap<string, readonly Routine[]>;
  readonly tables: ReadonlyMap<string, Table>;
  readonly roleSettings: ReadonlyMap<string, readonly (readonly [string, string])[]>;
}

const routinesSql = `
  select n.nspname as schema, p.proname as name, p.proretset as "returnsSet",
    (t.typtype = 'c' or coalesce(p.proargmodes::text[] && '{t,b,o}', false)) as "returnsComposite",
    t.oid = 'pg_catalog.void'::pg_catalog.regtype and not p.proretset as "returnsVoid",
    case when t.typtype = 'c' then c.relname else p.proname end as "resultName",
    p.provolatile as volatility,
    (select substr(s, strpos(s, '=') + 1) from unnest(p.proconfig) s
      where s like 'default_transaction_isolation=%') as isolation,
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
    select jsonb_agg(jsonb_build_object('name', coalesce(name, ''), 'type', type::regtype::text,
        'wideType', case type::regtype::text when 'bit' then 'bit varying' when 'bit[]' then 'bit varying[]'
          when 'character' then 'character varying' when 'character[]' then 'character varying[]'
          else type::regtype::text end,
        'required', idx <= p.pronargs - p.pronargdefaults,
        'variadic', coalesce(mode = 'v', false)) order by idx) as parameters,
      case count(*) - count(name) when 0 then true
        when 1 then (array_agg(type))[1] in ('bytea'::regtype, 'json'::regtype, 'jsonb'::regtype, 'text'::regtype, 'xml'::regtype)
        else false end as callable
    from unnest(p.proargnames, p.proargtypes, p.proargmodes) with ordinality as u (name, type, mode, idx)
    where type is not null) a on true
  where p.prokind = 'f' and t.oid <> 'trigger'::regtype and (a.parameters is null or a.callable)
    and n.nspname = any (array(select jsonb_array_elements_text($1::text::jsonb)))
  order by cardinality(p.proargtypes::oid[]), p.oid`;

const tablesSql = `
  select n.nspname as schema, c.relname as name, c.relkind in ('v', 'm') as "isView",
    c.relkind in ('r', 'p') or (c.relkind in ('v', 'f') and pg_relation_is_updatable(c.oid, true) & 8 = 8) as insertable,
    c.relkind in ('r', 'p') or (c.relkind in ('v', 'f') and pg_relation_is_updatable(c.oid, true) & 4 = 4) as updatable,
    c.relkind in ('r', 'p') or (c.relkind in ('v', 'f') and pg_relation_is_updatable(c.oid, true) & 16 = 16) as deletable,
    coalesce((select jsonb_agg(a.attname order by a.attname) from pg_constraint k
      join pg_attribute a on a.attrelid = c.oid and a.attnum = any (k.conkey)
      where k.conrelid = c.oid and k.contype = 'p'), '[]') as key,
    coalesce((select jsonb_agg(jsonb_build_object('name', a.attname,
        'type', case when t.typnamespace = 'pg_catalog'::regnamespace
          or (t.typtype = 'd' and b.typnamespace = 'pg_catalog'::regnamespace)
          then format_type(coalesce(b.oid, t.oid), null) else format_type(a.atttypid, a.atttypmod) end,
        'default', case when t.typtype = 'd' and d.adbin is null then pg_get_expr(t.typdefaultbin, 0)
          when a.attidentity = 'd' then format('nextval(%L)', s.objid::regclass)
          when a.attgenerated = 's' then null else pg_get_expr(d.adbin, d.adrelid) end) order by a.attnum)
      from pg_attribute a join pg_type t on t.oid = a.atttypid
      left join pg_type b on b.oid = nullif(t.typbasetype, 0)
      left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
      left join pg_depend s on s.refobjid = a.attrelid and s.refobjsubid = a.attnum and s.deptype = 'i'
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped), '[]') as columns
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('v', 'r', 'm', 'f', 'p') and not c.relispartition
    and n.nspname = any (array(select jsonb_array_elements_text($1::text::jsonb)))`;

// Settings of a role that a login as authenticator may set; PostgREST applies them on each request.
const rolesSql = `
  select r.rolname as role, jsonb_agg(jsonb_build_array(split_part(s, '=', 1), substr(s, strpos(s, '=') + 1))) as settings
  from pg_auth_members m join pg_roles r on r.oid = m.roleid, unnest(r.rolconfig) s
  join pg_settings ps on ps.name = split_part(s, '=', 1)
  where m.member = (select oid from pg_roles where rolname = current_user)
    and (ps.context = 'user' or has_parameter_privilege(current_user, ps.name, 'set'))
  group by r.rolname`;

/** Reads the catalogue of `schemas`, with every type name qualified. */
export async function readCatalogue(
  db: postgres.Sql,
  schemas: readonly string[],
): Promise<Catalogue> {
  const wanted = JSON.stringify(schemas);
  return await db.begin("read only", async (tx) => {
    await tx.unsafe("set local search_path = ''");
    const routines = await tx.unsafe<Routine[]>(routinesSql, [wanted]);
    const tables = await tx.unsafe<Table[]>(tablesSql, [wanted]);
    const roles = await tx.unsafe<{ role: string; settings: [string, string][] }[]>(rolesSql);
    return {
      routines: Map.groupBy(routines, ({ schema, name }) => `${schema}.${name}`),
      tables: new Map(tables.map((table) => [`${table.schema}.${table.name}`, table])),
      roleSettings: new Map(roles.map(({ role, settings }) => [role, settings])),
    };
  });
}

/** A catalogue that stays true: `current` is the last one read, `close` ends the listening. */
export interface WatchedCatalogue {
  readonly current: () => Catalogue | null;
  /** Stops what a backend is doing; resolves when it has been told. */
  readonly cancel: (pid: number) => Promise<void>;
  readonly close: () => Promise<void>;
}

/**
 * Reads the catalogue, then listens: it is read again on `notify pgrst` and after a lost connection.
 *
 * @throws when the first reading fails
 */
export async function watchCatalogue(
  dbUrl: string,
  schemas: readonly string[],
): Promise<WatchedCatalogue> {
  let current: Catalogue | null = null;
  let closed = false;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let db = connect();

  function connect(): postgres.Sql {
    const own = postgres(dbUrl, {
      max: 1,
      max_lifetime: null,
      idle_timeout: 0,
      connect_timeout: 5,
      fetch_types: false,
      onnotice: () => {},
      backoff: () => 0.05,
      // Ending an old connection must not look like losing the new one.
      onclose: () => own === db && again(),
      connection: { application_name: "rest catalogue" },
    });
    return own;
  }

  // The driver's own listening gives up when the server is away for more than one attempt.
  async function listen(): Promise<void> {
    const own = db;
    await own.listen("pgrst", () => void reload(own).catch(again));
    await reload(own);
  }
  const reload = async (own: postgres.Sql) => {
    const read = await readCatalogue(own, schemas);
    if (own === db) current = read;
  };
  function again(): void {
    if (closed || current === null || retry !== undefined) return;
    retry = setTimeout(() => {
      retry = undefined;
      const old = db;
      db = connect();
      void old.end({ timeout: 0 });
      listen().catch(again);
    }, 200);
  }

  try {
    await listen();
  } catch (error) {
    closed = true;
    await db.end({ timeout: 0 });
    throw error;
  }
  return {
    current: () => current,
    cancel: async (pid) => {
      await db`select pg_cancel_backend(${pid})`;
    },
    close: async () => {
      closed = true;
      clearTimeout(retry);
      await db.end({ timeout: 1 });
    },
  };
}
