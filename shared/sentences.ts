/**
 * Every sentence that a caller hears, by topic: what a tool answers, and what the assistant says by
 * itself. The words of text messages are in texting.ts and patient_texts.ts. Which sentence follows a
 * text with a code is decided in code_text.ts.
 *
 * Sentences are short, easy to say aloud, mention the next step, and reveal nothing about other clinics.
 * Times in arguments are ISO 8601 in the clinic's time zone.
 *
 * @module
 */

import type { Contradiction, Slot } from "./database/availability.ts";
import type { Appointment } from "./database/changes.ts";
import type { Desk } from "./database/client.ts";
import type { Kept, Released } from "./database/holds.ts";
import type { PartOfDay } from "./given.ts";
import { sayClock, sayDate, sayDay, sayList, sayTime, sayWeekday, sayWeekdayOf } from "./speech.ts";

// What the assistant says by itself

/** The first sentence of a call, if the clinic has no greeting of its own. */
export const greeting = (clinic: string) => `${clinic}, how can I help?`;
/** While a tool works, which in most cases takes under half a second, and if it takes longer. */
export const oneMoment = "One moment.";
export const momentLonger = "Just a moment longer.";
/** If the caller is silent, and if nobody has spoken for two minutes. */
export const stillHere = "I'm still here. Take your time.";
export const hangingUp = "I can't hear anybody, so I'll hang up now. Please call again.";
/** When the call is being transferred, and if nobody answers. */
export const connecting = "I'm connecting you now.";
export const nobodyPickedUp = "Nobody at the front desk picked up. I can take a message instead.";

// For every tool

/** The database, or another part of ours, does not answer. */
export const fault = "I'm having trouble reaching the booking system. Shall I try once more?";
export const unknownClinic = "I can't tell which clinic this call is for.";
export const anotherClinic = "I can only help with bookings at this clinic.";
export const busy = "The booking system is busy for a moment. Let me try that again.";

/** @param problems What is needed, for each argument. */
export const checkArguments = (problems: string) =>
  `I didn't get that right. Please check ${problems}.`;

/** What is needed if an argument is missing or wrong. */
export const needed = {
  date: "a date such as 2026-03-03 is needed",
  time: "a time such as 14:30 is needed",
  partOfDay: "it is morning, afternoon or evening",
  days: "it is 1 to 14 days",
  service: "a service such as consultation is needed",
  doctor: "a doctor's name is needed",
  slot: "a slotId from check_availability is needed",
  patientName: "the patient's name is needed",
  phone: "a phone number is needed",
  code: "the six digits of the text are needed",
  question: "the caller's question is needed",
  callerName: "the caller's name is needed",
  message: "what the message says is needed",
  wishedTime: "a time such as tomorrow afternoon is needed",
};

// Handing over

/**
 * Follows every sentence after which a person has to take over. Only this promises a person, because a
 * call can be transferred only while somebody answers.
 */
export const handOver: Readonly<Record<Desk, string>> = {
  open: "I'll connect you to the front desk.",
  closed: "The front desk is closed at the moment. Shall I take a message for them?",
  none: "Shall I take a message for the front desk?",
};
/** Neither a transfer nor a message is possible. */
export const callAgain = "Please call us again later.";

/** @param opensAt When the desk opens; undefined if it is open now or its hours are unknown. */
export const messageLeft = (opensAt: string | undefined) =>
  "I've left your message for the front desk" +
  (opensAt === undefined ? "." : `. They are back on ${sayTime(opensAt)}.`);
/** The call, the number or the clinic has reached its limit. */
export const messagesEnough = "I can't take another message.";
export const callbackNeeded = "What number can they call you back on?";
export const callbackUnclear =
  "I didn't get that number. Could you say it once more, with the area code?";
/** A premium number, or one with an extension. */
export const callbackUnusable = "I can't note that number. Is there another one to call back?";

// Questions about the clinic

/** None of the clinic's facts answers the question. */
export const questionUnknown = "I don't have an answer to that.";
export const adviceRefused =
  "I can't give medical advice. If it's urgent, please call the emergency services.";

