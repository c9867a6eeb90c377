/**
 * Rows of the audit log in plain words: who did what, and with what result.
 *
 * @module
 */

import type { AuditRow } from "./rows.ts";

/** What follows the person or thing that did it, by action and outcome. */
const known: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  hold_slot: {
    held: "put this time on hold.",
    extended: "asked for this time again, and the hold was extended.",
    expired: "let the hold go: its time was over.",
    taken_over: "took the hold over after the line had dropped.",
    phone_changed: "corrected the phone number.",
    name_changed: "corrected the name.",
    released: "gave the hold back.",
  },
  confirm_appointment: { confirmed: "confirmed this with the code." },
  cancel_appointment: { cancelled: "cancelled this." },
  reschedule_appointment: {
    held: "put this time on hold as a new time.",
    rescheduled: "moved this to another time.",
    code_needed: "asked for a move, which needs a code.",
  },
  send_otp: {
    claimed: "asked for a code by text.",
    sent: "was texted a code.",
    cleared: "could not be texted a code.",
    limit_reached: "asked for a code, but there had been too many.",
    cooldown: "asked for another code too soon.",
  },
  verify_otp: {
    confirmed: "said the right code.",
    wrong_code: "said a wrong code.",
    code_expired: "said a code that had expired.",
    code_locked: "said too many wrong codes.",
    locked: "said too many wrong codes.",
    no_code: "said a code, but none had been sent.",
    hold_expired: "said a code after the hold had expired.",
    slot_taken: "said the right code, but the time was no longer free.",
  },
  hand_over: {
    kept: "left this to the front desk, and its time is kept for a while.",
    given_up: "left this to the front desk, without its time.",
  },
  deliver_text: {
    delivered: "saw that the text arrived.",
    failed: "saw that the text failed.",
    undelivered: "saw that the text did not arrive.",
  },
  follow_up: {
    claimed: "began to send a text after the call, since the hold was still open.",
    sent: "sent a text after the call.",
    failed: "could not send a text after the call.",
  },
  text_appointment: {
    sent: "texted the patient about this.",
    waiting: "could not text the patient about this yet, and will try again.",
    failed: "could not text the patient about this.",
    unknown: "may have texted the patient about this, but got no answer.",
    dropped: "did not text the patient about this: it was not due any more.",
  },
  answer_text: {
    confirmed: "noted that the patient confirmed this by text.",
    cancelled: "cancelled this, since the patient asked for it by text.",
  },
  watch_overlaps: {
    overlap: "found that this overlaps another appointment.",
    index_row_lost: "found that an index had lost this row.",
  },
  staff_book: { booked: "booked this." },
  staff_confirm: { confirmed: "confirmed this without a code." },
  staff_cancel: { cancelled: "cancelled this." },
  staff_resolve: {
    confirmed: "reached the patient and confirmed this.",
    cancelled: "closed this without a booking.",
  },
  staff_move: { moved: "moved this to another time." },
  staff_mark: { marked: "marked this." },
};

const marks: Readonly<Record<string, string>> = {
  arrived: "noted that the patient has arrived.",
  completed: "noted that it is completed.",
  no_show: "noted that the patient did not come.",
  expected: "took the mark back.",
};

/** What an action is called when its outcome has no words of its own: the attempt did nothing. */
const attempts: Readonly<Record<string, string>> = {
  hold_slot: "asked for a time",
  confirm_appointment: "asked for a confirmation",
  cancel_appointment: "asked for a cancellation",
  reschedule_appointment: "asked for a move",
  find_appointments: "asked for appointments",
  send_otp: "asked for a code",
  verify_otp: "said a code",
  follow_up: "looked whether a text was due after the call",
  staff_book: "tried to book",
  staff_confirm: "tried to confirm this",
  staff_cancel: "tried to cancel this",
  staff_resolve: "tried to resolve this",
  staff_move: "tried to move this",
  staff_mark: "tried to mark this",
};

/** `too_early` as `too early`. */
const plain = (word: string): string => word.replaceAll("_", " ");

/**
 * One row as a sentence.
 *
 * @param who Names an account of staff, as the beginning of a sentence
 */
export function sayAudit(row: AuditRow, who: (user: string) => string): string {
  const subject = row.actor === "staff"
    ? who(row.staff_user ?? "")
    : row.actor === "call"
    ? `The caller${row.caller_masked === null ? "" : ` (${row.caller_masked})`}`
    : "The system";
  const mark = row.action === "staff_mark" && row.outcome === "marked"
    ? marks[String(row.details["as"])]
    : undefined;
  const sentence = mark ?? known[row.action]?.[row.outcome];
  if (sentence !== undefined) return `${subject} ${sentence}`;
  return `${subject} ${attempts[row.action] ?? `asked for ${plain(row.action)}`}: ${
    plain(row.outcome)
  }.`;
}
