/**
 * Calls the entry functions through a driver, without HTTP.
 *
 * @module
 */

import type postgres from "postgres";
import type { Database } from "../../shared/database/client.ts";

/** Calls entry functions over a driver's connections, as prepared statements. */
export async function askDatabase(sql: postgres.Sql): Promise<Database> {
  const types = await readParameters(sql);
  return {
    call: async (name, args) => {
      const given = Object.entries(args);
      const parameters = given.map(([parameter], index) =>
        `${parameter} => $${index + 1}::text::${types.get(`${name}.${parameter}`)}`
      );
      const values = given.map(([, value]) =>
        value === null || typeof value === "string" ? value : JSON.stringify(value)
      );
      const text = `select public.${name}(${parameters.join(", ")}) as answer`;
      const [row] = await sql.unsafe(text, values, { prepare: true });
      return row?.["answer"];
    },
  };
}

/** The types of the entry functions' parameters, by `function.parameter`. */
async function readParameters(sql: postgres.Sql): Promise<ReadonlyMap<string, string>> {
  const rows = await sql<{ name: string; parameter: string; type: string }[]>`
    select p.proname as name, a.parameter, a.type::regtype::text as type
    from pg_proc as p, unnest(p.proargnames, p.proargtypes::oid[]) as a (parameter, type)
    where p.pronamespace = 'public'::regnamespace and a.type is not null`;
  return new Map(rows.map(({ name, parameter, type }) => [`${name}.${parameter}`, type]));
}
