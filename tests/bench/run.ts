/**
 * `deno task bench rest | sql | call | textbook | growth | cold | attack | overload`: measures one thing and prints it.
 *
 * @module
 */

import { defineTask, main, Misuse } from "../../supabase/tasks/task.ts";

/** The goals that `sql` can measure, as named in `tests/bench/sql.ts`. */
const goals = ["G2", "G3", "G5", "G6", "G7", "G13"];

const usage = `deno task bench rest
  the REST stand-in compared with pgbench
deno task bench sql [--quick] [GOAL ...]
  claims and availability compared with other designs and sizes, a table for each goal
  --quick  a fortieth of the rows and fewer, shorter rounds, for the gate: ratios are rough
  GOAL     some of ${goals.join(" ")}; all if left out
  both need pgbench on the PATH
deno task bench call [--quick] [--beside FOLDER ...] [CALLERS]
  the processor time of a whole call by 50 callers without a pause, and where it goes
  --beside FOLDER  another checkout, whose stack is measured in turn with this one
  --quick          short rounds, and only the totals
deno task bench textbook [--quick]
  each tool next to its SQL by the driver, a bare server, and the usual way to write it
  --quick          one round of few calls, for the gate
deno task bench growth [--quick] [ROWS]
  each entry function in a database of 1,000 rows a table and in a large one
  ROWS             rows of each table of the large one: 1,000,000, or 25,000 with --quick
  --quick          one round of few calls, for the gate
deno task bench cold [--deno PROGRAM]
  from the start of a process to a function's first answer
  --deno PROGRAM   another Deno, for example the version of hosted Supabase
deno task bench attack [--quick]
  200 callers attack a clinic for a minute (--quick: ten seconds), and what patients meet meanwhile
deno task bench overload [--quick] [--beside FOLDER ...]
  whole calls by 10, 50, 200 and 1,000 callers without a pause, and by 10 again after the rush
  --beside FOLDER  another checkout, whose stack is measured in the same run
  exit code 0: measured (a goal may be missed, the table says so), 1: a promise was broken or
  something failed, 2: wrong arguments`;

/** The task. */
export const bench = defineTask({
  usage,
  options: {
    quick: { type: "boolean", default: false },
    beside: { type: "string", multiple: true, default: [] },
    deno: { type: "string" },
  },
  allowPositionals: true,
  run: async ({ values: { quick, beside, deno }, positionals: [name, ...asked] }, { running }) => {
    if (name === "overload") {
      const { benchOverload } = await import("./overload.ts");
      const callers = asked.length > 0 ? asked.map(Number) : [10, 50, 200, 1000];
      return await benchOverload({ seconds: quick ? 5 : 15, checkouts: beside, callers }, running);
    }
    if (name === "call") {
      const { benchCall } = await import("./call.ts");
      return await benchCall({
        callers: Number(asked[0] ?? 50),
        seconds: quick ? 4 : 10,
        rounds: quick ? 3 : 5,
        checkouts: beside,
        tells: !quick,
      }, running);
    }
    if (name === "textbook") {
      if (asked.length > 0) throw new Misuse("bench textbook takes no further arguments");
      const { benchTextbook } = await import("./textbook.ts");
      return await benchTextbook(quick, running);
    }
    if (name === "growth") {
      const rows = Number(asked[0] ?? (quick ? 25_000 : 1_000_000));
      if (!(rows >= 1000)) throw new Misuse("Give the rows of each table, at least 1000");
      const { benchGrowth } = await import("./growth.ts");
      return await benchGrowth({ rows, isQuick: quick }, running);
    }
    if (name === "cold") {
      if (asked.length > 0) throw new Misuse("bench cold takes no further arguments");
      const { benchCold } = await import("./cold.ts");
      return await benchCold({ deno: deno ?? Deno.execPath(), rounds: 5 }, running);
    }
    if (name === "rest") {
      if (quick || asked.length > 0) throw new Misuse("bench rest takes no further arguments");
      const { benchRest } = await import("./rest.ts");
      await benchRest(running);
      return 0;
    }
    if (name === "attack") {
      if (asked.length > 0) throw new Misuse("bench attack takes no goals");
      const { benchAttack } = await import("./attack.ts");
      await benchAttack(quick);
      return 0;
    }
    if (name !== "sql") {
      throw new Misuse("Give rest, sql, call, textbook, growth, cold, attack or overload");
    }
    const names = asked.map((goal) => goal.toUpperCase());
    const unknown = names.find((goal) => !goals.includes(goal));
    if (unknown !== undefined) throw new Misuse(`There is no goal ${unknown}`);
    const { benchSql } = await import("./sql.ts");
    return await benchSql({ isQuick: quick, goals: names.length > 0 ? names : goals }, running);
  },
});

if (import.meta.main) await main(bench);
