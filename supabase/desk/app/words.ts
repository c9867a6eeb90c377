/**
 * What the page calls things, and a sentence for every outcome of a function for staff.
 *
 * @module
 */

import type { Moment } from "../../page/app/clinic_time.ts";
import type { SentText } from "./client.ts";
import type { Appointment, Role, TextKind } from "./rows.ts";

/** What an entry in the calendar is, for its colour and its word. */
export type State =
  | "held"
  | "confirmed"
  | "arrived"
  | "completed"
  | "no_show"
  | "followup"
  | "cancelled"
  | "expired";

/** The words for them. */
export const stateWords: Readonly<Record<State, string>> = {
  held: "On hold",
  confirmed: "Confirmed",
  arrived: "Arrived",
  completed: "Completed",
  no_show: "Did not come",
  followup: "Needs a call",
  cancelled: "Cancelled",
  expired: "Hold expired",
};

/** The state of an appointment at a moment. An expired hold counts as expired, cleaned up or not. */
export function stateOf(
  { status, expires_at, handed_over_at, arrived_at }: Pick<
    Appointment,
    "status" | "expires_at" | "handed_over_at" | "arrived_at"
  >,
  now: Moment,
): State {
  switch (status) {
    case "held":
      if (handed_over_at !== null) return "followup";
      return Date.parse(expires_at ?? "") > now ? "held" : "expired";
    case "confirmed":
      return arrived_at === null ? "confirmed" : "arrived";
    case "requires_manual_followup":
      return "followup";
    case "completed":
    case "no_show":
    case "cancelled":
      return status;
    default:
      return "expired";
  }
}

/** The word for an appointment's state, and whether the patient has confirmed it too. */
export function sayState(one: Appointment, now: Moment): string {
  const state = stateOf(one, now);
  return state === "confirmed" && one.patient_confirmed_at !== null
    ? "Confirmed by the patient"
    : stateWords[state];
}

/** The patient's name, or what stands for one who was erased. */
export const nameOf = ({ patient_name }: Pick<Appointment, "patient_name">): string =>
  patient_name ?? "Erased patient";

/** What the roles are called, after "you are". */
export const roleWords: Readonly<Record<Role, string>> = {
  viewer: "viewer",
  desk: "front desk",
  manager: "manager",
  owner: "owner",
};

/** What can become of a request of staff, besides what the function itself says. */
const common = {
  not_allowed: "Your role does not allow this. Ask an owner of the clinic.",
  unknown_clinic: "You are no longer a member of this clinic.",
  busy: "Somebody else is changing this right now. Nothing was done; try again.",
  request_needed: "The request had no number, so nothing was done. Reload the page.",
  request_reused: "The request's number belonged to another one. Nothing was done; try again.",
} as const;

const appointmentCommon = {
  ...common,
  appointment_not_found: "This appointment no longer exists.",
  wrong_status: "This has changed in the meantime, so it is no longer possible.",
} as const;

const bookings =
  "These bookings no longer fit the hours. They stay booked until you move or cancel them.";

const schedule = {
  ...common,
  changed: "Saved.",
  invalid_schedule: "These hours are not possible.",
  unknown_provider: "This doctor no longer exists.",
} as const;

/**
 * Every function for staff, and what the page says for each of its outcomes. A test compares the
 * outcomes with the comments of the functions.
 */
