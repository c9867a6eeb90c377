/**
 * Lists all rights in the schemas public and private as text, one line for each table, entry function,
 * policy and constraint, so that every change of a right changes a line.
 *
 * @module
 */

import { readFile } from "node:fs/promises";
import type postgres from "postgres";
import type { Problem } from "./check.ts";

/** The committed list. */
export const rightsFile = new URL("../../../tests/sql/rights.txt", import.meta.url);

const query = `
with schemas as (
  select n.* from pg_namespace as n where n.nspname in ('public', 'private')
), roles as (
  select r.* from pg_roles as r
  where r.rolname in ('anon', 'authenticated', 'service_role', 'authenticator', 'postgres')
), relations as (
  select c.*, s.nspname || '.' || c.relname as name,
    case c.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence'
      when 'f' then 'foreign table' else 'table' end as kind
  from pg_class as c join schemas as s on s.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
    and not exists (select from pg_depend as d where d.objid = c.oid and d.deptype = 'e')
), functions as (
  -- Entry functions are not overloaded. Functions of private are listed only if they are not plain.
  select p.*, s.nspname || '.' || p.proname || case s.nspname when 'public' then ''
    else '(' || pg_get_function_identity_arguments(p.oid) || ')' end as name,
    s.nspname = 'private' and p.proowner = to_regrole('postgres') and not p.prosecdef
      and case when p.prosqlbody is null then coalesce(array_to_string(p.proconfig, ', ') = 'search_path=""', false)
        else p.proconfig is null end as is_plain
  from pg_proc as p join schemas as s on s.oid = p.pronamespace
  where not exists (select from pg_depend as d where d.objid = p.oid and d.deptype = 'e')
), acls (what, owner, acl) as (
  select 'schema ' || s.nspname, null, coalesce(s.nspacl, acldefault('n', s.nspowner)) from schemas as s
  union all
  select r.kind || ' ' || r.name, r.relowner, coalesce(r.relacl,
    acldefault(case r.relkind when 'S' then 's'::"char" else 'r'::"char" end, r.relowner))
  from relations as r
  union all
  select 'column ' || r.name || '.' || a.attname, r.relowner, a.attacl
  from relations as r join pg_attribute as a on a.attrelid = r.oid
  where a.attacl is not null and not a.attisdropped
  union all
  select 'function ' || f.name, f.proowner, coalesce(f.proacl, acldefault('f', f.proowner))
  from functions as f
  union all
  select 'default for ' || d.defaclobjtype::text || ' of ' || d.defaclrole::regrole::text
    || coalesce(' in ' || s.nspname, ''), d.defaclrole, d.defaclacl
  from pg_default_acl as d left join schemas as s on s.oid = d.defaclnamespace
  where d.defaclnamespace = 0 or s.oid is not null
), grants as (
  select a.what, coalesce(nullif(g.grantee, 0)::regrole::text, 'everybody') as grantee,
    g.privilege_type || case when g.is_grantable then ' (grantable)' else '' end as privilege,
    a.what ~ '^(default|function) ' and g.grantee = a.owner as is_plain
  from acls as a, aclexplode(a.acl) as g
  -- Only PostgreSQL 17 has this privilege, and an owner always has it.
  where not (g.privilege_type = 'MAINTAIN' and g.grantee is not distinct from a.owner)
)
select what || ' to ' || grantee || ': ' || string_agg(privilege, ', ' order by privilege) as line
from grants where not is_plain group by what, grantee
union all
select kind || ' ' || name || ' is owned by ' || relowner::regrole::text
  || case when relkind in ('r', 'p') then '; row level security is '
    || case when relrowsecurity then 'on' else 'off' end
    || case when relforcerowsecurity then ', also for its owner' else '' end else '' end
  || coalesce('; ' || array_to_string(reloptions, ', '), '')
from relations
union all
select 'function ' || name || ' is owned by ' || proowner::regrole::text || ' and runs as its '
  || case when prosecdef then 'owner' else 'caller' end
  || coalesce(', with ' || array_to_string(proconfig, ', '), '')
from functions where not is_plain
union all
select 'policy ' || p.polname || ' on ' || r.name || ', '
  || case when p.polpermissive then 'permissive' else 'restrictive' end || ', for '
  || case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update'
    when 'd' then 'delete' else 'all' end
  || ' to ' || (select string_agg(coalesce(nullif(u.role, 0)::regrole::text, 'everybody'), ', '
    order by u.role::regrole::text) from unnest(p.polroles) as u (role))
  || coalesce(' using ' || pg_get_expr(p.polqual, p.polrelid), '')
  || coalesce(' with check ' || pg_get_expr(p.polwithcheck, p.polrelid), '')
from pg_policy as p join relations as r on r.oid = p.polrelid
union all
select 'constraint ' || c.conname || ' on ' || r.name || ': ' || pg_get_constraintdef(c.oid)
from pg_constraint as c join relations as r on r.oid = c.conrelid
where c.contype in ('c', 'f', 'p', 'u', 'x')
union all
select 'index ' || pg_get_indexdef(i.indexrelid)
  || case when i.indisvalid then '' else ' (invalid)' end
from pg_index as i join relations as r on r.oid = i.indrelid
where i.indisunique and not exists (
  select from pg_constraint as c where c.conindid = i.indexrelid)
union all
select 'not null in ' || r.name || ': ' || string_agg(a.attname, ', ' order by a.attname)
from relations as r join pg_attribute as a on a.attrelid = r.oid
where a.attnum > 0 and a.attnotnull and not a.attisdropped
group by r.name
union all
select 'trigger on ' || r.name || ': ' || pg_get_triggerdef(t.oid) || ' (' || t.tgenabled::text || ')'
from pg_trigger as t join relations as r on r.oid = t.tgrelid
where not t.tgisinternal
union all
select 'trigger of foreign keys on ' || r.name || ' is not on: ' || t.tgname
from pg_trigger as t join relations as r on r.oid = t.tgrelid
where t.tgisinternal and t.tgenabled <> 'O'
union all
select 'role ' || r.rolname || case when r.rolsuper then ', superuser' else '' end
  || case when r.rolbypassrls then ', not bound by row level security' else '' end
  || case when r.rolcreaterole then ', creates roles' else '' end
  || case when r.rolinherit then ', inherits' else '' end
  || case when r.rolcanlogin then ', logs in' else '' end
from roles as r
union all
select 'role ' || m.rolname || ' is a member of ' || g.rolname
  || case when bool_or(a.admin_option) then ', and may make others' else '' end
from pg_auth_members as a join roles as m on m.oid = a.member join pg_roles as g on g.oid = a.roleid
group by m.rolname, g.rolname`;

