/**
 * The day or the week of each doctor: what is open, on hold and booked.
 *
 * @module
 */
/// <reference lib="dom" />

import { html } from "htm/preact";
import type { Wish } from "./booking_dialog.ts";
import type { Client } from "./client.ts";
import {
  addDays,
  type Day,
  dayOf,
  isDay,
  minuteOf,
  sayDay,
  sayLeft,
  sayMinute,
  sayShortDay,
  sayTime,
} from "../../page/app/clinic_time.ts";
import {
  isClosed,
  place,
  shownHours,
  type Stretch,
  stretchOf,
  without,
  workOf,
} from "./day_layout.ts";
import { onValue, useClock, type View } from "../../page/app/parts.ts";
import { type Appointment, mayAs, type Provider, readSpan } from "./rows.ts";
import type { Desk } from "./use_desk.ts";
import { nameOf, sayState, type State, stateOf, stateWords } from "./words.ts";

/** What of the calendar is shown. */
export interface Shown {
  /** Today if undefined, also after midnight. */
  readonly day: Day | undefined;
  readonly span: "day" | "week";
  /** The id of one doctor; all of them if empty. */
  readonly doctor: string;
}

interface CalendarProps {
  readonly desk: Desk;
  readonly shown: Shown;
  readonly onShow: (shown: Shown) => void;
  readonly onOpen: (appointment: Appointment) => void;
  readonly onBook: (wish: Wish) => void;
}

export function Calendar({ desk, shown, onShow, onOpen, onBook }: CalendarProps): View {
  const today = dayOf(desk.client.now(), desk.zone);
  const day = shown.day ?? today;
  const step = shown.span === "day" ? 1 : 7;
  const go = (to: Day) => onShow({ ...shown, day: to === today ? undefined : to });
  const { first, last } = desk.range;
  const days = Array.from({ length: 7 }, (_, index) => addDays(first, index))
    .filter((one) => one <= last);
  const doctors = shownDoctors(desk, shown.doctor);
  const closed = days.filter((one) => isClosed(desk.practice.schedule, one));
  return html`
    <section aria-labelledby="calendar-title" class="calendar">
      <div class="tools">
        <h2 id="calendar-title">${shown.span === "day"
          ? `${day === today ? "Today, " : ""}${sayDay(day)}`
          : `${sayShortDay(days[0] ?? day)} to ${sayShortDay(days.at(-1) ?? day)}`}</h2>
        <div role="group" aria-label="Which days">
          <button type="button" onClick=${() => go(addDays(day, -step))}>Earlier</button>
          <button type="button" onClick=${() => go(today)}>Today</button>
          <button type="button" onClick=${() => go(addDays(day, step))}>Later</button>
        </div>
        <label>Day <input type="date" value=${day}
          onChange=${onValue((text) => isDay(text) && go(text))} /></label>
        <label>Show <select value=${shown.span} onChange=${onValue((span) =>
          onShow({ ...shown, span: span === "week" ? "week" : "day" })
        )}>
          <option value="day">the day</option><option value="week">the week</option>
        </select></label>
        <label>Doctor <select value=${shown.doctor}
          onChange=${onValue((doctor) => onShow({ ...shown, doctor }))}>
          <option value="">All doctors</option>
          ${shownDoctors(desk, "").map(({ id, name }) =>
            html`<option value=${id}>${name}</option>`
          )}
        </select></label>
        ${mayAs(desk.role, "desk") && html`
          <button type="button" class="main" onClick=${() => onBook({ day })}>Book</button>
        `}
      </div>
      ${closed.length > 0 &&
        html`<p class="closed">The clinic is closed on ${closed.map(sayShortDay).join(", ")}.</p>`}
      ${shown.span === "day"
        ? html`
          <${DayColumns} desk=${desk} day=${first} doctors=${doctors} onOpen=${onOpen}
            onBook=${onBook} />
        `
        : doctors.map((doctor) =>
          html`
            <${WeekRow} key=${doctor.id} desk=${desk} days=${days} doctor=${doctor} onOpen=${onOpen}
              onBook=${onBook} />
          `
        )}
      <${Legend} />
    </section>
  `;
}

/** Active doctors, and those who still have bookings in the days that are shown. */
const shownDoctors = ({ practice, appointments }: Desk, doctor: string): readonly Provider[] =>
  practice.providers.filter(({ id, active }) =>
    (doctor === "" || id === doctor) &&
    (active || appointments.some(({ provider_id }) => provider_id === id))
  );

/** Something in a doctor's day. */
type Entry = Stretch & {
  /** Undefined for time that is open. */
  readonly appointment?: Appointment;
};

/** What a doctor's day consists of. Past time is not open any more. */
function entriesOf(desk: Desk, doctor: Provider, day: Day): { booked: Entry[]; open: Entry[] } {
  const { zone, client, practice } = desk;
  const now = client.now();
  const here = desk.appointments
    .filter((one) => one.provider_id === doctor.id && stateOf(one, now) !== "expired")
    .map((appointment) => ({
      appointment,
      ...stretchOf(Date.parse(appointment.starts_at), Date.parse(appointment.ends_at), zone, day),
    }))
    .filter(({ from, to }) => from < to);
  const busy = desk.appointments
    .filter((one) => one.provider_id === doctor.id && stateOf(one, now) !== "expired")
    .map((one) => {
      const { from, to } = readSpan(one.busy);
      return stretchOf(from, to, zone, day);
    });
  const past = { from: 0, to: Math.min(Math.max(minuteOf(now, zone, day), 0), 1440) };
  const work = doctor.active ? workOf(practice.schedule, doctor.id, day) : [];
  return { booked: here, open: without(work, [...busy, past]) };
}

