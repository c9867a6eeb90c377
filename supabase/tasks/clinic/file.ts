/**
 * A clinic's file: YAML that people edit. It is read with the line of every mistake, and written from
 * the database.
 *
 * @module
 */

import {
  Document,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
} from "yaml";
import type { z } from "zod";
import { findContradictions, type Path, type PlacedProblem } from "./contradictions.ts";
import type { ClinicDocument, DatedHours, ProviderDocument } from "./document.ts";
import { type ClinicFields, clinicFields } from "./fields.ts";
import {
  type Reading,
  writeAbsence,
  writeClock,
  writeDays,
  writeWeek,
  writeWindows,
} from "./notation.ts";

/** The place of a mistake, and how to correct it. */
export interface Problem {
  /** Counted from 1. */
  readonly line: number;
  readonly message: string;
}

/** The clinic of a file, or its problems. */
export type FileReading =
  | { readonly ok: true; readonly clinic: ClinicDocument; lineOf(path: Path): number }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/**
 * Reads a clinic's file.
 *
 * @returns The clinic, or every problem with its line, in the order of the file.
 */
export function readClinicFile(text: string): FileReading {
  const lines = new LineCounter();
  // Every scalar stays text: 9:30 is not sexagesimal, "no" not a boolean, "+44..." not a number.
  const document = parseDocument(text, { schema: "failsafe", lineCounter: lines });
  const lineAt = (offset: number) => lines.linePos(offset).line;
  const faults = [...document.errors, ...document.warnings];
  if (faults.length > 0) {
    const problems = faults.map(({ pos: [offset], code, message }) => ({
      line: lineAt(offset),
      message: code === "DUPLICATE_KEY"
        ? "this key occurs twice; merge the two"
        : `this is not YAML: ${message.split(/ at line |:\n/)[0]}`,
    }));
    return { ok: false, problems };
  }
  const lineOf = (path: Path) => lineAt(findOffset(document.contents, path));
  const resolved = resolveAliases(document);
  if ("problem" in resolved) {
    return { ok: false, problems: [{ line: 1, message: resolved.problem }] };
  }
  const parsed = clinicFields.safeParse(resolved.value);
  const found = parsed.success
    ? findContradictions(parsed.data)
    : parsed.error.issues.flatMap((issue) => describeIssue(document.contents, issue));
  if (!parsed.success || found.length > 0) {
    const problems = found.map(({ path, message }) => ({ line: lineOf(path), message }));
    return { ok: false, problems: problems.sort((a, b) => a.line - b.line) };
  }
  return { ok: true, clinic: toDocument(parsed.data), lineOf };
}

/** The file's values. Unknown aliases and aliases that multiply are refused. */
function resolveAliases(document: Document.Parsed): Reading<unknown> {
  try {
    return { value: document.toJS({ maxAliasCount: 100 }) };
  } catch (thrown) {
    return { problem: `this is not YAML: ${thrown instanceof Error ? thrown.message : thrown}` };
  }
}

function describeIssue(root: unknown, issue: z.core.$ZodIssue): PlacedProblem[] {
  const { path, message } = issue;
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({
      path: [...path, key],
      message: `"${key}" is not known here; remove it or correct its name`,
    }));
  }
  const name = path.findLast((step) => typeof step === "string");
  if (findNode(root, path) === undefined && typeof path.at(-1) === "string") {
    return [{ path, message: `"${String(path.at(-1))}" is missing: ${message}` }];
  }
  return [{ path, message: name === undefined ? message : `${String(name)}: ${message}` }];
}

/** The node at a path, or nothing. */
function findNode(root: unknown, path: Path): Node | undefined {
  let node: unknown = root;
  for (const step of path) {
    if (isMap(node)) node = node.get(String(step), true);
    else if (isSeq(node)) node = node.get(Number(step), true);
    else return undefined;
  }
  return isNode(node) ? node : undefined;
}

/** The offset of a path's key or item, or of what is nearest to it. */
function findOffset(root: unknown, path: Path): number {
  let node: unknown = root;
  let offset = isNode(root) ? root.range?.[0] ?? 0 : 0;
  for (const step of path) {
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && key.value === String(step));
      if (!isPair(pair) || !isNode(pair.key)) break;
      offset = pair.key.range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      const item: unknown = node.items[Number(step)];
      if (!isNode(item)) break;
      offset = item.range?.[0] ?? offset;
      node = item;
    } else break;
  }
  return offset;
}

