// deno-lint-ignore-file no-console -- a bench prints
/**
 * `deno task bench textbook`: compares the four tools of a booking with their SQL functions called
 * through a driver, a bare server, and the usual way to write them, also with concurrent lookups and
 * with cached data of the clinic.
 *
 * Everything, including the callers, is in one process, and the ways take turns: only ratios count.
 * Times are printed. It fails on a wrong answer, an extra round trip, or a time that is given twice.
 *
 * @module
 */

import { writeClock } from "../../supabase/tasks/clinic/notation.ts";
import type { Running } from "../../supabase/tasks/task.ts";
import { findDoubles } from "../support/callers.ts";
import { tools } from "../support/measured_stack.ts";
import { median } from "./median.ts";
import { type Caller, expected, startWays, type Tool, type Way, type Ways } from "./ways.ts";

/** How long each way is measured. */
interface Size {
  readonly rounds: number;
  /** Calls per caller in a round, and the minimum in total. */
  readonly callsEach: number;
  readonly fewestCalls: number;
}

const whole: Size = { rounds: 5, callsEach: 4, fewestCalls: 60 };
const quick: Size = { rounds: 1, callsEach: 1, fewestCalls: 10 };

/** The simulated network latencies, in ms. */
const databaseMs = 20;
const twilioMs = 150;

/** Queries of each of our tools once the clinic's account is known, one after another. */
const ourQueries: Readonly<Record<Tool, number>> = {
  check_availability: 1,
  hold_slot: 1,
  send_otp: 2,
  verify_otp: 1,
};

/** Measures and prints. @returns 1 if an answer was wrong, too many queries were made, or a time was given twice */
export async function benchTextbook(isQuick: boolean, running: Running): Promise<0 | 1> {
  const size = isQuick ? quick : whole;
  const ways = await startWays(running);
  const broken: string[] = [];
  const newCallers = callerMaker();
  const play = async (way: Way, count: number, calls: number) => {
    const played = await playCalls(way, newCallers(way, calls), count);
    broken.push(...played.wrong);
    return played.timed;
  };
  for (const way of ways.all) await play(way, 10, 20);

  console.log("p50 / p95 in ms, answers a second");
  for (const count of [1, 10, 50]) {
    const rounds: Timings[][] = [];
    for (let round = 0; round < size.rounds; round++) {
      const calls = Math.max(size.fewestCalls, size.callsEach * count);
      const row = [];
      for (const way of ways.all) row.push(await play(way, count, calls));
      rounds.push(row);
    }
    const callers = count === 1 ? "1 caller" : `${count} callers`;
    printTimes(`${callers}, medians of ${size.rounds}`, ways, rounds);
  }
  broken.push(...await measureDistance(ways, isQuick ? 3 : 10, play));
  broken.push(...await raceForOneTime(ways, newCallers));
  broken.push(...(await findDoublesIn(ways)));
  for (const promise of broken) console.error(promise);
  return broken.length === 0 ? 0 : 1;
}

/** Makes callers for each way, whose times do not overlap. */
function callerMaker(): (way: Way, count: number) => Caller[] {
  const made = new Map<string, number>();
  const times = 44;
  const doctors = 10;
  return (way, count) => {
    const first = made.get(way.name) ?? 0;
    made.set(way.name, first + count);
    return Array.from({ length: count }, (_, index) => {
      const number = first + index;
      const step = Math.floor(number / doctors);
      const minutes = 30 * (step % times);
      const date = new Date(Date.now() + (2 + Math.floor(step / times)) * 86_400_000);
      return {
        callId: crypto.randomUUID(),
        phone: nextPhone(),
        date: date.toISOString().slice(0, 10),
        time: writeClock(minutes),
        doctor: `doctor-${1 + number % doctors}`,
      };
    });
  };
}

let phones = 0;
/** A British mobile number for each call. */
const nextPhone = () => `+447900${String(phones++).padStart(6, "0")}`;

/** The answers to one tool. */
interface Timed {
  readonly p50Ms: number;
  readonly p95Ms: number;
  /** Answers per second. */
  readonly rate: number;
}
type Timings = Readonly<Record<Tool, Timed>>;

/** Plays whole calls tool by tool, with several concurrent callers. */
async function playCalls(
  way: Way,
  callers: readonly Caller[],
  count: number,
): Promise<{ timed: Timings; wrong: string[] }> {
  let asking = callers;
  const wrong: string[] = [];
  const playTool = async (tool: Tool): Promise<Timed> => {
    const { times, seconds, answered, others } = await askAll(way, tool, asking, count);
    asking = answered;
    wrong.push(...others.map((outcome) => `${way.name}: ${tool} answered ${outcome}`));
    times.sort((a, b) => a - b);
    const at = (part: number) => times[Math.floor(part * (times.length - 1))] ?? NaN;
    return { p50Ms: at(0.5), p95Ms: at(0.95), rate: times.length / seconds };
  };
  const timed = {
    check_availability: await playTool("check_availability"),
    hold_slot: await playTool("hold_slot"),
    send_otp: await playTool("send_otp"),
    verify_otp: await playTool("verify_otp"),
  };
  return { timed, wrong };
}