/**
 * Describes all rights of a database.
 *
 * @param sql One connection, or a transaction on it.
 */
export async function describeRights(sql: postgres.ISql): Promise<string[]> {
  const rows = await sql.unsafe<{ line: string }[]>(query);
  return rows.map(({ line }) => line.replace(/\s+/g, " ")).sort();
}

/** The lines that are in only one of the two lists. */
export function compareRights(
  expected: readonly string[],
  found: readonly string[],
): { missing: string[]; surplus: string[] } {
  const [wanted, given] = [new Set(expected), new Set(found)];
  return {
    missing: expected.filter((line) => !given.has(line)),
    surplus: found.filter((line) => !wanted.has(line)),
  };
}

/** A line with the rights of a role on something that a migration created. */
const grant = /^((?:table|view|function) \S+) to (\S+): (.*)$/;
const apiRoles = ["anon", "authenticated", "service_role", "everybody"];

/**
 * Finds where the rights of the API's roles on our objects differ from the committed list, for example
 * after a restore into a project that grants everything by default.
 */
export async function findForeignRights(sql: postgres.ISql): Promise<Problem[]> {
  const committed = (await readFile(rightsFile, "utf8")).trimEnd().split("\n");
  const ours = new Set(
    committed.flatMap((line) =>
      /^((?:table|view|function) \S+) is owned by /.exec(line)?.[1] ?? []
    ),
  );
  const [wanted, found] = [readGrants(committed), readGrants(await describeRights(sql))];
  const foreign = [...new Set([...wanted.keys(), ...found.keys()])].sort().flatMap((key) => {
    const [object = "", role = ""] = key.split(" to ");
    const [should, is] = [wanted.get(key), found.get(key)];
    const [kind = "", name = ""] = object.replace("view ", "table ").split(" ");
    return should === is || !ours.has(object) ? [] : [{ role, should, is, kind, name }];
  });
  // One statement for all objects that need the same rights.
  const groups = Map.groupBy(foreign, ({ role, should, kind }) => `${kind} ${role} ${should}`);
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    if (!first) return [];
    const { role, should, is, kind, name } = first;
    const on = `on ${kind} ${group.map(({ name }) => name).join(", ")}`;
    const grantee = role === "everybody" ? "public" : role;
    const more = group.length > 1 ? ` and ${group.length - 1} more` : "";
    return {
      what: `${role} has ${is ?? "no right"} on ${kind} ${name}${more}, and should have ` +
        (should ?? "none"),
      fix: `revoke all ${on} from ${grantee}` +
        (should === undefined ? "" : `; grant ${should} ${on} to ${grantee}`),
    };
  });
}

function readGrants(lines: readonly string[]): Map<string, string> {
  return new Map(lines.flatMap((line) => {
    const [, object, role = "", rights = ""] = grant.exec(line) ?? [];
    return apiRoles.includes(role) ? [[`${object} to ${role}`, rights] as const] : [];
  }));
}