function toDocument(fields: ClinicFields): ClinicDocument {
  const { vapi, assistant, desk, texts, retention } = fields;
  const everyService = fields.services.map(({ id }) => id);
  return {
    slug: fields.clinic,
    name: fields.name,
    timezone: fields.zone,
    defaultCountry: fields.country,
    numbers: fields.numbers,
    ...(vapi.phone_numbers ? { vapiPhoneNumbers: vapi.phone_numbers } : {}),
    ...(vapi.assistants ? { vapiAssistants: vapi.assistants } : {}),
    sharedLines: fields.shared_lines,
    assistant: {
      language: assistant.language,
      voice: assistant.voice,
      model: assistant.model,
      greeting: assistant.greeting ?? null,
      recordsCalls: assistant.records_calls,
      keepsTranscript: assistant.keeps_transcript,
    },
    transferNumber: desk.transfer_number ?? null,
    deskHours: desk.hours,
    holdMinutes: fields.hold_minutes,
    deskHoldMinutes: fields.desk_hold_minutes,
    smsCountries: texts.countries ?? [fields.country],
    smsHourlyLimit: texts.an_hour,
    messageHourlyLimit: fields.messages_an_hour,
    followUpTexts: texts.follow_up,
    textsAtHold: texts.at_hold,
    calendarPatientNames: fields.calendar.patient_names,
    address: fields.address ?? null,
    confirmationTexts: texts.confirmation,
    changeTexts: texts.change,
    cancellationTexts: texts.cancellation,
    reminderMin: texts.reminder,
    reminderNoticeHours: texts.reminder_notice_hours,
    textAnswers: texts.answers,
    textLanguage: texts.language,
    textWords: texts.words,
    retentionDays: retention.days,
    auditRetentionDays: retention.audit_days,
    closingDays: fields.closed,
    services: fields.services.map((service) => ({
      slug: service.id,
      name: service.name,
      durationMin: service.minutes,
      stepMin: service.step_minutes,
      bufferBeforeMin: service.buffer_before_minutes,
      bufferAfterMin: service.buffer_after_minutes,
      noticeMin: service.notice_minutes,
      horizonDays: service.horizon_days,
      capacity: service.seats,
    })),
    providers: fields.doctors.map(({ id, name, services, hours, days, off }) => ({
      slug: id,
      name,
      services: services === "all" ? everyService : services,
      hours,
      overrides: days,
      timeOff: off,
    })),
    facts: fields.facts.map(({ question, also, answer, tags, in_prompt }) => ({
      question,
      alsoAsked: also,
      answer,
      tags,
      inPrompt: in_prompt,
    })),
  };
}

/** Writes the file of a clinic. {@link readClinicFile} reads the same clinic from it. */
export function writeClinicFile(clinic: ClinicDocument): string {
  const document = new Document(listEntries(clinic));
  spaceOut(document);
  return document.toString({ lineWidth: 100, flowCollectionPadding: false });
}

/** The content of a clinic's file, key by key. */
export function listEntries(clinic: ClinicDocument): Readonly<Record<string, unknown>> {
  const { vapiPhoneNumbers, vapiAssistants } = clinic;
  const vapi = filled({ phone_numbers: vapiPhoneNumbers, assistants: vapiAssistants });
  return {
    clinic: clinic.slug,
    name: clinic.name,
    zone: clinic.timezone,
    country: clinic.defaultCountry,
    ...(clinic.address === null ? {} : { address: clinic.address }),
    numbers: clinic.numbers,
    ...(Object.keys(vapi).length > 0 ? { vapi } : {}),
    ...(clinic.sharedLines.length > 0 ? { shared_lines: clinic.sharedLines } : {}),
    assistant: writeAssistant(clinic.assistant),
    ...(clinic.transferNumber === null && clinic.deskHours.length === 0 ? {} : {
      desk: {
        ...(clinic.transferNumber === null ? {} : { transfer_number: clinic.transferNumber }),
        hours: writeWeek(clinic.deskHours),
      },
    }),
    hold_minutes: clinic.holdMinutes,
    desk_hold_minutes: clinic.deskHoldMinutes,
    texts: {
      countries: clinic.smsCountries,
      an_hour: clinic.smsHourlyLimit,
      follow_up: clinic.followUpTexts ? "yes" : "no",
      at_hold: clinic.textsAtHold ? "yes" : "no",
      confirmation: clinic.confirmationTexts ? "yes" : "no",
      change: clinic.changeTexts ? "yes" : "no",
      cancellation: clinic.cancellationTexts ? "yes" : "no",
      reminder: clinic.reminderMin === null ? "no" : writeClock(clinic.reminderMin),
      reminder_notice_hours: clinic.reminderNoticeHours,
      answers: clinic.textAnswers ? "yes" : "no",
      language: clinic.textLanguage,
      ...(Object.keys(clinic.textWords).length > 0 ? { words: clinic.textWords } : {}),
    },
    calendar: { patient_names: clinic.calendarPatientNames ? "yes" : "no" },
    messages_an_hour: clinic.messageHourlyLimit,
    retention: { days: clinic.retentionDays, audit_days: clinic.auditRetentionDays },
    ...(clinic.closingDays.length > 0 ? { closed: clinic.closingDays.map(writeDays) } : {}),
    services: clinic.services.map((service) => ({
      id: service.slug,
      name: service.name,
      minutes: service.durationMin,
      step_minutes: service.stepMin,
      buffer_before_minutes: service.bufferBeforeMin,
      buffer_after_minutes: service.bufferAfterMin,
      seats: service.capacity,
      notice_minutes: service.noticeMin,
      horizon_days: service.horizonDays,
    })),
    doctors: clinic.providers.map((provider) => writeDoctor(provider, clinic)),
    ...(clinic.facts.length > 0
      ? {
        facts: clinic.facts.map(({ question, alsoAsked, answer, tags, inPrompt }) => ({
          question,
          ...filled({ also: alsoAsked }),
          answer,
          ...filled({ tags }),
          ...(inPrompt ? { in_prompt: "yes" } : {}),
        })),
      }
      : {}),
  };
}

