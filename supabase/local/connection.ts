/**
 * A connection to a database for one piece of work.
 *
 * @module
 */

import postgres from "postgres";

/** Runs work on one connection, and closes it at the end. */
export async function withConnection<T>(
  url: string,
  work: (sql: postgres.Sql) => Promise<T>,
): Promise<T> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    return await work(sql);
  } finally {
    await sql.end({ timeout: 5 });
  }
}
