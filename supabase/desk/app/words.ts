/**
 * What the page calls things, and a sentence for every outcome of a function for staff.
 *
 * @module
 */

import type { Moment } from "../../page/app/clinic_time.ts";
import type { Appointment, Role } from "./rows.ts";

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
  { status, expires_at, arrived_at }: Pick<Appointment, "status" | "expires_at" | "arrived_at">,
  now: Moment,
): State {
  switch (status) {
    case "held":
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
  readonly reason?: string;
  readonly slots?: readonly Slot[];
  readonly bookings?: readonly Misplaced[];
  readonly members?: readonly { readonly userId: string; readonly email: string | null }[];
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
    case "invalid_schedule":
      return `${known["invalid_schedule"]} ${answer.reason ?? ""}`.trim();
    case "changed":
      if ((answer.bookings?.length ?? 0) > 0) return `${known["changed"]} ${bookings}`;
  }
  return known[answer.outcome] ?? `The server answered ${answer.outcome}.`;
}

const alarmWords: Readonly<Record<string, string>> = {
  wrong_codes: "Somebody may be guessing codes: very many wrong codes.",
  refused_sends: "Very many texts were refused.",
  other_numbers: "Very many texts went to other numbers than the callers' own.",
  calendar_unread: "A doctor's own calendar cannot be read: its last busy times stay.",
  calendar_overlap:
    "A doctor's own calendar has become busy during appointments: move or cancel them.",
};

/** What an alarm says. */
export const alarmSentence = (kind: string): string => alarmWords[kind] ?? `Alarm: ${kind}.`;
