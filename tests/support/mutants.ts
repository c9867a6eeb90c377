/**
 * Ways to weaken the schema, one statement each: an extra grant, a policy that trusts more, a missing
 * constraint. They are generated from the catalog, so a new table gets its own.
 *
 * @module
 */

import type postgres from "postgres";
import { compareRights, describeRights } from "../../supabase/tasks/doctor/rights.ts";

const query = `
with roles (role) as (values ('anon'), ('authenticated'), ('service_role'), ('public')),
relations as (
  select c.*, c.oid::regclass::text as name from pg_class as c
  where c.relnamespace in ('public'::regnamespace, 'private'::regnamespace)
    and c.relkind in ('r', 'p', 'v')
    and not exists (select from pg_depend as d where d.objid = c.oid and d.deptype = 'e')
), functions as (
  select p.*, p.oid::regprocedure::text as name from pg_proc as p
  where p.pronamespace in ('public'::regnamespace, 'private'::regnamespace)
    and not exists (select from pg_depend as d where d.objid = p.oid and d.deptype = 'e')
), policies as (
  select p.*, r.name, pg_get_expr(p.polqual, p.polrelid) as expression
  from pg_policy as p join relations as r on r.oid = p.polrelid
), constraints as (
  select c.*, r.name, pg_get_constraintdef(c.oid) as definition
  from pg_constraint as c join relations as r on r.oid = c.conrelid
  where c.contype in ('c', 'f', 'p', 'u', 'x')
), columns as (
  select a.*, r.name, r.relkind from pg_attribute as a join relations as r on r.oid = a.attrelid
  where a.attnum > 0 and not a.attisdropped
)
select format('grant %s on %s to %s', v.privilege, r.name, o.role) as statement
from relations as r, roles as o,
  unnest('{select,insert,update,delete,truncate,references,trigger}'::text[]) as v (privilege)
where not exists (
  select from aclexplode(r.relacl) as g
  where g.grantee = case when o.role = 'public' then 0 else to_regrole(o.role)::oid end
    and g.privilege_type = upper(v.privilege))
union all
select format('grant %s (%I) on %s to %s', v.privilege, c.attname, c.name, v.role)
from columns as c, (values ('update', 'authenticated'), ('select', 'anon'),
  ('update', 'service_role')) as v (privilege, role)
union all
select format('grant execute on function %s to %s', f.name, o.role)
from functions as f, roles as o
where not exists (
  select from aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) as g
  where g.grantee = case when o.role = 'public' then 0 else to_regrole(o.role)::oid end)
union all
select format('alter function %s security %s', name, case when prosecdef then 'invoker' else 'definer' end)
from functions
union all
select format('alter function %s reset all', name) from functions where proconfig is not null
union all
select format('alter table %s disable row level security', name) from relations where relrowsecurity
union all
select format('alter view %s reset (security_invoker)', name) from relations where relkind = 'v'
union all
select format('alter policy %I on %s using (%s)', p.polname, p.name, w.weaker)
from policies as p, lateral (values ('true'),
  (format('%s or ((auth.jwt() -> ''user_metadata'') ->> ''admin'') = ''true''', p.expression)),
  (format('%s or auth.role() = ''anon''', p.expression))) as w (weaker)
union all
select format('alter policy %I on %s to public', polname, name) from policies
union all
select format('drop policy %I on %s', polname, name) from policies
union all
select format('create policy mutant on %s for %s to %s', r.name, v.command, v.role || v.expression)
from relations as r, (values ('select', 'anon', ' using (true)'),
  ('update', 'authenticated', ' using (true)'), ('delete', 'authenticated', ' using (true)'),
  ('insert', 'authenticated', ' with check (true)')) as v (command, role, expression)
where r.relkind <> 'v'
union all
select format('alter table %s drop constraint %I cascade', name, conname) from constraints
union all
select format('alter table %s drop constraint %I, add constraint %I %s', name, conname, conname,
  case when definition ~ 'ON DELETE CASCADE' then replace(definition, 'ON DELETE CASCADE', '')
    else definition || ' on delete cascade' end)
from constraints where contype = 'f'
union all
select format('alter table %s drop constraint %I, add constraint %I check (true)', name, conname, conname)
from constraints where contype = 'c'
union all
select format('alter table %s alter column %I drop not null', name, attname)
from columns
where attnotnull and relkind <> 'v' and not exists (
  select from pg_index as i
  where i.indrelid = attrelid and i.indisprimary and attnum = any (i.indkey))
union all
select format('drop index %s', i.indexrelid::regclass)
from pg_index as i join relations as r on r.oid = i.indrelid
where i.indisunique and not exists (select from pg_constraint as c where c.conindid = i.indexrelid)
union all
select format('grant %s on schema %s to %s', v.privilege, s.name, o.role)
from roles as o, (values ('usage'), ('create')) as v (privilege), (values ('public'), ('private')) as s (name)
where not exists (
  select from pg_namespace as n, aclexplode(n.nspacl) as g
  where n.nspname = s.name and g.privilege_type = upper(v.privilege)
    and g.grantee = case when o.role = 'public' then 0 else to_regrole(o.role)::oid end)
union all
select format('alter default privileges for role postgres in schema public grant %s to %s', v.what, o.role)
from roles as o, (values ('select on tables'), ('all on sequences'), ('execute on functions')) as v (what)
-- By default everybody may execute.
where not (v.what = 'execute on functions' and o.role = 'public')
union all
select format('grant %s to %s', g.role, m.role)
from (values ('service_role'), ('authenticated'), ('pg_read_all_data')) as g (role),
  (values ('anon'), ('authenticated'), ('service_role')) as m (role)
where g.role <> m.role
union all
select format('alter role %s bypassrls', role) from (values ('anon'), ('authenticated')) as r (role)
order by 1`;

/** Every weakening that applies to a database's schema. */
export async function listMutants(sql: postgres.ISql): Promise<string[]> {
  const rows = await sql.unsafe<{ statement: string }[]>(query);
  return rows.map(({ statement }) => statement);
}

/** Whether a mutant was noticed. */
export interface Trial {
  readonly statement: string;
  /** A line that the list of rights has gained or lost; undefined if nothing differs. */
  readonly noticedBy: string | undefined;
}

/** Undoes a trial. */
class Undo extends Error {}

/**
 * Applies one mutant after another, each in a transaction that is rolled back.
 *
 * @param admin As the superuser, on one connection.
 * @param expected The committed list.
 */
export async function* tryMutants(
  admin: postgres.Sql,
  expected: readonly string[],
  mutants: Iterable<string>,
): AsyncGenerator<Trial> {
  // Compiling the query for the rights would take longer than running it.
  await admin.unsafe("set jit = off");
  for (const statement of mutants) {
    let noticedBy: string | undefined;
    await admin.begin(async (transaction) => {
      await transaction.unsafe(statement);
      const { missing, surplus } = compareRights(expected, await describeRights(transaction));
      noticedBy = [...surplus, ...missing][0];
      throw new Undo();
    }).catch((thrown) => {
      if (!(thrown instanceof Undo)) throw new Error(`Cannot try ${statement}`, { cause: thrown });
    });
    yield { statement, noticedBy };
  }
}
