/**
 * Random clinics as documents, for the code that reads, writes and applies them.
 *
 * @module
 */

import type {
  Absence,
  ClinicDocument,
  DayRange,
  ProviderDocument,
  WeekdayHours,
} from "../../supabase/tasks/clinic/document.ts";
import { clockOf, dayName, dayNumber } from "./availability_oracle.ts";
import { aRandomClinic, days, integer, oneOf, type Random } from "./random_clinic.ts";

const texts = [
  "Where can I park?",
  "Ist das Parken frei? – ja: #2",
  "- not a list",
  "yes",
  "2026-12-25",
  "+442079460123",
  "a: b, [c] {d} 'e' \"f\" \\n",
  "Zoë & Søn’s, 日本 🦷",
  "* star, & anchor, ! tag, % directive, @ at, ` tick",
  "a sentence of more than one hundred characters, which a writer of YAML would like to fold over " +
  "the end of a line, and which a reader has to put together again without a loss.",
];

const some = <Item>(random: Random, items: readonly Item[]) => items.filter(() => random() < 0.4);

/** A clinic around a day on which clocks change, in the order in which the database returns it. */
export function aRandomDocument(random: Random, slug: string): ClinicDocument {
  const day = days[integer(random, 0, days.length - 1)] ?? ["Europe/London", "2026-03-29"];
  const drawn = aRandomClinic(random, day);
  const { zone } = drawn;
  const closed = drawn.closingDays.map((first) => ({
    first,
    last: dayName(dayNumber(first) + integer(random, 0, 2)),
  }));
  const services = ["checkup", "facelift", "group-yoga"].slice(0, integer(random, 1, 3)).map(
    (service) => ({ slug: service, name: aText(random).slice(0, 120), ...aService(drawn.service) }),
  );
  const offered = services.map(({ slug }) => slug);
  const providers = drawn.providers.map(({ hours, overrides, timeOff }, index) => ({
    slug: `doctor-${index}`,
    name: aText(random).slice(0, 120),
    services: random() < 0.5 ? offered : some(random, offered),
    ...withoutOverlaps(hours, overrides, closed),
    timeOff: absencesOf(zone, timeOff),
  }));
  const number = () => `+44207946${String(integer(random, 0, 9999)).padStart(4, "0")}`;
  return {
    slug,
    name: aText(random).slice(0, 120),
    timezone: zone,
    defaultCountry: oneOf(random, ["GB", "US", "NO"]),
    numbers: [],
    sharedLines: [...new Set(some(random, [number(), number()]))].sort(),
    assistant: {
      language: oneOf(random, ["en", "de-CH", "no"]),
      voice: oneOf(random, ["cartesia", "elevenlabs"]),
      model: oneOf(random, ["openai", "anthropic", "google"]),
      greeting: random() < 0.5 ? aText(random) : null,
      recordsCalls: random() < 0.5,
      keepsTranscript: random() < 0.5,
    },
    transferNumber: random() < 0.5 ? number() : null,
    deskHours: [
      { dow: 0, startMin: 0, endMin: 1440 },
      ...some<WeekdayHours>(random, [
        { dow: 1, startMin: 540, endMin: 720 },
        { dow: 1, startMin: 780, endMin: 1020 },
        { dow: 2, startMin: 540, endMin: 1020 },
        { dow: 3, startMin: 540, endMin: 1020 },
        { dow: 6, startMin: 1320, endMin: 1320 + 1440 },
      ]),
    ],
    holdMinutes: integer(random, 1, 120),
    deskHoldMinutes: integer(random, 0, 1440),
    smsCountries: oneOf(random, [["GB"], ["GB", "NO"], ["US", "GB"]]),
    smsHourlyLimit: integer(random, 1, 5000),
    messageHourlyLimit: integer(random, 0, 100),
    followUpTexts: random() < 0.5,
    textsAtHold: random() < 0.5,
    calendarPatientNames: random() < 0.5,
    address: random() < 0.5 ? aText(random).slice(0, 80).trim() || null : null,
    confirmationTexts: random() < 0.5,
    changeTexts: random() < 0.5,
    cancellationTexts: random() < 0.5,
    reminderMin: random() < 0.5 ? integer(random, 480, 1230) : null,
    reminderNoticeHours: integer(random, 0, 720),
    textAnswers: random() < 0.5,
    textLanguage: random() < 0.5 ? "en" : "de",
    textWords: random() < 0.5 ? {} : { en: { offer: "Reply {confirm} or {cancel}." } },
    retentionDays: integer(random, 1, 3650),
    auditRetentionDays: integer(random, 30, 3650),
    closingDays: closed,
    services,
    providers,
    facts: [...new Set(some(random, texts))].sort().map((question) => ({
      question,
      alsoAsked: some(random, texts),
      answer: aText(random),
      tags: some(random, ["parking", "no", "price: 10"]),
      inPrompt: random() < 0.3,
    })),
  };
}

