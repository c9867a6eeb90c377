// deno-lint-ignore-file no-console -- a task prints
/**
 * `deno task load faults`: a clinic's day during which one part after another fails: the database, the
 * REST stand-in, Twilio. Afterwards the database is compared with what callers heard.
 *
 * @module
 */

import type postgres from "postgres";
import { withConnection } from "../../supabase/local/connection.ts";
import type { Running } from "../../supabase/tasks/task.ts";
import { findDoubles } from "../support/callers.ts";
import { type Answered, type Day, hangMs, type Heard, playCallers } from "./caller.ts";
import { type Site, startSite } from "./site.ts";

const callers = 6;
/** A day before the first fault, and after each one. */
const calmMs = 4000;
/** An answer that takes longer is printed as late. */
const lateMs = 8000;
/** Only a system that never recovers reaches it. */
const recoveryMs = 120_000;

interface Fault {
  readonly name: string;
  begin(site: Site): Promise<void>;
  end(site: Site): Promise<void>;
}

const down = (name: string, part: "database" | "gateway" | "twilio"): Fault => ({
  name,
  begin: (site) => site[part].stop(),
  end: (site) => site[part].start(),
});

const spoiled = (name: string, kind: "slow" | "timeout", ms: number): Fault => ({
  name,
  begin: ({ currentTwilio }) => Promise.resolve(currentTwilio().addFault(kind, { ms, times: 1e5 })),
  end: ({ currentTwilio }) => Promise.resolve(currentTwilio().clearFaults()),
});

const faults: readonly Fault[] = [
  down("database crashes", "database"),
  down("gateway is killed", "gateway"),
  down("Twilio refuses connections", "twilio"),
  spoiled("Twilio is silent", "timeout", 0),
  spoiled("Twilio takes 2.5 s", "slow", 2500),
];

/**
 * Plays the day and prints it.
 *
 * @param faultMs How long each part is away.
 * @returns What was wrong; empty when every promise was kept.
 */
export async function playFaults(faultMs: number, running: Running): Promise<string[]> {
  const site = await startSite(running);
  const day: Day = {
    ...site.line,
    readCode: (phone) => {
      const text = site.currentTwilio().messages
        .findLast(({ to, body }) => to === phone && /^\d{6} /.test(body));
      return text?.body.slice(0, 6);
    },
    ...{ answers: [], heard: [], wrong: [] },
  };
  let isOver = false;
  const playing = Array.from({ length: callers }, () => playCallers(day, () => isOver));
  const problems: string[] = [];
  try {
    // The first calls load what is loaded once.
    await confirmedAfter(day, performance.now());
    await wait(calmMs);
    for (const fault of faults) problems.push(...await inflict(fault, faultMs, site, day));
  } finally {
    isOver = true;
    await Promise.all(playing);
  }
  return await withConnection(site.dbUrl, async (sql) => {
    return [...problems, ...await checkDay(sql, day)];
  });
}

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function inflict(
  fault: Fault,
  faultMs: number,
  site: Site,
  day: Day,
): Promise<string[]> {
  const beganAt = performance.now();
  await fault.begin(site);
  await wait(faultMs);
  await fault.end(site);
  const endedAt = performance.now();
  const confirmedAt = await confirmedAfter(day, endedAt);
  await wait(calmMs);
  const within = (from: number, to: number) =>
    day.answers.filter(({ at }) => at >= from && at < to);
  const before = p95(within(beganAt - calmMs, beganAt));
  // Without requests that began during the fault.
  const after = p95(day.answers.filter(({ at, ms }) => at - ms > (confirmedAt ?? endedAt)));
  const during = within(beganAt, endedAt);
  const count = (outcome: string) => during.filter((one) => one.outcome === outcome).length;
  const late = during.filter(({ ms }) => ms > lateMs).length;
  const back = confirmedAt === undefined ? "never" : `${seconds(confirmedAt - endedAt)} s`;
  console.log(
    `${fault.name} for ${seconds(endedAt - beganAt)} s: ${during.length} answers, ` +
      `${count("busy")} busy, ${count("error")} errors, latest ${seconds(latest(during))} s` +
      ` (${late} after ${lateMs / 1000} s); first confirmed again after ${back}; ` +
      `p95 before ${before.toFixed(0)} ms, after that ${after.toFixed(0)} ms`,
  );
  return confirmedAt === undefined ? [`nothing was confirmed again after: ${fault.name}`] : [];
}

const seconds = (ms: number) => (ms / 1000).toFixed(1);
const latest = (answers: readonly Answered[]) => Math.max(0, ...answers.map(({ ms }) => ms));

function p95(answers: readonly Answered[]): number {
  const times = answers.map(({ ms }) => ms).sort((a, b) => a - b);
  return times[Math.floor(0.95 * (times.length - 1))] ?? NaN;
}

/** When the first booking after a moment was confirmed. */
async function confirmedAfter({ answers }: Day, moment: number): Promise<number | undefined> {
  while (performance.now() - moment < recoveryMs) {
    const found = answers.find(({ at, outcome }) => at > moment && outcome === "confirmed");
    if (found) return found.at;
    await wait(50);
  }
  return undefined;
}

/** Compares the database with what callers heard. */
async function checkDay(sql: postgres.Sql, { answers, heard, wrong }: Day): Promise<string[]> {
  const rows = await sql<{ id: string; phone: string }[]>`
    select id, patient_phone as phone from public.appointments where status = 'confirmed'`;
  const ids = new Set(rows.map(({ id }) => id));
  const counts = new Map<string, number>();
  for (const { phone } of rows) counts.set(phone, (counts.get(phone) ?? 0) + 1);
  const doubles = await findDoubles(sql);
  const silent = answers.filter(({ outcome }) => outcome === "none").length;
  const promised = heard.filter(({ appointments }) => appointments === "one").length;
  console.log(
    `${answers.length} answers, ${heard.length} callers, ${promised} of whom have an appointment as ` +
      `they heard it; the database has ${rows.length} and ${doubles.length} doubles`,
  );
  return [
    ...wrong,
    ...doubles.map((double) => `booked twice: ${double}`),
    ...silent === 0 ? [] : [`${silent} requests got no sentence within ${hangMs / 1000} s`],
    ...heard.flatMap((one) => compare(one, counts.get(one.phone) ?? 0, ids)),
    ...promised === 0 ? ["no appointment was confirmed"] : [],
  ];
}

function compare(
  { phone, appointments, confirmedId }: Heard,
  count: number,
  ids: ReadonlySet<string>,
): string[] {
  const isRight = appointments === "one" ? count === 1 : count <= (appointments === "none" ? 0 : 1);
  return [
    ...isRight ? [] : [`${phone} heard of ${appointments} and has ${count} appointments`],
    ...confirmedId === undefined || ids.has(confirmedId)
      ? []
      : [`${confirmedId} was confirmed and is lost`],
  ];
}
