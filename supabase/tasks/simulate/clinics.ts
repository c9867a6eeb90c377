/**
 * The clinics of a simulation. Every run creates new ones with different zones and countries, so it
 * neither meets what an earlier run booked nor touches other clinics.
 *
 * @module
 */

import type postgres from "postgres";
import { readCredentialConfig } from "../../../shared/config.ts";
import { storeFakeAccount } from "../../local/twilio/account.ts";
import type { ClinicDocument } from "../clinic/document.ts";
import { type Line, openLine } from "../talk/line.ts";
import { Stop } from "../task.ts";
import { listNumbers } from "./persona.ts";

/** A clinic that callers of the simulation call. */
export interface SimulatedClinic {
  readonly line: Line;
}

const places = [
  { country: "GB", zone: "Europe/London", seats: 1, textsAtHold: false },
  { country: "US", zone: "America/New_York", seats: 1, textsAtHold: true },
  { country: "GB", zone: "Asia/Kolkata", seats: 6, textsAtHold: false },
  { country: "US", zone: "Pacific/Honolulu", seats: 1, textsAtHold: false },
] as const;

/** More than a run can reach. The limits have their own tests. */
const raised = 1_000_000;

/** What a run prints about it. */
export const raisedLimits = "their hourly limits of texts and messages are raised";

/** How many callers share a doctor, so that everybody finds a time within three weeks. */
const callersOfDoctor = 100;

/**
 * Creates the clinics of a run.
 *
 * @param settings The environment of the stack's functions.
 * @param url The address of the stack.
 */
export async function makeClinics(
  sql: postgres.Sql,
  settings: Readonly<Record<string, string>>,
  url: string,
  callers: number,
): Promise<SimulatedClinic[]> {
  const { credentialKeys } = readCredentialConfig(settings);
  const run = crypto.randomUUID().slice(0, 8);
  const doctors = 3 + Math.ceil(callers / places.length / callersOfDoctor);
  const clinics: SimulatedClinic[] = [];
  for (const [index, { country, zone, seats, textsAtHold }] of places.entries()) {
    const number = await findFreeNumber(sql, country);
    const document = describe(`simulation-${run}-${index + 1}`, {
      number,
      country,
      zone,
      seats,
      textsAtHold,
      doctors,
    });
    const [row] = await sql<{ outcome: string; id: string }[]>`
      select a ->> 'outcome' as outcome, a ->> 'orgId' as id
      from public.apply_clinic(${JSON.stringify(document)}::text::jsonb) as a`;
    if (row?.outcome !== "added") {
      throw new Stop(1, `Cannot add the clinic ${document.slug}: ${row?.outcome}`);
    }
    await storeFakeAccount(sql, credentialKeys, { id: row.id, number });
    clinics.push({ line: await openLine(sql, row.id, url) });
  }
  return clinics;
}

/** A number from the fictional ranges that no clinic has. */
export async function findFreeNumber(sql: postgres.Sql, country: "GB" | "US"): Promise<string> {
  const [range, from, digits] = country === "GB" ? ["+442079460", 0, 3] : ["+12125550", 100, 3];
  const [row] = await sql<{ number: string }[]>`
    select n.number
    from generate_series(${from}::int, ${country === "GB" ? 999 : 199}::int) as i,
      lateral (select ${range} || lpad(i::text, ${digits}, '0')) as n (number)
    where not exists (
      select from public.org_channels as c
      where c.kind = 'called_number' and c.value = n.number)
    order by random() limit 1`;
  if (row) return row.number;
  throw new Stop(1, "Simulations have used up the numbers for clinics: start a stack with --fresh");
}

/**
 * Finds numbers that no caller had in the last day. So this run does not meet the limits of a number
 * that an earlier run has used up.
 *
 * @throws {Stop} When too few are left.
 */
export async function findNumbers(sql: postgres.Sql, count: number): Promise<string[]> {
  const used = await sql<{ phone: string }[]>`
    select distinct a.patient_phone as phone from public.appointments as a
    where a.created_at > clock_timestamp() - interval '1 day'`;
  const taken = new Set(used.map(({ phone }) => phone));
  const free = listNumbers().filter((number) => !taken.has(number));
  if (free.length >= count) return free.slice(0, count);
  throw new Stop(
    1,
    `Only ${free.length} numbers were not used in the last day: start a stack with --fresh`,
  );
}

function describe(
  slug: string,
  { number, country, zone, seats, textsAtHold, doctors }: {
    readonly number: string;
    readonly country: string;
    readonly zone: string;
    readonly seats: number;
    readonly textsAtHold: boolean;
    readonly doctors: number;
  },
): ClinicDocument {
  const service = { stepMin: 30, bufferBeforeMin: 0, noticeMin: 0, horizonDays: 60 };
  const services = [
    {
      ...service,
      slug: "consultation",
      name: "Consultation",
      durationMin: 30,
      bufferAfterMin: 0,
      capacity: 1,
    },
    {
      ...service,
      slug: "treatment",
      name: "Treatment",
      durationMin: 60,
      bufferAfterMin: 30,
      capacity: 1,
    },
    {
      ...service,
      slug: "class",
      name: "Prenatal class",
      durationMin: 60,
      bufferAfterMin: 0,
      capacity: seats,
    },
  ];
  const week = [1, 2, 3, 4, 5].flatMap((dow) => [
    { dow, startMin: 480, endMin: 750, from: null, until: null },
    { dow, startMin: 810, endMin: 1140, from: null, until: null },
  ]);
  return {
    slug,
    name: `Simulated Clinic ${slug.slice(-1)}`,
    timezone: zone,
    defaultCountry: country,
    numbers: [number],
    sharedLines: [],
    assistant: {
      ...{ language: "en", voice: "cartesia", model: "openai", greeting: null },
      ...{ recordsCalls: false, keepsTranscript: true },
    },
    transferNumber: null,
    deskHours: [],
    holdMinutes: 10,
    deskHoldMinutes: 60,
    smsCountries: ["GB", "US"],
    smsHourlyLimit: raised,
    messageHourlyLimit: raised,
    followUpTexts: false,
    textsAtHold,
    calendarPatientNames: false,
    address: null,
    confirmationTexts: true,
    changeTexts: true,
    cancellationTexts: true,
    reminderMin: null,
    reminderNoticeHours: 24,
    textAnswers: false,
    textLanguage: "en",
    textWords: {},
    retentionDays: 30,
    auditRetentionDays: 30,
    closingDays: [],
    services,
    providers: Array.from({ length: doctors }, (_, index) => ({
      slug: `doctor-${index + 1}`,
      name: `Dr ${surnames[index % surnames.length]} ${index + 1}`,
      services: services.map(({ slug }) => slug),
      hours: week,
      overrides: [],
      timeOff: [],
    })),
    facts: [{
      question: "Where can I park?",
      alsoAsked: ["Is there a car park?"],
      answer: "There are ten free spaces behind the house.",
      tags: [],
      inPrompt: false,
    }],
  };
}

const surnames = ["Patel", "Okafor", "Hughes", "Lindqvist", "Moreau", "Tanaka"];