interface ColumnsProps {
  readonly desk: Desk;
  readonly day: Day;
  readonly doctors: readonly Provider[];
  readonly onOpen: (appointment: Appointment) => void;
  readonly onBook: (wish: Wish) => void;
}

function DayColumns({ desk, day, doctors, onOpen, onBook }: ColumnsProps): View {
  const columns = doctors.map((doctor) => ({ doctor, ...entriesOf(desk, doctor, day) }));
  const work = doctors.flatMap(({ id }) => workOf(desk.practice.schedule, id, day));
  const { from, to } = shownHours([...work, ...columns.flatMap(({ booked }) => booked)]);
  const hours = Array.from({ length: (to - from) / 60 }, (_, index) => from + index * 60);
  return html`
    <div class="columns" data-day=${day} style=${{
      "--from": from,
      "--to": to,
      "--count": doctors.length,
    }}>
      <ol class="hours" aria-hidden="true">
        ${hours.map((minute) => html`<li key=${minute}>${sayMinute(minute)}</li>`)}
      </ol>
      ${columns.map(({ doctor, booked, open }) =>
        html`
          <section key=${doctor.id} aria-label=${`${doctor.name}, ${sayDay(day)}`}>
            <h3>${doctor.name}</h3>
            <ol class="timeline">
              ${[...place(booked), ...place(open)]
                .toSorted((one, other) => one.entry.from - other.entry.from)
                .map(({ entry, lane, lanes }) =>
                  html`
                    <li key=${keyOf(entry)} style=${{
                      "--start": entry.from,
                      "--end": entry.to,
                      "--lane": lane,
                      "--lanes": lanes,
                    }}>
                      <${EntryView} desk=${desk} doctor=${doctor} day=${day} entry=${entry}
                        onOpen=${onOpen}
                        onBook=${onBook} />
                    </li>
                  `
                )}
            </ol>
            ${booked.length + open.length === 0 &&
              html`<p class="nothing">Nothing open or booked</p>`}
          </section>
        `
      )}
    </div>
  `;
}

const keyOf = ({ appointment, from }: Entry): string => appointment?.id ?? `open-${from}`;

interface WeekProps {
  readonly desk: Desk;
  readonly days: readonly Day[];
  readonly doctor: Provider;
  readonly onOpen: (appointment: Appointment) => void;
  readonly onBook: (wish: Wish) => void;
}

function WeekRow({ desk, days, doctor, onOpen, onBook }: WeekProps): View {
  const today = dayOf(desk.client.now(), desk.zone);
  return html`
    <section class="week" aria-label=${doctor.name}>
      <h3>${doctor.name}</h3>
      <div class="days">
        ${days.map((day) => {
          const { booked, open } = entriesOf(desk, doctor, day);
          const entries = [...booked, ...open].toSorted((one, other) => one.from - other.from);
          return html`
            <section key=${day} aria-label=${`${doctor.name}, ${sayDay(day)}`}
              class=${day === today ? "today" : ""}>
              <h4>${sayShortDay(day)}</h4>
              <ol>${entries.map((entry) =>
                html`
                  <li key=${keyOf(entry)}>
                    <${EntryView} desk=${desk} doctor=${doctor} day=${day} entry=${entry}
                      onOpen=${onOpen} onBook=${onBook} />
                  </li>
                `
              )}</ol>
              ${entries.length === 0 && html`<p class="nothing">Nothing</p>`}
            </section>
          `;
        })}
      </div>
    </section>
  `;
}

interface EntryProps {
  readonly desk: Desk;
  readonly doctor: Provider;
  readonly day: Day;
  readonly entry: Entry;
  readonly onOpen: (appointment: Appointment) => void;
  readonly onBook: (wish: Wish) => void;
}

function EntryView({ desk, doctor, day, entry, onOpen, onBook }: EntryProps): View {
  const { appointment, from, to } = entry;
  if (!appointment) {
    const words = html`<span class="time">${sayMinute(from)} to ${
      sayMinute(to)
    }</span> <span>Open</span>`;
    return mayAs(desk.role, "desk")
      ? html`
        <button type="button" class="entry open"
          onClick=${() => onBook({ day, doctor: doctor.slug })}>${words}</button>
      `
      : html`<div class="entry open">${words}</div>`;
  }
  const state = stateOf(appointment, desk.client.now());
  const isHeld = appointment.status === "held";
  const service = desk.practice.services.find(({ id }) => id === appointment.service_id);
  return html`
    <button type="button" class=${`entry ${state}`} onClick=${() => onOpen(appointment)}>
      <span class="time">${sayTime(Date.parse(appointment.starts_at), desk.zone)}</span>
      <b>${nameOf(appointment)}</b>
      <span>${service?.name ?? ""}</span>
      <span class="state">${sayState(appointment, desk.client.now())}${isHeld && html`
        , <${Countdown}
          client=${desk.client} until=${appointment.expires_at} />
      `}</span>
    </button>
  `;
}

/** The time that a hold has left, second by second. */
export function Countdown(
  { client, until }: { readonly client: Client; readonly until: string | null },
): View {
  const left = Date.parse(until ?? "") - useClock(() => client.now());
  return html`<span class="left">${left > 0 ? `${sayLeft(left)} left` : "expired"}</span>`;
}

const legend: readonly State[] = [
  "held",
  "followup",
  "confirmed",
  "arrived",
  "completed",
  "no_show",
];

function Legend(): View {
  return html`
    <ul class="legend" aria-label="What the colors mean">
      <li class="entry open">Open</li>
      ${legend.map((state) => html`<li class=${`entry ${state}`}>${stateWords[state]}</li>`)}
    </ul>
  `;
}
