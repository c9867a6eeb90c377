/**
 * `deno task bench rest | sql | call | textbook | growth | cold | attack | overload`: measures one thing and prints it.
 *
 * @module
 */

import {
  defineTask,
  main,
  Misuse,
  readCommand,
  readNumber,
  type Running,
} from "../../supabase/tasks/task.ts";

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
  each tool compared with its SQL sent by the driver, a bare server, and the usual way to write it
  --quick          one round of few calls, for the gate
deno task bench growth [--quick] [ROWS]
  each entry function in a database of 1,000 rows per table and in a large one
  ROWS             rows of each table of the large one: 1,000,000, or 25,000 with --quick
  --quick          one round of few calls, for the gate
deno task bench cold [--deno PROGRAM]
  from the start of a process to a function's first answer
  --deno PROGRAM   another Deno, for example the version of hosted Supabase
deno task bench attack [--quick]
  200 callers attack a clinic for a minute (--quick: ten seconds), and what its patients notice
deno task bench overload [--quick] [--beside FOLDER ...] [CALLERS ...]
  whole calls by 10, 50, 200 and 1,000 callers without a pause, and by 10 again after the rush
  --beside FOLDER  another checkout, whose stack is measured in the same run
  exit code 0: measured (a goal may be missed, the table says so), 1: a promise was broken or
  something failed, 2: wrong arguments`;

const commands = [
  "rest",
  "sql",
  "call",
  "textbook",
  "growth",
  "cold",
  "attack",
  "overload",
] as const;
const options = ["quick", "beside", "deno"] as const;

interface Given {
  readonly quick: boolean;
  /** Other checkouts. */
  readonly beside: readonly string[];
  /** Another Deno. */
  readonly deno: string | undefined;
  readonly words: readonly string[];
}

interface Bench {
  readonly takes: readonly (typeof options)[number][];
  /** How many words it takes after its name; none if left out. */
  readonly words?: number;
  readonly run: (given: Given, running: Running) => Promise<number | void>;
}

/** Each is imported when it runs, because --help and wrong arguments do not need it. */
const benches: Readonly<Record<(typeof commands)[number], Bench>> = {
  rest: {
    takes: [],
    run: async (_, running) => await (await import("./rest.ts")).benchRest(running),
  },
  sql: {
    takes: ["quick"],
    words: goals.length,
    run: async ({ quick, words }, running) => {
      const names = words.map((goal) => goal.toUpperCase());
      const unknown = words.find((_, index) => !goals.includes(names[index] ?? ""));
      if (unknown !== undefined) {
        throw new Misuse(`There is no goal ${unknown}: give some of ${goals.join(", ")}`);
      }
      const { benchSql } = await import("./sql.ts");
      return await benchSql({ isQuick: quick, goals: names.length > 0 ? names : goals }, running);
    },
  },
  call: {
    takes: ["quick", "beside"],
    words: 1,
    run: async ({ quick, beside, words: [callers = "50"] }, running) => {
      const options = {
        callers: readCallers(callers),
        seconds: quick ? 4 : 10,
        rounds: quick ? 3 : 5,
        checkouts: beside,
        tells: !quick,
      };
      return await (await import("./call.ts")).benchCall(options, running);
    },
  },
  textbook: {
    takes: ["quick"],
    run: async ({ quick }, running) =>
      await (await import("./textbook.ts")).benchTextbook(quick, running),
  },
  growth: {
    takes: ["quick"],
    words: 1,
    run: async ({ quick, words: [given = quick ? "25000" : "1000000"] }, running) => {
      const rows = readNumber("ROWS", given, { from: 1000, to: 100_000_000 });
      return await (await import("./growth.ts")).benchGrowth({ rows, isQuick: quick }, running);
    },
  },
  cold: {
    takes: ["deno"],
    run: async ({ deno = Deno.execPath() }, running) =>
      await (await import("./cold.ts")).benchCold({ deno, rounds: 5 }, running),
  },
  attack: {
    takes: ["quick"],
    run: async ({ quick }) => await (await import("./attack.ts")).benchAttack(quick),
  },
  overload: {
    takes: ["quick", "beside"],
    words: Infinity,
    run: async ({ quick, beside, words }, running) => {
      const callers = words.length > 0 ? words.map(readCallers) : [10, 50, 200, 1000];
      const options = { seconds: quick ? 5 : 15, checkouts: beside, callers };
      return await (await import("./overload.ts")).benchOverload(options, running);
    },
  },
};

function readCallers(text: string): number {
  return readNumber("CALLERS", text, { from: 1, to: 10_000 });
}

/** The task. */
export const bench = defineTask({
  usage,
  options: {
    quick: { type: "boolean", default: false },
    beside: { type: "string", multiple: true, default: [] },
    deno: { type: "string" },
  },
  allowPositionals: true,
  run: async ({ values: { quick, beside, deno }, positionals }, { running }) => {
    const { command, words } = readCommand(positionals, commands, Infinity);
    const one = benches[command];
    const given = { quick, beside: beside.length > 0, deno: deno !== undefined };
    const wrong = options.find((option) => given[option] && !one.takes.includes(option));
    if (wrong !== undefined) throw new Misuse(`bench ${command} takes no --${wrong}`);
    const surplus = words[one.words ?? 0];
    if (surplus !== undefined) throw new Misuse(`Unexpected argument ${surplus}`);
    return await one.run({ quick, beside, deno, words }, running) ?? 0;
  },
});

if (import.meta.main) await main(bench);