// The start of a call

/** A fault before the assistant took the call. */
export const callNotTaken = "Sorry, we can't take your call right now. Please try again.";
/** No assistant answers this number. */
export const numberNotServed =
  "Sorry, this number can't take calls right now. Please try again later.";

// Free times

/** `Tuesday 3 March at 9 AM, 11 AM or 2:30 PM`, day by day. */
function sayStarts(slots: readonly Slot[]): string {
  const days = Map.groupBy(slots, ({ startTime }) => startTime.slice(0, 10));
  const said = [...days].map(([day, starts]) =>
    `${sayDay(day)} at ${sayList(starts.map(({ startTime }) => sayClock(startTime)))}`
  );
  return said.join("; or ");
}

const partsOfDay: Readonly<Record<PartOfDay, string>> = {
  am: " before noon",
  pm: " after noon",
  morning: " in the morning",
  afternoon: " in the afternoon",
  evening: " in the evening",
  night: " at night",
};

const sayPart = (day: string, partOfDay: PartOfDay | undefined) =>
  `${sayDay(day)}${partOfDay ? partsOfDay[partOfDay] : ""}`;

/** How many names a caller can remember. */
const mostNames = 5;

/** `A, B or C`, or the first five of many. */
function sayFew(names: readonly string[], conjunction: "or" | "and" = "or"): string {
  return names.length > mostNames
    ? `${names.slice(0, mostNames).join(", ")} and ${names.length - mostNames} more`
    : sayList(names, conjunction);
}

export const freeTimes = (slots: readonly Slot[]) => `I have ${sayStarts(slots)}. Which suits you?`;

/** @param nearest Free times after that day. */
export const fullyBooked = (
  day: string,
  partOfDay: PartOfDay | undefined,
  nearest: readonly Slot[],
) =>
  nearest.length > 0
    ? `There's nothing left on ${sayPart(day, partOfDay)}. ` +
      `The nearest I have is ${sayStarts(nearest)}.`
    : `I can't find a free time on ${sayPart(day, partOfDay)} or in the weeks after.`;

export const dayHasPassed = (today: string) =>
  `That day has passed: today is ${sayDate(today)}. Which day would you like?`;

export const dayTooFar = (today: string, lastDay: string) =>
  `Today is ${sayDate(today)}, and I can book until ${sayDate(lastDay)}. ` +
  "Which day would you like?";

/** @param contradiction The date and weekday that were said, if they do not match. */
const unclear = (what: string, contradiction: Contradiction) =>
  contradiction === undefined
    ? `I didn't get the ${what}.`
    : `${sayWeekdayOf(contradiction.date)}, not a ${sayWeekday(contradiction.weekday)}.`;

export const dayUnclear = (today: string, contradiction?: Contradiction) =>
  `${unclear("date", contradiction)} Today is ${sayDate(today)}. Which day would you like?`;

export const appointmentDayHasPassed = (today: string) =>
  `That day has passed: today is ${sayDate(today)}. Which day is the appointment on?`;

export const appointmentDayUnclear = (today: string, contradiction?: Contradiction) =>
  `${unclear("day", contradiction)} Today is ${sayDate(today)}. Which day is the appointment on?`;

const optional = {
  partOfDay: "the time of day",
  days: "how many days",
  appointmentTime: "the time of the appointment",
  providerName: "which doctor",
};
/** An argument that is ignored if it cannot be read. */
export type Optional = keyof typeof optional;

/** @param ignored Arguments that could not be read and are not needed. */
export const leftOut = (ignored: readonly Optional[]) =>
  `I didn't get ${sayList(ignored.map((name) => optional[name]), "and")}, so I ${
    ignored.includes("appointmentTime") ? "go on" : "looked"
  } without it.`;

/** @param services Names of the services that can be booked. */
export const unknownService = (services: readonly string[]) =>
  services.length > 0
    ? `We don't have that here. I can book ${sayFew(services)}.`
    : "I can't book that by phone.";