/** Drops what is missing or empty. */
function filled(
  lists: Readonly<Record<string, readonly string[] | undefined>>,
): Record<string, readonly string[]> {
  return Object.fromEntries(
    Object.entries(lists).flatMap(([key, list]) => list && list.length > 0 ? [[key, list]] : []),
  );
}

function writeAssistant(assistant: ClinicDocument["assistant"]) {
  const { language, voice, model, greeting } = assistant;
  return {
    ...{ language, voice, model },
    ...(greeting === null ? {} : { greeting }),
    records_calls: assistant.recordsCalls ? "yes" : "no",
    keeps_transcript: assistant.keepsTranscript ? "yes" : "no",
  };
}

function writeDoctor(provider: ProviderDocument, { services }: ClinicDocument) {
  const { overrides, timeOff } = provider;
  const offersAll = services.every(({ slug }) => provider.services.includes(slug));
  const days = Map.groupBy(overrides, ({ day }) => day);
  return {
    id: provider.slug,
    name: provider.name,
    services: offersAll ? "all" : provider.services,
    hours: writeSeasons(provider.hours),
    ...(days.size > 0
      ? {
        days: Object.fromEntries([...days].map(([day, windows]) => [
          day,
          writeWindows(windows.flatMap(({ startMin, endMin }) =>
            startMin === null || endMin === null ? [] : [{ startMin, endMin }]
          )) || "closed",
        ])),
      }
      : {}),
    ...filled({ off: timeOff.map(writeAbsence) }),
  };
}

/** One week, or a list of weeks with their first and last days. */
function writeSeasons(hours: readonly DatedHours[]) {
  const seasons = [
    ...Map.groupBy(hours, ({ from, until }) => JSON.stringify({ from, until })).values(),
  ].map((season) => {
    const [{ from, until } = { from: null, until: null }] = season;
    return {
      ...(from === null ? {} : { from }),
      ...(until === null ? {} : { until }),
      ...writeWeek(season),
    };
  });
  return seasons.length > 1 ? seasons : seasons[0] ?? {};
}

/** Separates sections, services, doctors and facts by blank lines. Short lists stay on one line. */
function spaceOut(document: Document): void {
  if (!isMap(document.contents)) return;
  for (const { key, value } of document.contents.items) {
    const isSection = isSeq(value) && value.items.some(isMap) || isMap(value);
    if (isScalar(key) && isSection) key.spaceBefore = true;
    if (isSeq(value)) {
      for (const [index, item] of value.items.entries()) {
        if (isMap(item) && index > 0) item.spaceBefore = true;
        if (isMap(item)) flattenLists(item.items);
      }
    }
    if (isMap(value)) flattenLists(value.items);
    flattenLists([{ value }]);
  }
}

const longestLine = 70;

function flattenLists(pairs: readonly { readonly value: unknown }[]): void {
  for (const { value } of pairs) {
    const isShort = isSeq(value) && value.items.every((item) => isScalar(item)) &&
      value.items.join(", ").length < longestLine;
    if (isShort) value.flow = true;
  }
}
