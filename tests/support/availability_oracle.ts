/**
 * A second implementation of availability: it walks through the rules minute by minute and uses `Intl`
 * for clocks. It shares neither SQL nor interval arithmetic with the real one. It is slow, and simple
 * enough to trust.
 *
 * Instants are whole minutes since 1970 in UTC. Local times are minutes too, counted as if the local
 * clock showed UTC.
 *
 * @module
 */

/** Opening hours of a weekday, in local minutes from midnight; an end above 1440 is on the next day. */
export interface OracleHours {
  readonly id: string;
  /** 0 is Sunday. */
  readonly dow: number;
  readonly startMin: number;
  readonly endMin: number;
  /** Local days on which the rule applies, `YYYY-MM-DD`, the last one included. */
  readonly firstDay?: string;
  readonly lastDay?: string;
}

/** Replaces the hours of one local day; null minutes mean closed. */
export interface OracleOverride {
  readonly id: string;
  readonly day: string;
  readonly startMin: number | null;
  readonly endMin: number | null;
}

/** A provider whose time can be booked. */
export interface OracleProvider {
  readonly id: string;
  /** Whether the provider works here and offers the service. */
  readonly isOffered: boolean;
  readonly hours: readonly OracleHours[];
  readonly overrides: readonly OracleOverride[];
  /** Pairs of from and to. */
  readonly timeOff: readonly (readonly [number, number])[];
}

/** A row that may block a start. */
export interface OracleAppointment {
  readonly id: string;
  readonly providerId: string;
  readonly serviceId: string;
  readonly start: number;
  readonly busyFrom: number;
  readonly busyTo: number;
  readonly status: string;
  /** Milliseconds since 1970; null means that it never expires. */
  readonly expiresAtMs: number | null;
  readonly callId: string | null;
}

/** The service to book. */
export interface OracleService {
  readonly id: string;
  readonly durationMin: number;
  readonly stepMin: number;
  readonly bufferBeforeMin: number;
  readonly bufferAfterMin: number;
  readonly noticeMin: number;
  readonly horizonDays: number;
  readonly capacity: number;
}

/** Everything that an answer depends on. */
export interface OracleClinic {
  readonly zone: string;
  /** Local days on which no hours begin. */
  readonly closingDays: readonly string[];
  readonly service: OracleService;
  readonly providers: readonly OracleProvider[];
  readonly appointments: readonly OracleAppointment[];
}

/** Who asks, and when. */
export interface OracleQuestion {
  readonly atMs: number;
  readonly callId: string | null;
}

const minutesADay = 1440;

/** `YYYY-MM-DD` as days since 1970. */
export const dayNumber = (day: string): number => Date.parse(`${day}T00:00:00Z`) / 86_400_000;

/** Days since 1970 as `YYYY-MM-DD`. */
export const dayName = (day: number): string =>
  new Date(day * 86_400_000).toISOString().slice(0, 10);

const clocks = new Map<string, Clock>();

/** The local clock of a time zone. */
export function clockOf(zone: string): Clock {
  const known = clocks.get(zone);
  if (known) return known;
  const made = new Clock(zone);
  clocks.set(zone, made);
  return made;
}

/** Reads a zone's clock at any minute, and finds the instant of a local time by trying all. */
export class Clock {
  readonly #format: Intl.DateTimeFormat;
  readonly #readings = new Map<number, number>();
  readonly #found = new Map<string, number>();

  constructor(zone: string) {
    this.#format = new Intl.DateTimeFormat("en-GB", {
      timeZone: zone,
      hourCycle: "h23",
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
    });
  }

  /** The local time at an instant. */
  read(instant: number): number {
    const known = this.#readings.get(instant);
    if (known !== undefined) return known;
    // If the hour has sixty minutes on the local clock too, only its ends are read.
    const hour = instant - instant % 60;
    const first = this.#ask(hour);
    const isPlain = this.#ask(hour + 60) - first === 60;
    for (let minute = 0; minute < 60; minute++) {
      this.#readings.set(hour + minute, isPlain ? first + minute : this.#ask(hour + minute));
    }
    return this.read(instant);
  }

  #ask(instant: number): number {
    const text = this.#format.format(new Date(instant * 60_000));
    const [, day, month, year, hour, minute] =
      /^(\d\d)\/(\d\d)\/(\d{4}), (\d\d):(\d\d)$/.exec(text) ?? [];
    return Date.parse(`${year}-${month}-${day}T${hour}:${minute}:00Z`) / 60_000;
  }

  /**
   * The instant of a local time. A repeated local time has two: `which` picks one. A skipped one is
   * read as if the clock had not been put forward.
   */
  find(local: number, which: "first" | "last"): number {
    const key = `${which}${local}`;
    const known = this.#found.get(key);
    if (known !== undefined) return known;
    const found = this.#look(local, which);
    this.#found.set(key, found);
    return found;
  }

  #look(local: number, which: "first" | "last"): number {
    const twoDays = 2 * minutesADay;
    let hit: number | undefined;
    for (let instant = local - twoDays; instant < local + twoDays; instant++) {
      if (this.read(instant) !== local) continue;
      if (which === "first") return instant;
      hit = instant;
    }
    if (hit !== undefined) return hit;
    let instant = local - twoDays;
    while (this.read(instant + 1) < local) instant++;
    return instant + (local - this.read(instant));
  }
}

