/**
 * Many callers who want the same time at the same moment.
 *
 * @module
 */

import { LineCall, type ToolUse } from "../tasks/talk/line.ts";
import type { SwitchedDatabase } from "./database.ts";
import type { Lines } from "./lines.ts";
import { insist } from "./phone_calls.ts";

/** The result of a rush. */
export interface Rush {
  readonly slotId: string;
  readonly callers: number;
  /** How many got the time. */
  readonly held: number;
  /** How many were told that it is taken, with other times to choose from. */
  readonly offered: number;
  /** How many heard anything else, by outcome. */
  readonly others: Readonly<Record<string, number>>;
  /** The holds and appointments that the database has at that time. */
  readonly rows: number;
  /** What the caller who got it heard, and what most of the others heard. */
  readonly winnerHears: string | undefined;
  readonly othersHear: string | undefined;
  /** Milliseconds from the first request to the answer, with repetitions. */
  readonly ms: { readonly p50: number; readonly p95: number; readonly longest: number };
}

/** Sends callers at a time. Each has a number of its own and repeats a busy request, as agents do. */
export async function rush(
  { lines, database, secret }: {
    readonly lines: Lines;
    readonly database: SwitchedDatabase;
    readonly secret: string;
  },
  { clinic, slotId, callers }: {
    readonly clinic: string;
    readonly slotId: string;
    readonly callers: number;
  },
): Promise<Rush> {
  const line = await lines.open(clinic);
  const answers = await Promise.all(
    drawNumbers(callers).map(async (caller, place) => {
      const startedAt = performance.now();
      const call = new LineCall(line, { secret, signs: true, caller });
      const args = { slotId, patientName: `Caller ${inLetters(place)}` };
      const { answer } = await insist(() => call.use("hold_slot", args));
      return { answer, ms: performance.now() - startedAt };
    }),
  );
  const heard = answers.map(({ answer }) => answer);
  const isOffer = ({ outcome, slots = [] }: ToolUse["answer"]) =>
    outcome === "slot_taken" && slots.length > 0;
  const held = heard.filter(({ outcome }) => outcome === "held");
  const offered = heard.filter(isOffer);
  const others = heard.filter((one) => one.outcome !== "held" && !isOffer(one));
  const times = answers.map(({ ms }) => ms).sort((one, other) => one - other);
  return {
    ...{ slotId, callers, held: held.length, offered: offered.length },
    others: countBy(others.map(({ outcome }) => outcome)),
    rows: await countRows(database, clinic, slotId),
    winnerHears: held[0]?.message,
    othersHear: mostFrequent(offered.map(({ message }) => message)),
    ms: {
      p50: quantile(times, 0.5),
      p95: quantile(times, 0.95),
      longest: times.at(-1) ?? 0,
    },
  };
}

/** Different numbers of the range for drama. https://www.ofcom.org.uk/phones-and-broadband/phone-numbers/numbers-for-drama */
export function drawNumbers(count: number): string[] {
  const all = Array.from({ length: 1000 }, (_, at) => `+447700900${String(at).padStart(3, "0")}`);
  return all
    .map((number) => ({ number, place: Math.random() }))
    .sort((one, other) => one.place - other.place)
    .slice(0, count)
    .map(({ number }) => number);
}

/** A number as a part of a name, which has no digits. */
export const inLetters = (n: number): string =>
  [...String(n)].map((digit) => "abcdefghij"[Number(digit)]).join("").replace(
    /^./,
    (first) => first.toUpperCase(),
  );

/** How often each text occurs. */
export function countBy(texts: readonly string[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const text of texts) counts[text] = (counts[text] ?? 0) + 1;
  return counts;
}

function mostFrequent(texts: readonly string[]): string | undefined {
  return Object.entries(countBy(texts)).sort(([, one], [, other]) => other - one)[0]?.[0];
}

/** @param sorted Ascending. */
export const quantile = (sorted: readonly number[], fraction: number): number =>
  sorted[Math.ceil(fraction * sorted.length) - 1] ?? 0;

/** The live rows of a doctor's time. */
async function countRows(
  database: SwitchedDatabase,
  clinic: string,
  slotId: string,
): Promise<number> {
  const [row] = await database.ask((sql) =>
    sql<{ rows: number }[]>`
      select count(*)::int as rows
      from public.organizations as o
      cross join lateral private.parse_slot_id(${slotId}, o.timezone) as slot
      join public.providers as p on p.org_id = o.id and p.slug = slot.provider_slug
      join public.appointments as a on a.org_id = o.id and a.provider_id = p.id
        and a.starts_at = slot.starts_at and private.is_live(a, clock_timestamp())
      where o.slug = ${clinic}`
  );
  return row?.rows ?? 0;
}
