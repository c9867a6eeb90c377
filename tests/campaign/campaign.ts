/**
 * A fault campaign: many random sequences of what can go wrong in a call, checked against a small
 * model.
 *
 * @module
 */

import { callerDeadlines } from "../../shared/deadline.ts";
import { findDoubles } from "../support/callers.ts";
import { type Bench, vapiSecret } from "../support/clinic.ts";
import { Broken, Unclear } from "./model.ts";
import { play, type Surroundings } from "./play.ts";
import { drawSequences, type Step } from "./steps.ts";

/** A sequence that broke a promise, shortened as far as possible. */
export interface Finding {
  readonly problem: string;
  readonly steps: readonly Step[];
}

/** The result of a campaign. */
export interface Report {
  readonly runs: number;
  readonly steps: number;
  readonly texts: number;
  /** Sequences abandoned because the machine was too slow to tell what happened. */
  readonly unclear: number;
  readonly findings: readonly Finding[];
}

/** How to run a campaign. */
export interface CampaignOptions {
  readonly seed: number;
  readonly runs: number;
  /** Concurrent sequences. */
  readonly width?: number;
  /** Stops at the first finding. */
  readonly isBrief?: boolean;
}

/** Runs a campaign on its own bench; at the end, searches everything that was written. */
export async function runCampaign(
  bench: Bench,
  { seed, runs, width = 16, isBrief = false }: CampaignOptions,
): Promise<Report> {
  const { otpPeppers, credentialKeys } = bench.runtime.config;
  // As long as callers wait, since Twilio is often silent here.
  bench.deadlines.textMs = callerDeadlines.textMs;
  let phones = 0;
  const surroundings: Surroundings = {
    bench,
    answers: [],
    takePhone: () => `+4477009${String(phones++).padStart(5, "0")}`,
    secrets: {
      codes: new Set(),
      credentials: new Set([
        vapiSecret,
        ...[...otpPeppers, ...credentialKeys].map(({ bytes }) =>
          btoa(String.fromCharCode(...bytes))
        ),
      ]),
    },
  };
  const sequences = drawSequences(seed, runs);
  const findings: Finding[] = [];
  let unclear = 0;
  const waiting = [...sequences];
  const worker = async () => {
    for (let steps = waiting.shift(); steps !== undefined; steps = waiting.shift()) {
      const problem = await playOnce(steps, surroundings).catch((thrown) => {
        if (!(thrown instanceof Unclear)) throw thrown;
        unclear++;
      });
      if (problem === undefined) continue;
      findings.push(isBrief ? { problem, steps } : await shrink({ problem, steps }, surroundings));
      if (isBrief) waiting.length = 0;
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  const leak = await findLeak(surroundings);
  if (leak !== undefined) findings.push({ problem: leak, steps: [] });
  for (const problem of await findDoubles(bench.database.sql)) {
    findings.push({ problem: `live appointments overlap: ${problem}`, steps: [] });
  }
  const double = await findDouble(bench);
  if (double !== undefined) findings.push({ problem: double, steps: [] });
  return {
    runs,
    steps: sequences.flat().length,
    texts: surroundings.secrets.codes.size,
    unclear,
    findings,
  };
}

async function playOnce(
  steps: readonly Step[],
  surroundings: Surroundings,
): Promise<string | undefined> {
  try {
    await play(steps, surroundings);
    return undefined;
  } catch (thrown) {
    if (thrown instanceof Broken) return thrown.message;
    throw thrown;
  }
}

/** Removes steps as long as the sequence still breaks a promise. */
async function shrink(finding: Finding, surroundings: Surroundings): Promise<Finding> {
  for (let index = finding.steps.length - 1; index >= 0; index--) {
    const steps = finding.steps.toSpliced(index, 1);
    const problem = await playOnce(steps, surroundings).catch(() => undefined);
    if (problem !== undefined) return await shrink({ problem, steps }, surroundings);
  }
  return finding;
}

/** Looks for codes and credentials in everything that was stored, logged or answered. */
async function findLeak({ bench, answers, secrets }: Surroundings): Promise<string | undefined> {
  const written: [string, string][] = [
    ["the log", bench.lines.join("\n")],
    ["the answers", answers.join("\n")],
    ...await dump(bench),
  ];
  for (const [where, text] of written) {
    // Six digits that are not part of a number, a name or a fraction of a second.
    for (const [digits] of text.matchAll(/(?<![\w.+-])\d{6}(?![\w-])/g)) {
      if (secrets.codes.has(digits)) return `a code is in ${where}`;
    }
    for (const secret of secrets.credentials) {
      if (text.includes(secret)) return `a credential is in ${where}`;
    }
  }
  return undefined;
}

/** Every row of each of our tables, as text. */
async function dump({ database: { admin } }: Bench): Promise<[string, string][]> {
  const tables = await admin<{ name: string }[]>`
    select c.oid::regclass::text as name from pg_class as c
    where c.relkind = 'r' and c.relnamespace in ('public'::regnamespace, 'private'::regnamespace)`;
  const dumps: [string, string][] = [];
  for (const { name } of tables) {
    const [row] = await admin.unsafe<{ text: string }[]>(
      `select coalesce(string_agg(t::text, E'\\n'), '') as text from ${name} as t`,
    );
    dumps.push([`table ${name}`, row?.text ?? ""]);
  }
  return dumps;
}

/** Counts confirmations independently, in the audit log. */
async function findDouble({ database: { sql } }: Bench): Promise<string | undefined> {
  const doubles = await sql`
    select subject_id from public.audit_logs
    where action = 'confirm_appointment' and outcome = 'confirmed'
    group by org_id, subject_id having count(*) > 1`;
  return doubles.length > 0 ? "a hold was confirmed twice, says the audit trail" : undefined;
}