/**
 * Builds a function that judges the starts of one provider's local day.
 *
 * @returns The seats left at a start; 0 if it cannot be booked.
 */
export function judgeOf(
  clinic: OracleClinic,
  provider: OracleProvider,
  day: string,
  question: OracleQuestion,
): (start: number) => number {
  const clock = clockOf(clinic.zone);
  const { service } = clinic;
  const isOpen = openMinutes(clock, clinic, provider, dayNumber(day));
  const isOff = minutesIn(provider.timeOff);
  const rows = clinic.appointments.filter((row) =>
    row.providerId === provider.id && isLive(row, question) && !isOwnHold(row, question)
  );
  const today = Math.floor(clock.read(Math.floor(question.atMs / 60_000)) / minutesADay);

  return (start) => {
    if (!provider.isOffered) return 0;
    const localDay = Math.floor(clock.read(start) / minutesADay);
    if (localDay !== dayNumber(day) || localDay > today + service.horizonDays) return 0;
    if (start * 60_000 < question.atMs + service.noticeMin * 60_000) return 0;
    for (let minute = start; minute < start + service.durationMin; minute++) {
      if (!isOpen.has(minute) || isOff.has(minute)) return 0;
    }
    let opened = start;
    while (isOpen.has(opened - 1)) opened--;
    if ((start - opened) % service.stepMin !== 0) return 0;

    let seats = service.capacity;
    for (const row of rows) {
      if (row.serviceId === service.id && row.start === start) seats--;
      else if (meets(row, start, service)) return 0;
    }
    return Math.max(seats, 0);
  };
}

/** Open minutes around a day: its own hours, the night before, and the day after. */
function openMinutes(
  clock: Clock,
  { closingDays }: OracleClinic,
  provider: OracleProvider,
  day: number,
): Set<number> {
  const open = new Set<number>();
  for (const ruled of [day - 1, day, day + 1]) {
    if (closingDays.includes(dayName(ruled))) continue;
    for (const { startMin, endMin } of hoursOn(provider, ruled)) {
      if (ruled < day && endMin <= minutesADay) continue;
      const opens = clock.find(ruled * minutesADay + startMin, "first");
      const closes = clock.find(ruled * minutesADay + endMin, "last");
      for (let minute = opens; minute < closes; minute++) open.add(minute);
    }
  }
  return open;
}

function hoursOn(
  provider: OracleProvider,
  day: number,
): { readonly startMin: number; readonly endMin: number }[] {
  const overrides = provider.overrides.filter((override) => dayNumber(override.day) === day);
  if (overrides.length > 0) {
    return overrides.flatMap(({ startMin, endMin }) =>
      startMin === null || endMin === null ? [] : [{ startMin, endMin }]
    );
  }
  const dow = new Date(day * 86_400_000).getUTCDay();
  return provider.hours.filter((rule) =>
    rule.dow === dow &&
    (rule.firstDay === undefined || day >= dayNumber(rule.firstDay)) &&
    (rule.lastDay === undefined || day <= dayNumber(rule.lastDay))
  );
}

function minutesIn(spans: readonly (readonly [number, number])[]): Set<number> {
  const minutes = new Set<number>();
  for (const [from, to] of spans) {
    for (let minute = from; minute < to; minute++) minutes.add(minute);
  }
  return minutes;
}

function isLive(row: OracleAppointment, { atMs }: OracleQuestion): boolean {
  if (row.status === "confirmed") return true;
  return row.status === "held" && row.expiresAtMs !== null && row.expiresAtMs > atMs;
}

function isOwnHold(row: OracleAppointment, { callId }: OracleQuestion): boolean {
  return callId !== null && row.status === "held" && row.callId === callId;
}

/** Whether any minute of the new appointment, buffers included, falls into the row. */
function meets(row: OracleAppointment, start: number, service: OracleService): boolean {
  const to = start + service.durationMin + service.bufferAfterMin;
  for (let minute = start - service.bufferBeforeMin; minute < to; minute++) {
    if (minute >= row.busyFrom && minute < row.busyTo) return true;
  }
  return false;
}
