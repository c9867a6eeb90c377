/**
 * Rows as the API gives them, and how their ranges are read.
 *
 * @module
 */

import type { Day, Moment } from "../../page/app/clinic_time.ts";
import type { Absence, ClosedDays, DayHours, WeeklyHours } from "./day_layout.ts";

/** What a member may do; each role may do what the one before it may. */
export const roles = ["viewer", "desk", "manager", "owner"] as const;

/** One of them. */
export type Role = (typeof roles)[number];

/** Whether a role may do what another one may. */
export const mayAs = (role: Role, needed: Role): boolean =>
  roles.indexOf(role) >= roles.indexOf(needed);

/** Which clinic an account belongs to, and as what. */
export interface Membership {
  readonly org_id: string;
  readonly role: Role;
}

/** A clinic. */
export interface Clinic {
  readonly id: string;
  readonly name: string;
  readonly timezone: string;
  readonly default_country: string;
  /** A datemultirange. */
  readonly closing_days: string;
}

/** A doctor. */
export interface Provider {
  readonly id: string;
  readonly slug: string;
  readonly name: string;
  readonly active: boolean;
}

/** What can be booked. */
export interface Service {
  readonly id: string;
  readonly slug: string;
  readonly name: string;
  readonly duration_min: number;
  readonly capacity: number;
  readonly active: boolean;
}

/** A row of `appointments`, as far as the page needs it. */
export interface Appointment {
  readonly id: string;
  readonly provider_id: string;
  readonly service_id: string;
  /** Null after the patient was erased. */
  readonly patient_name: string | null;
  readonly patient_phone: string | null;
  readonly starts_at: string;
  readonly ends_at: string;
  /** A tstzrange: with the buffers. */
  readonly busy: string;
  readonly status: string;
  readonly expires_at: string | null;
  /** When a call that ran out of codes left it to the desk. */
  readonly handed_over_at: string | null;
  readonly call_id: string | null;
  readonly arrived_at: string | null;
  /** When the patient has confirmed it by answering a text. */
  readonly patient_confirmed_at: string | null;
  readonly updated_at: string;
}

/** The columns of an {@link Appointment}. */
export const appointmentColumns =
  "id,provider_id,service_id,patient_name,patient_phone,starts_at,ends_at,busy,status,expires_at," +
  "handed_over_at,call_id,arrived_at,patient_confirmed_at,updated_at";

/** What a caller left for the desk. */
export interface Message {
  readonly id: string;
  readonly caller_name: string;
  readonly phone: string;
  readonly wished_time: string | null;
  readonly message: string;
  readonly created_at: string;
}

/** What a text about an appointment tells. */
const textKinds = ["confirmation", "change", "cancellation", "reminder"] as const;

/** One of them. */
export type TextKind = (typeof textKinds)[number];

/** Whether a text is about an appointment, and has no code in it. */
export const isTextKind = (origin: string): origin is TextKind =>
  textKinds.some((kind) => kind === origin);

/** A row of `appointment_texts`. */
export interface AppointmentText {
  readonly id: string;
  readonly kind: TextKind;
  readonly state: "waiting" | "sending" | "sent" | "failed" | "unknown" | "dropped";
  readonly reason: string | null;
  readonly due_at: string;
  readonly updated_at: string;
  /** The newest attempt, an id of `sms_messages`. */
  readonly send_id: string | null;
}

/** A text that did not arrive. */
export interface FailedText {
  readonly id: string;
  /** A {@link TextKind}, or where the call came from that asked for a code. */
  readonly origin: string;
  readonly appointment_id: string | null;
  readonly to_masked: string;
  readonly status: string;
  readonly delivery: string | null;
  readonly error_code: number | null;
  readonly created_at: string;
}

/** What happened too often. */
export interface Alarm {
  readonly id: string;
  readonly kind: string;
  readonly raised_at: string;
  readonly first_at: string;
  readonly events: number;
}

/** A row of the audit log. */
export interface AuditRow {
  readonly id: string;
  readonly at: string;
  readonly actor: string;
  readonly call_id: string | null;
  readonly caller_masked: string | null;
  readonly staff_user: string | null;
  readonly action: string;
  readonly outcome: string;
  readonly details: Readonly<Record<string, unknown>>;
}

/** The moment of a timestamp as PostgreSQL writes it in JSON or in a range; infinities too. */
function readMoment(text: string): Moment {
  if (/^-?infinity$/.test(text)) return text.startsWith("-") ? -Infinity : Infinity;
  return Date.parse(text.replace(" ", "T").replace(/([+-]\d\d)$/, "$1:00"));
}

/** The bounds of a range, without quotes; empty where there is none. */
function boundsOf(range: string): readonly [string, string] {
  const [, from = "", to = ""] = /^[[(]"?([^",]*)"?,"?([^",]*)"?[\])]$/.exec(range) ?? [];
  return [from, to];
}

/** The moments of a tstzrange. */
export function readSpan(range: string): { readonly from: Moment; readonly to: Moment } {
  const [from, to] = boundsOf(range);
  return {
    from: from === "" ? -Infinity : readMoment(from),
    to: to === "" ? Infinity : readMoment(to),
  };
}

/** The days of a datemultirange. PostgreSQL writes each range with its first day and the day after. */
export const readClosedDays = (ranges: string): ClosedDays[] =>
  (ranges.match(/[[(][^\])]*[\])]/g) ?? []).map((range) => {
    const [from, until] = boundsOf(range);
    return { from, until };
  });

/** A row of `working_hours`. */
export interface HoursRow {
  readonly provider_id: string;
  readonly dow: number;
  readonly start_min: number;
  readonly end_min: number;
  /** A daterange. */
  readonly valid: string;
}

/** Weekly hours as the layout takes them. */
export function readHours({ provider_id, dow, start_min, end_min, valid }: HoursRow): WeeklyHours {
  const [from, until] = boundsOf(valid);
  const day = (text: string): Day | null => text === "" || /infinity/.test(text) ? null : text;
  return {
    providerId: provider_id,
    dow,
    startMin: start_min,
    endMin: end_min,
    from: day(from),
    until: day(until),
  };
}

/** A row of `working_hours_overrides`. */
export interface DayRow {
  readonly provider_id: string;
  readonly day: Day;
  readonly start_min: number | null;
  readonly end_min: number | null;
}

/** A day's own hours as the layout takes them. */
export const readDayHours = ({ provider_id, day, start_min, end_min }: DayRow): DayHours => ({
  providerId: provider_id,
  day,
  startMin: start_min,
  endMin: end_min,
});

/** A row of `time_off`. */
export interface TimeOffRow {
  readonly id: string;
  readonly provider_id: string;
  readonly span: string;
}

/** An absence as the layout takes it. */
export const readAbsence = ({ id, provider_id, span }: TimeOffRow): Absence => ({
  id,
  providerId: provider_id,
  ...readSpan(span),
});