export const sentences = {
  staff_find_times: {
    found: "",
    unknown_service: "This service no longer exists.",
    unknown_provider: "This doctor no longer exists.",
    not_allowed: common.not_allowed,
    unknown_clinic: common.unknown_clinic,
  },
  staff_book: {
    ...common,
    booked: "Booked.",
    slot_taken: "That time has just been taken.",
    invalid_slot: "That is not a bookable time. Choose another one.",
    invalid_name: "Enter the patient's name, with at most 120 letters.",
    invalid_phone: "That is not a complete phone number.",
    invalid_country: "The country of that number is not known. Enter the number with its + prefix.",
    unusable_phone: "That is a number of the clinic itself. Enter the patient's own number.",
  },
  staff_confirm: {
    ...appointmentCommon,
    confirmed: "Confirmed.",
    slot_taken: "The hold had expired, and the time is no longer free.",
    new_time:
      "This is the new time of a move that waits for its code. Move the appointment instead.",
    past: "This time is over.",
  },
  staff_cancel: {
    ...appointmentCommon,
    cancelled: "Cancelled.",
    past: "This time is over. Mark the appointment instead.",
  },
  staff_resolve: {
    ...appointmentCommon,
    confirmed: "Confirmed.",
    cancelled: "Closed without a booking.",
    slot_taken: "The time is no longer free. Choose another time with the patient.",
    past: "This time is over. It can only be closed.",
    unknown_resolution: "It can only be confirmed or closed.",
  },
  staff_move: {
    ...appointmentCommon,
    moved: "Moved.",
    unchanged: "It is at that time already.",
    slot_taken: "That time has just been taken. The appointment is where it was.",
    invalid_slot: "That is not a bookable time. Choose another one.",
    past: "This time is over.",
    patient_erased: "The patient was erased, so this cannot be moved.",
  },
  staff_mark: {
    ...appointmentCommon,
    marked: "Marked.",
    too_early: "It is too early for that mark.",
    slot_taken: "The time was booked again, so the mark stays.",
    unknown_mark: "There is no such mark.",
  },
  staff_handle: {
    ...common,
    handled: "Done.",
    unchanged: "Somebody had done this already.",
    unknown_kind: "There is no such thing to deal with.",
    unknown_notice: "This no longer exists.",
  },
  staff_clear_lock: {
    ...common,
    cleared: "Cleared. The number can get codes again.",
    unknown_number: "No call has used this number here, so there is nothing to clear.",
    clear_limit: "This number was cleared twice within a day already. Try again tomorrow.",
    invalid_phone: "That is not a complete phone number.",
  },
  staff_block_number: {
    ...common,
    blocked: "Blocked. The number can no longer book by phone or leave messages.",
    unblocked: "The number is no longer blocked.",
    unchanged: "Nothing to change: it was so already.",
    invalid_phone: "That is not a complete phone number.",
  },
  staff_set_hours: schedule,
  staff_set_day: schedule,
  staff_add_time_off: schedule,
  staff_remove_time_off: {
    ...common,
    removed: "Removed.",
    unknown_time_off: "It was removed already.",
    imported_time_off: "It is in the doctor's own calendar: remove it there.",
  },
  staff_set_closing_days: {
    ...common,
    changed: "Saved.",
    invalid_schedule: "These days are not possible.",
  },
  staff_list_members: {
    found: "",
    not_allowed: common.not_allowed,
    unknown_clinic: common.unknown_clinic,
  },
  staff_change_member: {
    ...common,
    changed: "The role was changed.",
    removed: "Removed. This account sees nothing of the clinic any more.",
    unchanged: "Nothing to change: it was so already.",
    unknown_role: "There is no such role.",
    unknown_member: "This account is no longer a member.",
    last_owner: "A clinic keeps one owner. Make somebody else an owner first.",
  },
  staff_list_calendars: {
    found: "",
    not_allowed: common.not_allowed,
    unknown_clinic: common.unknown_clinic,
  },
  staff_add_calendar_feed: {
    ...common,
    added: "Made. Copy the address now: it is shown only once.",
    unknown_provider: "This doctor no longer exists.",
    too_many_feeds: "The clinic gives out 200 calendars already. Revoke one that nobody reads.",
    invalid_feed: "Say who gets it, in at most 80 letters.",
  },
  staff_revoke_calendar_feed: {
    ...common,
    revoked: "Revoked. Its address no longer works.",
    unknown_feed: "This calendar no longer exists.",
  },
  staff_set_busy_calendar: {
    ...common,
    set: "Saved. The calendar is read within a few minutes.",
    removed: "Removed, with the time off that came from it.",
    unchanged: "Nothing to change: it was so already.",
    unknown_provider: "This doctor no longer exists.",
    invalid_address:
      "Enter the calendar's secret address, which begins with https:// or webcal://.",
  },
} as const satisfies Readonly<Record<string, Readonly<Record<string, string>>>>;

/** A function for staff that the page calls. */
export type StaffFunction = keyof typeof sentences;

/** What an answer may contain besides its outcome. */
export interface Answer {
  readonly outcome: string;
  readonly appointmentId?: string;
  readonly startTime?: string;
  readonly doctor?: string;
  readonly timezone?: string;
  readonly taken?: boolean;
  readonly status?: string;
  readonly slots?: readonly Slot[];
  readonly bookings?: readonly Misplaced[];
  readonly members?: readonly Member[];
  readonly feeds?: readonly Feed[];
  readonly busy?: readonly BusyCalendar[];
}

/** Somebody who belongs to the clinic. */
export interface Member {
  readonly userId: string;
  readonly email: string | null;
  readonly role: Role;
}

/** A calendar that the clinic gives out. */
export interface Feed {
  readonly feedId: string;
  readonly label: string;
  /** Null for the whole clinic. */
  readonly doctor: string | null;
  readonly createdAt: string;
  readonly readAt: string | null;
  readonly revokedAt: string | null;
}