/** @param doctors Those who offer the service. */
export const unknownDoctor = (doctors: readonly string[]) =>
  doctors.length > 0
    ? `I can't find that doctor for it. There is ${sayFew(doctors, "and")}.`
    : "Nobody here offers that just now.";

/** @param doctors Those whose names match. */
export const whichDoctor = (doctors: readonly string[]) =>
  `There is ${sayFew(doctors, "and")}. Which one would you like?`;

// The patient's number

export const phoneNeeded =
  "I need a mobile number for the confirmation code. What number should I text?";
export const phoneUnclear =
  "I didn't get that number. Could you say it once more, with the area code?";
/** A landline or a premium number, for example. */
export const phoneTakesNoTexts =
  "That number can't receive texts. Is there a mobile number I can use?";
/** The clinic does not text the number's country. */
export const countryTakesNoTexts =
  "I can't text numbers from that country. Is there another mobile number I can use?";
export const extensionTakesNoTexts =
  "I can't text a number with an extension. Is there a mobile number I can use?";

// A hold

/** A time that is held for a patient. */
interface HeldTime {
  readonly startTime: string;
  readonly doctor: string;
  readonly phoneEnding: string;
  /** Start of the appointment that the patient has already confirmed in this call. */
  readonly alsoConfirmed?: string | undefined;
  /** The time that the patient held before. */
  readonly released?: Released;
  /** What the call holds at the same time under another name. */
  readonly kept?: Kept;
  /** Whether the number needs no further code. */
  readonly proven?: boolean;
}

/** Says what is held; the next step follows it. */
const holding = ({ startTime, doctor, alsoConfirmed, released, kept }: HeldTime) =>
  (alsoConfirmed === undefined
    ? ""
    : `Your appointment on ${sayTime(alsoConfirmed)} is confirmed and stays. `) +
  `I'm holding ${sayTime(startTime)} with ${doctor} for you` +
  (released === undefined ? ". " : `, and I've let go of ${sayTime(released.startTime)}. `) +
  (kept === undefined
    ? ""
    : `I'm still holding ${sayTime(kept.startTime)} with ${kept.doctor} under another name. `);

export const held = (time: HeldTime) =>
  holding(time) +
  (time.proven
    ? "You won't need another code. Shall I confirm it?"
    : `To confirm it I'll text a code to the number ending ${time.phoneEnding}.`);

/** @param text A sentence about the text with the code. */
export const heldAndTexted = (time: HeldTime, text: string) => holding(time) + text;

/** The call has reached its limit of holds. */
export const callHoldsEnough = (codeWaits: boolean) =>
  "I can't hold any more times on this call. " +
  (codeWaits
    ? "Please read me the code from the text first, to confirm the ones I'm holding."
    : "Shall we confirm the ones I'm holding first?");
export const numberHoldsEnough = "I can't hold another time just now.";
export const callNeeded = "I can only book or change appointments during a phone call.";

export const confirmedBefore = (startTime: string, doctor: string) =>
  `${sayTime(startTime)} with ${doctor} is already confirmed for you.`;

/**
 * @param wasBookable Whether it was taken; false if it never was bookable, for example outside of hours.
 * @param nearest Free times near it.
 */
export const slotTaken = (wasBookable: boolean, nearest: readonly Slot[]) =>
  (wasBookable ? "That time has just been taken" : "That time can't be booked") +
  (nearest.length > 0
    ? `. I could offer ${sayStarts(nearest)}.`
    : ", and there is nothing near it. Shall I look further ahead?");

/**
 * @param kept The call's own hold at that time, for another name: it may be the same patient's.
 * @param nearest As for {@link slotTaken}.
 */
export const heldForAnother = (kept: NonNullable<Kept>, nearest: readonly Slot[]) =>
  `I'm already holding ${sayTime(kept.startTime)} with ${kept.doctor} under another name. ` +
  "Is that the same patient?" +
  (nearest.length > 0 ? ` If not, I could offer ${sayStarts(nearest)}.` : "");

