/**
 * A clinic as one document: what its file says and what the database keeps, in one form.
 *
 * The database reads it with `apply_clinic` and writes it with `read_clinic`; `file.ts` reads and
 * writes the YAML that people edit.
 *
 * @module
 */

import { z } from "zod";

const minute = z.number().int();
const day = z.iso.date();

/** Opening hours of a weekday, in local minutes from midnight; above 1440 is the next day. */
const weekdayHours = z.object({
  /** 0 is Sunday. */
  dow: z.number().int().min(0).max(6),
  startMin: minute,
  endMin: minute,
});
/** Opening hours of a weekday. */
export type WeekdayHours = z.infer<typeof weekdayHours>;

/** Local days, the last one included. */
const dayRange = z.object({ first: day, last: day });
/** Local days, the last one included. */
export type DayRange = z.infer<typeof dayRange>;

const datedHours = weekdayHours.extend({
  /** First and last local day on which the hours hold; null is without end. */
  from: day.nullable(),
  until: day.nullable(),
});
/** Opening hours of a weekday within a season. */
export type DatedHours = z.infer<typeof datedHours>;

/** What replaces the hours of one local day; null minutes mean closed. */
const dayHours = z.object({ day, startMin: minute.nullable(), endMin: minute.nullable() });
/** What replaces the hours of one local day. */
export type DayHours = z.infer<typeof dayHours>;

/**
 * Local times, `2026-08-03T14:00`, with the offset from UTC only where a clock change leaves it open;
 * null is without end.
 */
const absence = z.object({ from: z.string().nullable(), to: z.string().nullable() });
/** An absence, in local times. */
export type Absence = z.infer<typeof absence>;

const service = z.object({
  slug: z.string(),
  name: z.string(),
  durationMin: minute,
  stepMin: minute,
  bufferBeforeMin: minute,
  bufferAfterMin: minute,
  noticeMin: minute,
  horizonDays: z.number().int(),
  capacity: z.number().int(),
});
/** What can be booked. */
export type ServiceDocument = z.infer<typeof service>;

const provider = z.object({
  slug: z.string(),
  name: z.string(),
  /** Slugs of services. */
  services: z.array(z.string()),
  hours: z.array(datedHours),
  overrides: z.array(dayHours),
  timeOff: z.array(absence),
});
/** Somebody whose time is booked. */
export type ProviderDocument = z.infer<typeof provider>;

const fact = z.object({
  question: z.string(),
  /** Other ways to ask it. */
  alsoAsked: z.array(z.string()),
  /** Said to the caller as it is. */
  answer: z.string(),
  tags: z.array(z.string()),
  /** Whether everybody asks it, so that the assistant knows it without looking it up. */
  inPrompt: z.boolean(),
});
/** A question and the clinic's own answer. */
export type FactDocument = z.infer<typeof fact>;

const assistant = z.object({
  /** A tag such as `en` or `de-CH`. */
  language: z.string(),
  /** Names of shared/line/presets.ts. */
  voice: z.string(),
  model: z.string(),
  /** What the caller hears first; null names the clinic. */
  greeting: z.string().nullable(),
  recordsCalls: z.boolean(),
  keepsTranscript: z.boolean(),
});

/** The shape that the database answers with. */
export const clinicDocument = z.object({
  slug: z.string(),
  name: z.string(),
  timezone: z.string(),
  defaultCountry: z.string(),
  /** E.164. */
  numbers: z.array(z.string()),
  /** Ids at Vapi; left out, those in the database stay. */
  vapiPhoneNumbers: z.array(z.string()).optional(),
  vapiAssistants: z.array(z.string()).optional(),
  sharedLines: z.array(z.string()),
  assistant,
  transferNumber: z.string().nullable(),
  deskHours: z.array(weekdayHours),
  holdMinutes: minute,
  smsCountries: z.array(z.string()),
  smsHourlyLimit: z.number().int(),
  messageHourlyLimit: z.number().int(),
  followUpTexts: z.boolean(),
  textsAtHold: z.boolean(),
  retentionDays: z.number().int(),
  auditRetentionDays: z.number().int(),
  closingDays: z.array(dayRange),
  services: z.array(service),
  providers: z.array(provider),
  facts: z.array(fact),
});
/** A clinic. */
export type ClinicDocument = z.infer<typeof clinicDocument>;
