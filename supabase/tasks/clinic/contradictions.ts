/**
 * Contradictions in a clinic's file: lines that are valid alone, but not together.
 *
 * @module
 */

import { languages, textKinds } from "../../../shared/patient_texts.ts";
import type { ClinicFields } from "./fields.ts";
import type { Window } from "./notation.ts";

/** The place of a value in the file, by keys and indexes. */
export type Path = readonly PropertyKey[];

/** A problem and its place. */
export interface PlacedProblem {
  readonly path: Path;
  readonly message: string;
}

/** Finds every contradiction in a file. */
export function findContradictions(fields: ClinicFields): PlacedProblem[] {
  return [
    ...findTwins(fields),
    ...findLoops(fields),
    ...findOverlaps(fields),
    ...findUnknownServices(fields),
    ...findWorkOnClosedDays(fields),
    ...findUnwordedTexts(fields),
  ];
}

/** Finds what must not occur twice. */
function findTwins({ services, doctors, facts, numbers, vapi, shared_lines }: ClinicFields) {
  const { phone_numbers = [], assistants = [] } = vapi;
  const question = facts.map((fact) => fact.question.toLowerCase());
  return [
    ...twins(services.map(({ id }) => id), (index) => ["services", index, "id"]),
    ...twins(doctors.map(({ id }) => id), (index) => ["doctors", index, "id"]),
    ...twins(question, (index) => ["facts", index, "question"]),
    ...twins(numbers, (index) => ["numbers", index]),
    ...twins(shared_lines, (index) => ["shared_lines", index]),
    ...twins(phone_numbers, (index) => ["vapi", "phone_numbers", index]),
    ...twins(assistants, (index) => ["vapi", "assistants", index]),
  ];
}

function twins(
  names: readonly string[],
  pathOf: (index: number) => PlacedProblem["path"],
): PlacedProblem[] {
  return names.flatMap((name, index) =>
    names.indexOf(name) < index
      ? [{ path: pathOf(index), message: `"${name}" occurs twice; remove or rename one` }]
      : []
  );
}

/** A transferred call must be answered, and not by the assistant again. */
function findLoops({ desk, numbers }: ClinicFields): PlacedProblem[] {
  const { transfer_number: number, hours } = desk;
  if (number === undefined) return [];
  const path = ["desk", "transfer_number"];
  if (numbers.includes(number)) {
    const message = `${number} is one of the clinic's numbers, so a transferred call would come ` +
      "back to the assistant; give the number of a phone at the desk";
    return [{ path, message }];
  }
  return hours.length > 0 ? [] : [{
    path,
    message: "no call is transferred without hours; write hours: monday-friday: 09:00-17:00",
  }];
}

function findOverlaps({ desk, doctors, closed }: ClinicFields): PlacedProblem[] {
  const hoursOverlap = "these hours overlap; write each time only once";
  return [
    ...(overlaps(desk.hours, ({ dow }) => dow)
      ? [{ path: ["desk", "hours"], message: hoursOverlap }]
      : []),
    ...doctors.flatMap(({ hours, days, off }, index): PlacedProblem[] => {
      const isTwice = hours.some((one, first) =>
        hours.some((other, second) =>
          first < second && one.dow === other.dow && meet(one, other) &&
          (one.from ?? "0") <= (other.until ?? "9999") &&
          (other.from ?? "0") <= (one.until ?? "9999")
        )
      );
      const open = days.flatMap(({ day, startMin, endMin }) =>
        startMin === null || endMin === null ? [] : [{ day, startMin, endMin }]
      );
      const absences = off.map((absence) => JSON.stringify(absence));
      return [
        ...(isTwice ? [{ path: ["doctors", index, "hours"], message: hoursOverlap }] : []),
        ...(overlaps(open, ({ day }) => day)
          ? [{ path: ["doctors", index, "days"], message: hoursOverlap }]
          : []),
        ...twins(absences, (absence) => ["doctors", index, "off", absence]),
      ];
    }),
    ...closed.flatMap((days, index) =>
      closed.slice(0, index).some(({ first, last }) => first <= days.last && days.first <= last)
        ? [{ path: ["closed", index], message: "these days are already closed; remove them" }]
        : []
    ),
  ];
}

const meet = (one: Window, other: Window) =>
  one.startMin < other.endMin && other.startMin < one.endMin;

function overlaps<Item extends Window>(
  items: readonly Item[],
  keyOf: (item: Item) => unknown,
): boolean {
  return items.some((one, index) =>
    items.slice(0, index).some((other) => keyOf(one) === keyOf(other) && meet(one, other))
  );
}

function findUnknownServices({ doctors, services }: ClinicFields): PlacedProblem[] {
  const known = services.map(({ id }) => id);
  return doctors.flatMap(({ services: offered }, doctor) =>
    offered === "all"
      ? []
      : offered.flatMap((id, index) =>
        known.includes(id) && offered.indexOf(id) === index ? [] : [{
          path: ["doctors", doctor, "services", index],
          message: known.includes(id)
            ? `"${id}" occurs twice; remove one`
            : `"${id}" is not a service of this file; there are ${known.join(", ")}`,
        }]
      )
  );
}

/** A language without texts of ours needs the clinic's own for everything that it texts. */
function findUnwordedTexts({ texts }: ClinicFields): PlacedProblem[] {
  const { language, words, answers } = texts;
  if (Object.hasOwn(languages, language)) return [];
  const sent: Readonly<Record<string, boolean>> = {
    confirmation: texts.confirmation,
    change: texts.change,
    cancellation: texts.cancellation,
    reminder: texts.reminder !== null,
  };
  const missing = Object.keys(textKinds).filter((kind) =>
    (sent[kind] ?? answers) && words[language]?.[kind] === undefined
  );
  return missing.length === 0 ? [] : [{
    path: ["texts", "language"],
    message: `there are no texts in "${language}": write words: ${language}: with ` +
      `${missing.join(", ")}, or take one of ${Object.keys(languages).join(", ")}`,
  }];
}

/** A closing day also closes the clinic for a doctor's single days. */
function findWorkOnClosedDays({ doctors, closed }: ClinicFields): PlacedProblem[] {
  return doctors.flatMap(({ days }, doctor) =>
    days.flatMap(({ day, startMin }) =>
      startMin !== null && closed.some(({ first, last }) => first <= day && day <= last)
        ? [{
          path: ["doctors", doctor, "days", day],
          message: `the clinic is closed on ${day}; remove the hours or the closing day`,
        }]
        : []
    )
  );
}