/** A doctor's own calendar, whose busy times are time off. */
export interface BusyCalendar {
  readonly providerId: string;
  /** All of its address that anybody sees again. */
  readonly host: string;
  readonly readAt: string | null;
  /** How many readings in a row have failed. */
  readonly failures: number;
  readonly failure: string | null;
  readonly absences: number;
}

/** A time that can be booked. */
export interface Slot {
  readonly slotId: string;
  readonly startTime: string;
  readonly doctor?: string;
  readonly availableDoctors?: number;
  readonly seatsLeft?: number;
}

/** A booking that does not fit the hours any more. */
export interface Misplaced {
  readonly appointmentId: string;
  readonly startTime: string;
  readonly service: string;
  readonly doctor: string;
}

/** Outcomes after which the request has done what it was for. */
const good = new Set([
  "booked",
  "confirmed",
  "cancelled",
  "moved",
  "unchanged",
  "marked",
  "handled",
  "cleared",
  "blocked",
  "unblocked",
  "changed",
  "removed",
  "added",
  "revoked",
  "set",
  "found",
]);

/** Whether an answer says that it was done. */
export const isDone = ({ outcome }: Answer): boolean => good.has(outcome);

/** The sentence for an answer. */
export function sentenceFor(name: StaffFunction, answer: Answer): string {
  const known: Readonly<Record<string, string>> = sentences[name];
  switch (answer.outcome) {
    case "unreachable":
      return "No answer from the server. It may or may not have been done: look at the calendar, then try again.";
    case "refused":
      return "The server refused this. Sign in again.";
    case "slot_taken":
      if (answer.taken === false) {
        return "That time cannot be booked: it is outside the hours or too soon.";
      }
      break;
    case "changed":
      if ((answer.bookings?.length ?? 0) > 0) return `${known["changed"]} ${bookings}`;
  }
  return known[answer.outcome] ?? `The server answered ${answer.outcome}.`;
}

/** What texts about appointments are called, as the beginning of a sentence. */
export const textKindWords: Readonly<Record<TextKind, string>> = {
  confirmation: "Confirmation",
  change: "New time",
  cancellation: "Cancellation",
  reminder: "Reminder",
};

const reasonWords: Readonly<Record<string, string>> = {
  outdated: "it was no longer true",
  switched_off: "the clinic does not send these",
  no_number: "the patient has no number",
  not_proven: "no code has proven the number, and nobody asked for texts at the desk",
  blocked_country: "the clinic does not text to that country",
  opted_out: "the patient wants no texts",
  blocked: "the number is blocked",
  bad_destination: "the number cannot receive texts",
  night: "it is night at the clinic",
  org_send_limit: "the clinic has sent very many texts in this hour",
};

/** What became of a text about an appointment. */
export function sayText(text: SentText, say: (at: string) => string): string {
  const kind = textKindWords[text.kind];
  const why = text.reason === null
    ? ""
    : `: ${reasonWords[text.reason] ?? text.reason.replaceAll("_", " ")}`;
  switch (text.state) {
    case "waiting":
      return `${kind}: waits to be sent from ${say(text.due_at)} on${why}.`;
    case "sending":
      return `${kind}: is being sent.`;
    case "sent":
      return `${kind}: ${sayDelivery(text)}, ${say(text.updated_at)}.`;
    case "failed":
    case "dropped":
      return `${kind}: not sent${why}.`;
    case "unknown":
      return `${kind}: may have been sent, but nobody knows. It is not sent again.`;
  }
}

function sayDelivery({ delivery, errorCode }: SentText): string {
  switch (delivery) {
    case "delivered":
      return "arrived";
    case "failed":
    case "undelivered":
      return errorCode === null ? "did not arrive" : `did not arrive (error ${errorCode})`;
    default:
      return "sent";
  }
}

const alarmWords: Readonly<Record<string, string>> = {
  wrong_codes: "Somebody may be guessing codes: very many wrong codes.",
  refused_sends: "Very many texts were refused.",
  other_numbers: "Very many texts went to other numbers than the callers' own.",
  calendar_unread: "A doctor's own calendar cannot be read: its last busy times stay.",
  calendar_overlap:
    "A doctor's own calendar has become busy during appointments: move or cancel them.",
  webhook_failed: "Another system could not be told what happened: ask your operator.",
};

/** What an alarm says. */
export const alarmSentence = (kind: string): string => alarmWords[kind] ?? `Alarm: ${kind}.`;