export const slotLost = "I lost track of that time. Let me look at the free times again.";
export const holdJustExpired = "Your hold has just run out. Let me look at the free times again.";
export const holdExpired = "Your hold has run out. Let me look at the free times again.";
/** @param released The time that was held. */
export const holdReleased = (released: Released) =>
  `I've let go of ${released === undefined ? "that time" : sayTime(released.startTime)}. ` +
  "It isn't booked.";
export const holdNotFound = "I can't find that booking.";

// The text with the code

/**
 * @param afterUndelivered The text before this one did not arrive.
 * @param expiresInSeconds How long the code is valid.
 */
export const textSent = (
  phoneEnding: string,
  afterUndelivered: boolean,
  expiresInSeconds: number,
) =>
  (afterUndelivered
    ? "The last text didn't arrive, so I've texted a new six-digit code to the number ending "
    : "I've texted a six-digit code to the number ending ") +
  `${phoneEnding}. ${readIt(expiresInSeconds)}`;

const readIt = (expiresInSeconds: number) =>
  "Read it to me when it arrives" +
  (expiresInSeconds < 120 ? `; it's only good for ${expiresInSeconds} seconds.` : ".");

/** The code was texted for another hold of the call. */
export const textCoversBoth = (phoneEnding: string, expiresInSeconds: number) =>
  `The code I've texted to the number ending ${phoneEnding} is good for this one too. ` +
  readIt(expiresInSeconds);

/** Does not say whether anything was texted, since that would reveal who has a booking here. */
export const textIfBooked = (phoneEnding: string) =>
  "If there's a booking under that name and number, a code is on its way to the number ending " +
  `${phoneEnding}. Read it to me when it arrives. If nothing comes in half a minute, tell me.`;
export const textOnItsWayIfBooked = (retryAfterSeconds: number) =>
  "If there's a booking under that name and number, a code is on its way. " +
  `If nothing comes in ${retryAfterSeconds} seconds, tell me.`;

export const textOnItsWay = (retryAfterSeconds: number) =>
  "A code is on its way. If nothing arrives in " +
  `${retryAfterSeconds} seconds I can send another.`;

/** The text with the code failed, but another attempt may succeed. */
export const textFailed = "I couldn't send the text just now. Shall I try once more?";
/** The text failed or is not allowed, and another attempt would not help. */
export const textImpossible = "I can't send a text just now.";
/** Twilio reported that the text did not arrive. */
export const textUndelivered =
  "That number didn't accept the text. Is there another mobile number I can use?";
/** The number answered STOP. */
export const textsSwitchedOff =
  "That number has texts from us switched off. Is there another mobile number I can use?";

// The code

/** A start and a doctor. */
interface Visit {
  readonly startTime: string;
  readonly doctor: string;
}

const visitsSaid = 5;

/** `Tuesday 3 March at 9 AM with Dr Patel and Wednesday 4 March at noon with Dr Lee`, five at most. */
function sayVisits(visits: readonly Visit[]): string {
  const said = visits.slice(0, visitsSaid).map(({ startTime, doctor }) =>
    `${sayTime(startTime)} with ${doctor}`
  );
  const rest = visits.length - said.length;
  return sayList(rest > 0 ? [...said, `${rest} more`] : said, "and");
}

/**
 * @param overlaps Appointments that the patients have at the same time.
 * @param lapsed Starts of holds that expired before the code.
 */
export const confirmed = (
  visits: readonly Visit[],
  { overlaps = [], lapsed = [] }: {
    readonly overlaps?: readonly Visit[];
    readonly lapsed?: readonly string[];
  } = {},
) =>
  `Thank you, that's confirmed: ${sayVisits(visits)}.` +
  (overlaps.length === 0
    ? ""
    : ` You already have ${sayVisits(overlaps)}, at the same time. Would you like to keep both?`) +
  (lapsed.length === 0
    ? ""
    : ` I could not keep ${sayList(lapsed.map(sayTime), "and")}: that had run out.`);
