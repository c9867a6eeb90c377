/**
 * What patients are texted about their appointments, by kind. Every text is in the basic alphabet of
 * GSM-7, and one segment long where it can be.
 *
 * @module
 */

/** The kinds of texts, with the placeholders that each may have. */
export const textKinds = {
  confirmation: ["clinic", "time", "doctor", "address", "number"],
  change: ["clinic", "time", "doctor", "address", "number"],
  cancellation: ["clinic", "time", "doctor", "number"],
  reminder: ["clinic", "time", "doctor", "address", "number", "offer"],
  /** What a reminder adds where it can be answered. */
  offer: [],
  confirmed: ["clinic", "time", "number"],
  cancelled: ["clinic", "time", "number"],
  which_confirm: ["clinic", "choices", "number"],
  which_cancel: ["clinic", "choices", "number"],
  too_many: ["clinic", "number"],
  already_confirmed: ["clinic", "time", "number"],
  already_cancelled: ["clinic", "time", "number"],
  changed: ["clinic", "time", "number"],
  too_late: ["clinic", "time", "number"],
  unclear: ["clinic", "number"],
  no_reminder: ["clinic", "number"],
} as const;
/** A kind of text. */
export type TextKind = keyof typeof textKinds;

/** The texts of a language, by kind; `shared/text_template.ts` explains the brackets. */
export const englishTexts: Readonly<Record<TextKind, string>> = {
  confirmation: "{clinic}: you are booked for {time}[ with {doctor}].[ {address}.]" +
    "[ Call {number} to change it.][ STOP to end texts.]",
  change: "{clinic}: your appointment is now on {time}[ with {doctor}].[ {address}.]" +
    "[ Call {number} to change it.][ STOP to end texts.]",
  cancellation: "{clinic}: your appointment on {time}[ with {doctor}] is cancelled." +
    "[ Call {number} for a new one.][ STOP to end texts.]",
  reminder: "{clinic}: a reminder of your appointment on {time}[ with {doctor}].{offer}" +
    "[ {address}.][ Call {number} to change it.][ STOP to end texts.]",
  offer: " Reply C to confirm, X to cancel.",
  confirmed: "{clinic}: thank you. We expect you on {time}.",
  cancelled: "{clinic}: your appointment on {time} is cancelled.[ Call {number} for a new one.]",
  which_confirm: "{clinic}: which appointment do you confirm? {choices}. " +
    "Reply with the number, or ALL.",
  which_cancel: "{clinic}: which appointment shall we cancel? {choices}. " +
    "Reply with the number, or ALL.",
  too_many: "{clinic}: you have several appointments. Please call {number} about them.",
  already_confirmed: "{clinic}: your appointment on {time} is confirmed already.",
  already_cancelled: "{clinic}: your appointment on {time} is cancelled already." +
    "[ Call {number} for a new one.]",
  changed: "{clinic}: your appointment on {time} was moved or cancelled after our reminder. " +
    "Please call {number}.",
  too_late: "{clinic}: it is too late to change your appointment on {time} by text. " +
    "Please call {number}.",
  unclear: "{clinic}: sorry, we only understand C to confirm or X to cancel your appointment. " +
    "For anything else please call {number}.",
  no_reminder: "{clinic}: nobody reads texts to this number. Please call {number}.",
};