const aText = (random: Random) => texts[integer(random, 0, texts.length - 1)] ?? "";

function aService(drawn: ReturnType<typeof aRandomClinic>["service"]) {
  const { durationMin, stepMin, bufferBeforeMin, bufferAfterMin, noticeMin, horizonDays } = drawn;
  return {
    durationMin,
    stepMin,
    bufferBeforeMin,
    bufferAfterMin,
    noticeMin,
    horizonDays,
    capacity: drawn.capacity,
  };
}

type Drawn = ReturnType<typeof aRandomClinic>["providers"][number];

/** Hours and single days as a file may list them: those that overlap an earlier one are left out. */
function withoutOverlaps(
  hours: Drawn["hours"],
  overrides: Drawn["overrides"],
  closed: readonly DayRange[],
): Pick<ProviderDocument, "hours" | "overrides"> {
  const kept: ProviderDocument["hours"] = [];
  for (const { dow, startMin, endMin, firstDay, lastDay } of hours) {
    const [from, until] = [firstDay ?? null, lastDay ?? null];
    const isFree = kept.every((other) =>
      other.dow !== dow || other.endMin <= startMin || endMin <= other.startMin ||
      (other.until ?? "9") < (from ?? "0") || (until ?? "9") < (other.from ?? "0")
    );
    if (isFree && (from ?? "0") <= (until ?? "9")) {
      kept.push({ dow, startMin, endMin, from, until });
    }
  }
  const single = overrides.flatMap(({ day, startMin, endMin }, index) =>
    overrides.findIndex((other) => other.day === day) === index &&
      !closed.some(({ first, last }) => first <= day && day <= last)
      ? [{ day, startMin, endMin }]
      : []
  );
  const season = (from: string | null, until: string | null) => `${from ?? "0"}/${until ?? "9"}`;
  return {
    hours: kept.sort((a, b) =>
      season(a.from, a.until) < season(b.from, b.until)
        ? -1
        : season(a.from, a.until) > season(b.from, b.until)
        ? 1
        : a.dow - b.dow || a.startMin - b.startMin
    ),
    overrides: single.sort((a, b) => a.day < b.day ? -1 : 1),
  };
}

/** Instants as a clinic's document writes them, computed with the test's own clock. */
function absencesOf(zone: string, timeOff: Drawn["timeOff"]): Absence[] {
  return [...new Map(timeOff.map((span) => [span.join(), span])).values()]
    .sort(([a, c], [b, d]) => a - b || c - d)
    .map(([start, end]) => {
      const [from, to] = [write(start, "first"), write(end, "last")];
      return to <= from ? { from: withOffset(start), to: withOffset(end) } : { from, to };
    });

  function write(instant: number, which: "first" | "last"): string {
    const clock = clockOf(zone);
    const local = clock.read(instant);
    const midnight = local - local % 1440;
    if (clock.find(midnight, "first") === instant) return isoOf(midnight);
    if (clock.find(local, local === midnight ? "first" : which) === instant) return isoOf(local);
    return withOffset(instant);
  }

  function withOffset(instant: number): string {
    const local = clockOf(zone).read(instant);
    const offset = Math.abs(local - instant);
    const parts = [Math.floor(offset / 60), offset % 60].map((part) =>
      String(part).padStart(2, "0")
    );
    return `${isoOf(local)}:00${local < instant ? "-" : "+"}${parts.join(":")}`;
  }
}

const isoOf = (local: number) => new Date(local * 60_000).toISOString().slice(0, 16);