async function askAll(way: Way, tool: Tool, callers: readonly Caller[], count: number) {
  const times: number[] = [];
  const answered: Caller[] = [];
  const others: string[] = [];
  const waiting = callers.values();
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: count }, async () => {
    for (const caller of waiting) {
      const askedAt = performance.now();
      const { outcome, holdId } = await insist(way, tool, caller);
      times.push(performance.now() - askedAt);
      if (outcome !== expected[tool]) others.push(outcome);
      answered.push({ ...caller, holdId: caller.holdId ?? holdId });
    }
  }));
  const seconds = (performance.now() - startedAt) / 1000;
  const { codeOf } = way;
  const told = tool === "send_otp" && codeOf
    ? answered.map((caller) => ({ ...caller, code: codeOf(caller) }))
    : answered;
  return { times, seconds, answered: told, others };
}

/** Asks again while the answer is busy, as an agent that is told to retry. */
async function insist(way: Way, tool: Tool, caller: Caller) {
  let answer = await way.tools[tool](caller);
  for (let tries = 0; answer.outcome === "busy" && tries < 20; tries++) {
    answer = await way.tools[tool](caller);
  }
  return answer;
}

function printTimes(title: string, { all }: Ways, rounds: readonly (readonly Timings[])[]): void {
  printTable(title, all, (way, tool) => {
    const own = rounds.flatMap((row) => row[all.indexOf(way)]?.[tool] ?? []);
    const of = (key: keyof Timed) => median(own.map((timed) => timed[key]));
    return `${of("p50Ms").toFixed(1)} / ${of("p95Ms").toFixed(1)}, ${of("rate").toFixed(0)}`;
  });
}

function printTable(
  title: string,
  ways: readonly Way[],
  cell: (way: Way, tool: Tool) => string,
): void {
  console.log(`\n${title.padEnd(32)}${tools.map((tool) => tool.padStart(24)).join("")}`);
  for (const way of ways) {
    const cells = tools.map((tool) => cell(way, tool).padStart(24));
    console.log(`${way.name.padEnd(32)}${cells.join("")}`);
  }
}

type Play = (way: Way, count: number, calls: number) => Promise<Timings>;

/** Counts the queries of each way, and measures how long they take with a distant database. */
async function measureDistance(ways: Ways, calls: number, play: Play): Promise<string[]> {
  const { distance, twilio, all, ours } = ways;
  const asked = new Map<Way, { readonly timings: Timings; readonly counts: Counts }>();
  twilio.addFault("slow", { ms: twilioMs, times: 10_000 });
  distance.delayMs = databaseMs;
  for (const way of all) {
    const { way: counted, counts } = countingQueries(way, distance);
    asked.set(way, { timings: await play(counted, 1, calls), counts });
  }
  distance.delayMs = 0;
  twilio.clearFaults();
  const each = (way: Way, tool: Tool, what: "queries" | "turns") =>
    (asked.get(way)?.counts[tool][what] ?? NaN) / calls;
  console.log(
    `\nWith ${databaseMs} ms to the database and ${twilioMs} to Twilio: ` +
      `queries (of them after one another), p50 in ms`,
  );
  printTable(
    "1 caller",
    all,
    (way, tool) =>
      `${each(way, tool, "queries")} (${each(way, tool, "turns")}), ` +
      `${asked.get(way)?.timings[tool].p50Ms.toFixed(0)}`,
  );
  return tools.filter((tool) => each(ours, tool, "queries") !== ourQueries[tool])
    .map((tool) => `${tool} made ${each(ours, tool, "queries")} queries, not ${ourQueries[tool]}`);
}

type Counts = Readonly<Record<Tool, { queries: number; turns: number }>>;

/** The same way, counting its queries while one caller asks. */
function countingQueries(way: Way, distance: Ways["distance"]) {
  const none = () => ({ queries: 0, turns: 0 });
  const counts: Counts = {
    ...{ check_availability: none(), hold_slot: none(), send_otp: none(), verify_otp: none() },
  };
  const counted = (tool: Tool) => async (caller: Caller) => {
    const { queries, turns } = distance;
    const answer = await way.tools[tool](caller);
    await way.settled?.();
    counts[tool].queries += distance.queries - queries;
    counts[tool].turns += distance.turns - turns;
    return answer;
  };
  return {
    counts,
    way: {
      ...way,
      tools: {
        check_availability: counted("check_availability"),
        hold_slot: counted("hold_slot"),
        send_otp: counted("send_otp"),
        verify_otp: counted("verify_otp"),
      },
    },
  };
}

/** Fifty callers want one time. */
async function raceForOneTime(
  { ours, usual }: Ways,
  newCallers: ReturnType<typeof callerMaker>,
): Promise<string[]> {
  const held = async (way: Way) => {
    const [first, ...others] = newCallers(way, 50);
    if (!first) return 0;
    const rivals = others.map(({ callId, phone }) => ({ ...first, callId, phone }));
    const answers = await Promise.all(
      [first, ...rivals].map((caller) => insist(way, "hold_slot", caller)),
    );
    return answers.filter(({ outcome }) => outcome === "held").length;
  };
  const [usually, once] = [await held(usual), await held(ours)];
  console.log(
    `\n50 callers want one time. It was given: the usual way ${usually} times, ours ${once}`,
  );
  return once === 1 ? [] : [`hold_slot gave one time ${once} times`];
}

async function findDoublesIn({ database }: Ways): Promise<string[]> {
  const doubles = await findDoubles(database.sql);
  return doubles.map((double) => `A doctor was booked twice: ${double}`);
}
