/**
 * `deno task mutants`: weakens the schema in every known way, one at a time, and prints the weakenings
 * that the list of rights does not show.
 *
 * @module
 */

import { readFile } from "node:fs/promises";
import postgres from "postgres";
import { defineTask, main } from "../supabase/tasks/task.ts";
import { clusterVariable, createTestDatabase, startTestCluster } from "./support/database.ts";
import { listMutants, tryMutants } from "./support/mutants.ts";
import { rightsFile } from "../supabase/tasks/doctor/rights.ts";

const usage = `deno task mutants
  tries every superfluous grant, weaker policy and missing constraint in a separate database, and
  checks that tests/sql/rights.txt would change
  exit code 0: every one was noticed, 1: one was not, 2: wrong arguments`;

/** The task. */
export const mutants = defineTask({
  usage,
  options: {},
  run: async (_, { terminal, running }) => {
    const cluster = await running.start(startTestCluster(), (started) => started.stop());
    Deno.env.set(clusterVariable, String(cluster.port));
    const expected = (await readFile(rightsFile, "utf8")).trim().split("\n");
    const database = await createTestDatabase();
    const admin = postgres(database.url("supabase_admin"), { max: 1, onnotice: () => {} });
    const missed: string[] = [];
    let tried = 0;
    const startedAt = performance.now();
    try {
      for await (const trial of tryMutants(admin, expected, await listMutants(admin))) {
        tried++;
        if (trial.noticedBy === undefined) missed.push(trial.statement);
      }
    } finally {
      await admin.end();
      await database.drop();
    }
    const seconds = Math.round((performance.now() - startedAt) / 1000);
    for (const statement of missed) terminal.printError(`not noticed: ${statement}`);
    terminal.print(`${tried - missed.length} of ${tried} weakenings were noticed, ${seconds} s`);
    return missed.length === 0 ? 0 : 1;
  },
});

if (import.meta.main) await main(mutants);