export const alreadyConfirmed = (startTime: string, doctor: string) =>
  `${sayTime(startTime)} with ${doctor} is already confirmed.`;
export const codeMalformed = "I need the six digits from the text. Could you read them once more?";
export const codeWrong = "That doesn't match. Could you read the newest text again?";
export const codeOld = "That code isn't valid any more. I'll send a new one.";
/** Too many wrong codes: no further code is compared. */
export const codesLocked = "I can't take more codes on this call.";

// Existing appointments

const letGo = (released: Released) =>
  released === undefined ? "" : `I've let go of ${sayTime(released.startTime)}. `;

const codeIfBooked = (what: string) =>
  `If there's a booking under that name and number, I'll text a code${what} to it. ` +
  "If nothing arrives in half a minute, tell me.";

const stillHeld = (kept: Kept) =>
  kept === undefined ? "" : `I'm still holding ${sayTime(kept.startTime)}. `;

const oneAtATime = (postponed: boolean | undefined) =>
  postponed
    ? "I can change one appointment at a time: ask me again for the other one after this. "
    : "";

/**
 * @param released A new time that was held for a move.
 * @param kept A time that the call holds but the caller did not name.
 * @param postponed Whether an earlier request for another patient has to be made again.
 */
export const codeNeeded = (
  { released, kept, postponed }: {
    readonly released?: Released;
    readonly kept?: Kept;
    readonly postponed?: boolean | undefined;
  } = {},
) => letGo(released) + stillHeld(kept) + oneAtATime(postponed) + codeIfBooked("");

/**
 * @param startTime The new time, which is now held.
 * @param postponed As for {@link codeNeeded}.
 */
export const codeToMove = (
  startTime: string,
  released: Released,
  postponed: boolean | undefined,
) =>
  `I'm holding ${sayTime(startTime)}. ${letGo(released)}${oneAtATime(postponed)}` +
  codeIfBooked(" that moves it");

/** The new time is taken; the caller has not proven the phone yet. */
export const mayBeYours =
  "Or if it's your own appointment that's in the way, I can text you a code and look again.";

export const cancelled = (startTime: string, doctor: string, released?: Released) =>
  `Your appointment on ${sayTime(startTime)} with ${doctor} is cancelled.` +
  (released === undefined ? "" : ` ${letGo(released).trim()}`);
export const rescheduled = (startTime: string, doctor: string, released?: Released) =>
  `That's done: your appointment is now on ${sayTime(startTime)} with ${doctor}.` +
  (released === undefined ? "" : ` ${letGo(released).trim()}`);

export const found = (appointments: readonly Appointment[]) =>
  `You have ${sayVisits(appointments)}.`;

/** @param appointments Those that the code did not just confirm; may be empty. */
export const alsoFound = (appointments: readonly Appointment[]) =>
  appointments.length > 0 ? `You also have ${sayVisits(appointments)}.` : "";

const questions = {
  day: "Which day do you mean?",
  time: "Which time do you mean?",
  doctor: "Which doctor do you mean?",
};

/**
 * @param ask A detail that would identify the appointment.
 * @param released A new time that was held for another request.
 */
export const whichAppointment = (
  appointments: readonly Appointment[],
  ask: keyof typeof questions,
  released: Released,
) => `${letGo(released)}You have ${sayVisits(appointments)}. ${questions[ask]}`;

/** @param released As for {@link whichAppointment}. */
export const cannotTellApart = (released: Released) =>
  `${letGo(released)}I can't tell which of those appointments you mean.`;

/**
 * @param released A new time that was held but not used.
 * @param kept A time that the call holds but the caller did not name.
 */
export const appointmentNotFound = (released: Released, kept?: Kept) =>
  stillHeld(kept) + "I can't find an appointment like that" +
  (released === undefined ? ". " : `, so I've let go of ${sayTime(released.startTime)}. `) +
  "Which name is it booked under?";

export const noMoreWithoutCode = "I can't help you with that without a code.";
