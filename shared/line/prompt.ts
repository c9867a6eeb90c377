/**
 * The assistant's prompt. A model reads it again on every turn, so it is short; a test counts its
 * tokens. It has only commas and full stops, because other marks garble the voice.
 *
 * @module
 */

import type { LineProfile } from "../database/calls.ts";
import { sayClock } from "../speech.ts";

/**
 * Composes what the language model is told.
 *
 * @param toolNames The tools it has. The prompt mentions no others.
 */
export function composePrompt(profile: LineProfile, toolNames: readonly string[]): string {
  const has = (name: string) => toolNames.includes(name);
  const sections = [
    [
      `You answer the phone of ${profile.name}. You book, move and cancel appointments.`,
      `At the clinic it is now {{"now" | date: "%A, %B %d, %Y, %I:%M %p", "${profile.timezone}"}}. ` +
      "Count days from that.",
      ...describeClinic(profile),
    ],
    [
      "How to talk",
      "- One or two short sentences, then listen. One question at a time.",
      "- Say the message of a tool's answer as it is, and nothing else of that answer. Never say ids.",
      "- Never invent a time, a name, a price or a fact. Give no medical advice. In an emergency say " +
      "to hang up and call the emergency number.",
    ],
    [
      "To book",
      "1. Ask what it is for and which day. Call check_availability.",
      "2. When the caller has chosen, ask for the patient's first and last name. Call hold_slot with " +
      "the slotId exactly as given." + (profile.textsAtHold ? " It texts the code." : ""),
      ...(profile.textsAtHold ? [] : ["3. Call send_otp at once."]),
      `${
        profile.textsAtHold ? 3 : 4
      }. Ask for the six digits. Wait, they may be spoken slowly or ` +
      "typed. Pass what was said to verify_otp. It is booked only when the answer says so.",
      "For another person on the same call, repeat from step 1 with that person's name.",
    ],
    [
      "To move, cancel or look up",
      `Call ${
        changeTools(has)
      } with the name and what the caller said of the appointment. If the ` +
      "answer needs a code, call send_otp, then verify_otp.",
    ],
    [
      "What an answer tells you to do",
      "- nextTool: call that tool next, without asking.",
      "- RETRY: do what the message says. fields names the arguments to ask for again.",
      "- OFFER_ALTERNATIVES: offer the slots of the answer.",
      "- ESCALATE: follow the message to the front desk.",
      ...(has("answer_question")
        ? ["For a question about the clinic that is not answered above, call answer_question."]
        : []),
    ],
    transferSection(profile, has),
  ];
  return sections.filter((lines) => lines.length > 0).map((lines) => lines.join("\n")).join("\n\n");
}

function changeTools(has: (name: string) => boolean): string {
  const names = ["reschedule_appointment", "cancel_appointment", "find_appointments"].filter(has);
  return names.length > 1 ? `${names.slice(0, -1).join(", ")} or ${names.at(-1)}` : names.join("");
}

function describeClinic({ services, doctors, opening, facts }: LineProfile): string[] {
  const offered = services.map(({ name, minutes }) => `${name} (${minutes} minutes)`);
  return [
    ...(offered.length > 0 ? [`Services: ${offered.slice(0, 15).join(", ")}.`] : []),
    ...(doctors.length > 0 ? [`Doctors: ${doctors.slice(0, 20).join(", ")}.`] : []),
    ...(opening.length > 0 ? [`Open: ${sayOpening(opening)}.`] : []),
    ...facts.map(({ question, answer }) => `${question} ${answer}`),
  ];
}

const weekdays = [
  "Sunday",
  "Monday",
  "Tuesday",
  "Wednesday",
  "Thursday",
  "Friday",
  "Saturday",
];

/** `Monday to Friday 9 AM to 5:30 PM, Saturday 9 AM to noon`; the week begins on Monday. */
export function sayOpening(opening: LineProfile["opening"]): string {
  const hours = Map.groupBy(opening, ({ dow }) => dow);
  const days = [1, 2, 3, 4, 5, 6, 0].map((dow) => ({
    day: weekdays[dow] ?? "",
    said: (hours.get(dow) ?? []).map(({ startMin, endMin }) =>
      `${sayMinute(startMin)} to ${sayMinute(endMin)}`
    ).join(" and "),
  }));
  const runs: { first: string; last: string; said: string }[] = [];
  for (const { day, said } of days) {
    const run = runs.at(-1);
    if (run?.said === said) run.last = day;
    else runs.push({ first: day, last: day, said });
  }
  return runs.filter(({ said }) => said !== "").map(({ first, last, said }) =>
    `${first === last ? first : `${first} to ${last}`} ${said}`
  ).join(", ");
}

function sayMinute(minute: number): string {
  const [hour, rest] = [Math.floor(minute / 60) % 24, minute % 60];
  const two = (value: number) => String(value).padStart(2, "0");
  return minute % 1440 === 0 ? "midnight" : sayClock(`0000-00-00T${two(hour)}:${two(rest)}`);
}

/** At the very end, because models promise a transfer and then forget to make it. */
function transferSection(
  { transferNumber }: LineProfile,
  has: (name: string) => boolean,
): string[] {
  const takesMessages = has("leave_message");
  const message = takesMessages
    ? [
      "When a message says that you can take a message, ask for name, number and wish, and call " +
      "leave_message.",
    ]
    : [];
  if (transferNumber === undefined) return message.length > 0 ? ["The front desk", ...message] : [];
  return [
    "The front desk",
    ...message,
    "When a message says that you connect the caller, or the caller asks for a person, call " +
    "transferCall in the same turn. Saying it is not enough: the call moves only when you call it.",
  ];
}
