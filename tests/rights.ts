/**
 * `deno task rights`: writes tests/sql/rights.txt, the rights that the migrations grant.
 *
 * @module
 */

import { writeFile } from "node:fs/promises";
import { defineTask, main } from "../supabase/tasks/task.ts";
import { clusterVariable, createTestDatabase, startTestCluster } from "./support/database.ts";
import { describeRights, rightsFile } from "../supabase/tasks/doctor/rights.ts";

const usage = `deno task rights
  writes tests/sql/rights.txt: grants, policies, function rights, roles and constraints, one per line.
  deno task test compares it; a review of a migration reads what it changes
  exit code 0: written, 2: wrong arguments`;

/** The task. */
export const rights = defineTask({
  usage,
  options: {},
  run: async (_, { terminal, running }) => {
    const cluster = await running.start(startTestCluster(), (started) => started.stop());
    Deno.env.set(clusterVariable, String(cluster.port));
    const database = await createTestDatabase();
    try {
      const lines = await describeRights(database.admin);
      await writeFile(rightsFile, `${lines.join("\n")}\n`);
      terminal.print(`tests/sql/rights.txt is written, ${lines.length} lines`);
    } finally {
      await database.drop();
    }
    return 0;
  },
});

if (import.meta.main) await main(rights);
