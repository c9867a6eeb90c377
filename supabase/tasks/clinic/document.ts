/**
 * A clinic as one document: the content of its file and of the database, in one form.
 *
 * The database reads it with `apply_clinic` and writes it with `read_clinic`. `file.ts` reads and
 * writes the YAML that people edit.
 *
 * @module
 */

import { z } from "zod";

const minute = z.number().int();
const day = z.iso.date();

/** Opening hours of a weekday, in local minutes from midnight. Above 1440 is the next day. */
const weekdayHours = z.object({
  /** 0 is Sunday. */
  dow: z.number().int().min(0).max(6),
  startMin: minute,
  endMin: minute,
});
/** Opening hours of a weekday. */
export type WeekdayHours = z.infer<typeof weekdayHours>;

/** Local days, including the last one. */
const dayRange = z.object({ first: day, last: day });
/** Local days, including the last one. */
export type DayRange = z.infer<typeof dayRange>;

const datedHours = weekdayHours.extend({
  /** First and last local day for which the hours are valid; null for no limit. */
  from: day.nullable(),
  until: day.nullable(),
});
/** Opening hours of a weekday during a season. */
export type DatedHours = z.infer<typeof datedHours>;

/** Replaces the hours of one local day. Null minutes mean closed. */
const dayHours = z.object({ day, startMin: minute.nullable(), endMin: minute.nullable() });
/** Replaces the hours of one local day. */
export type DayHours = z.infer<typeof dayHours>;

/**
 * Local times, `2026-08-03T14:00`, with the offset from UTC only where a clock change makes them
 * ambiguous; null for no limit.
 */
const absence = z.object({ from: z.string().nullable(), to: z.string().nullable() });
/** An absence, in local times. */
export type Absence = z.infer<typeof absence>;

/** A service that can be booked. */
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

const provider = z.object({
  slug: z.string(),
  name: z.string(),
  /** Slugs of services. */
  services: z.array(z.string()),
  hours: z.array(datedHours),
  overrides: z.array(dayHours),
  timeOff: z.array(absence),
});
/** A doctor, or anybody else whose time is booked. */
export type ProviderDocument = z.infer<typeof provider>;

/** A question and the clinic's own answer. */
const fact = z.object({
  question: z.string(),
  /** Other ways to ask it. */
  alsoAsked: z.array(z.string()),
  /** Said to the caller unchanged. */
  answer: z.string(),
  tags: z.array(z.string()),
  /** Whether the assistant's prompt contains the answer, because many callers ask. */
  inPrompt: z.boolean(),
});

const assistant = z.object({
  /** A tag such as `en` or `de-CH`. */
  language: z.string(),
  /** A name in shared/line/presets.ts. */
  voice: z.string(),
  model: z.string(),
  /** What the caller hears first; if null, a sentence that names the clinic. */
  greeting: z.string().nullable(),
  recordsCalls: z.boolean(),
  keepsTranscript: z.boolean(),
});

/** The form of the database's answer. */
export const clinicDocument = z.object({
  slug: z.string(),
  name: z.string(),
  timezone: z.string(),
  defaultCountry: z.string(),
  /** E.164. */
  numbers: z.array(z.string()),
  /** Ids at Vapi. If undefined, those in the database stay. */
  vapiPhoneNumbers: z.array(z.string()).optional(),
  vapiAssistants: z.array(z.string()).optional(),
  sharedLines: z.array(z.string()),
  assistant,
  transferNumber: z.string().nullable(),
  deskHours: z.array(weekdayHours),
  holdMinutes: minute,
  deskHoldMinutes: minute,
  smsCountries: z.array(z.string()),
  smsHourlyLimit: z.number().int(),
  messageHourlyLimit: z.number().int(),
  followUpTexts: z.boolean(),
  textsAtHold: z.boolean(),
  calendarPatientNames: z.boolean(),
  /** Where patients go, as a text says it. */
  address: z.string().nullable(),
  confirmationTexts: z.boolean(),
  changeTexts: z.boolean(),
  cancellationTexts: z.boolean(),
  /** The local minute of the day before at which patients are reminded. */
  reminderMin: minute.nullable(),
  reminderNoticeHours: z.number().int(),
  /** Whether reminders can be answered by text. */
  textAnswers: z.boolean(),
  /** The language of texts about appointments. */
  textLanguage: z.string(),
  /** The clinic's own texts by language and kind. */
  textWords: z.record(z.string(), z.record(z.string(), z.string())),
  retentionDays: z.number().int(),
  auditRetentionDays: z.number().int(),
  closingDays: z.array(dayRange),
  services: z.array(service),
  providers: z.array(provider),
  facts: z.array(fact),
});
/** A clinic. */
export type ClinicDocument = z.infer<typeof clinicDocument>;
