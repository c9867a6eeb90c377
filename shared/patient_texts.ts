/**
 * What patients are texted about their appointments, by language and kind. Every text is in the basic
 * alphabet of GSM-7, and one segment long where it can be. `shared/text_template.ts` explains the
 * brackets. A clinic's file can have other words for each of them.
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
  offer: ["confirm", "cancel"],
  confirmed: ["clinic", "time", "number"],
  cancelled: ["clinic", "time", "number"],
  which_confirm: ["clinic", "choices", "number"],
  which_cancel: ["clinic", "choices", "number"],
  too_many: ["clinic", "number"],
  already_confirmed: ["clinic", "time", "number"],
  already_cancelled: ["clinic", "time", "number"],
  changed: ["clinic", "time", "number"],
  too_late: ["clinic", "time", "number"],
  unclear: ["clinic", "confirm", "cancel", "number"],
  no_reminder: ["clinic", "number"],
  busy: ["clinic", "number"],
} as const satisfies Readonly<Record<string, readonly string[]>>;
/**
 * The letters with which a reminder is answered. Texts name them by what they do, so a clinic's own words
 * cannot exchange them.
 */
export const answerLetters = { confirm: "C", cancel: "X" } as const;

/** A kind of text. */
export type TextKind = keyof typeof textKinds;

/** Whether a word is the name of a kind. */
export function isTextKind(word: string): word is TextKind {
  return Object.hasOwn(textKinds, word);
}

/** The texts of a language, by kind. */
export type Texts = Readonly<Record<TextKind, string>>;

const english: Texts = {
  confirmation: "{clinic}: you are booked for {time}[ with {doctor}].[ {address}.]" +
    "[ Call {number} to change it.][ STOP to end texts.]",
  change: "{clinic}: your appointment is now on {time}[ with {doctor}].[ {address}.]" +
    "[ Call {number} to change it.][ STOP to end texts.]",
  cancellation: "{clinic}: your appointment on {time}[ with {doctor}] is cancelled." +
    "[ Call {number} for a new one.][ STOP to end texts.]",
  reminder: "{clinic}: a reminder of your appointment on {time}[ with {doctor}].{offer}" +
    "[ {address}.][ Call {number} to change it.][ STOP to end texts.]",
  offer: "Reply {confirm} to confirm, {cancel} to cancel.",
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
  unclear: "{clinic}: sorry, we only understand {confirm} to confirm or {cancel} to cancel your " +
    "appointment. For anything else please call {number}.",
  no_reminder: "{clinic}: nobody reads texts to this number. Please call {number}.",
  busy: "{clinic}: sorry, your answer could not be taken. Please send it again in a few minutes, " +
    "or call {number}.",
};

const german: Texts = {
  confirmation: "{clinic}: Ihr Termin ist gebucht für {time}[ bei {doctor}].[ {address}.]" +
    "[ Zum Ändern: {number}.][ STOP beendet SMS.]",
  change: "{clinic}: Ihr Termin ist jetzt am {time}[ bei {doctor}].[ {address}.]" +
    "[ Zum Ändern: {number}.][ STOP beendet SMS.]",
  cancellation: "{clinic}: Ihr Termin am {time}[ bei {doctor}] ist abgesagt." +
    "[ Neuer Termin: {number}.][ STOP beendet SMS.]",
  reminder: "{clinic}: Erinnerung an Ihren Termin am {time}[ bei {doctor}].{offer}" +
    "[ {address}.][ Zum Ändern: {number}.][ STOP beendet SMS.]",
  offer: "Antworten Sie {confirm} für ja, {cancel} zum Absagen.",
  confirmed: "{clinic}: danke. Wir erwarten Sie am {time}.",
  cancelled: "{clinic}: Ihr Termin am {time} ist abgesagt.[ Neuer Termin: {number}.]",
  which_confirm: "{clinic}: Welchen Termin bestätigen Sie? {choices}. " +
    "Antworten Sie mit der Nummer oder ALL.",
  which_cancel: "{clinic}: Welchen Termin sagen Sie ab? {choices}. " +
    "Antworten Sie mit der Nummer oder ALL.",
  too_many: "{clinic}: Sie haben mehrere Termine. Bitte rufen Sie an: {number}.",
  already_confirmed: "{clinic}: Ihr Termin am {time} ist schon bestätigt.",
  already_cancelled: "{clinic}: Ihr Termin am {time} ist schon abgesagt.[ Neuer Termin: {number}.]",
  changed: "{clinic}: Ihr Termin am {time} wurde seit der Erinnerung geändert. " +
    "Bitte rufen Sie an: {number}.",
  too_late: "{clinic}: Ihr Termin am {time} lässt sich nicht mehr per SMS ändern. " +
    "Bitte rufen Sie an: {number}.",
  unclear: "{clinic}: Wir verstehen hier nur {confirm} für ja und {cancel} zum Absagen. " +
    "Für alles andere rufen Sie bitte an: {number}.",
  no_reminder: "{clinic}: SMS an diese Nummer liest niemand. Bitte rufen Sie an: {number}.",
  busy:
    "{clinic}: Ihre Antwort kam nicht an. Bitte senden Sie sie in ein paar Minuten noch einmal " +
    "oder rufen Sie an: {number}.",
};

/** The languages that need no texts of the clinic's own. */
export const languages: Readonly<Record<string, Texts>> = { en: english, de: german };

/** What "call us" says instead of a number that is the sender's own. */
export const ownNumber: Readonly<Record<string, string>> = { en: "us", de: "diese Nummer" };

/** A clinic's language and its own texts in it. */
export interface Wording {
  readonly language: string;
  readonly words: Readonly<Record<string, string>>;
}

/** The template of a kind: the clinic's own, else that of its language, else the English one. */
export function templateOf(kind: TextKind, { language, words }: Wording): string {
  return words[kind] ?? (languages[language] ?? english)[kind];
}
