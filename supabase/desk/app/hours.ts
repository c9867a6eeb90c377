/**
 * When doctors work and the clinic is open: everybody sees it, managers change it.
 *
 * @module
 */
/// <reference lib="dom" />

import { html } from "htm/preact";
import { useState } from "preact/hooks";
import {
  addDays,
  checkHours,
  type Day,
  dayOf,
  isDay,
  momentOf,
  readHoursList,
  readMinute,
  sayDays,
  sayHours,
  sayMoment,
  sayShortDay,
  saySpan,
} from "../../page/app/clinic_time.ts";
import type { DayHours, WeeklyHours } from "./day_layout.ts";
import { field, Notice, onSubmit, onValue, type View } from "../../page/app/parts.ts";
import { mayAs, type Provider } from "./rows.ts";
import { useAction } from "./use_action.ts";
import type { Desk } from "./use_desk.ts";
import type { Misplaced, StaffFunction } from "./words.ts";

/** Monday first. */
const weekdays = [1, 2, 3, 4, 5, 6, 0] as const;
const weekdayNames = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

interface DeskProps {
  readonly desk: Desk;
}

/** Asks a function that changes the schedule. */
type Change = (name: StaffFunction, args: Readonly<Record<string, unknown>>) => void;

export function HoursView({ desk }: DeskProps): View {
  const doctors = desk.practice.providers.filter(({ active }) => active);
  const [chosen, setChosen] = useState(doctors[0]?.id ?? "");
  const [said, setSaid] = useState("");
  const [misplaced, setMisplaced] = useState<readonly Misplaced[]>([]);
  const action = useAction(desk);
  const doctor = doctors.find(({ id }) => id === chosen) ?? doctors[0];
  const change: Change = (name, args) => {
    setSaid("");
    setMisplaced([]);
    void action.run(name, args, (sentence, { bookings = [] }) => {
      setSaid(sentence);
      setMisplaced(bookings);
    });
  };
  const mayChange = mayAs(desk.role, "manager");
  return html`
    <section aria-labelledby="hours-title" class="settings" onSubmit=${() => setSaid("")}>
      <h2 id="hours-title">Hours and days off</h2>
      ${!mayChange && html`<p>Managers and owners change these.</p>`}
      <${Notice} kind=${action.problem ? "bad" : "good"} text=${action.problem ?? said} />
      ${misplaced.length > 0 && html`<ul>${
        misplaced.map((one) =>
          html`
            <li key=${one.appointmentId}>${sayMisplaced(one, desk.zone)}</li>
          `
        )
      }</ul>`}
      <label>Doctor <select value=${doctor?.id ?? ""} onChange=${onValue(setChosen)}>
        ${doctors.map(({ id, name }) => html`<option value=${id}>${name}</option>`)}
      </select></label>
      ${doctor && html`
        <${Doctor} key=${doctor.id} desk=${desk} doctor=${doctor}
          isBusy=${action.isBusy} change=${mayChange ? change : undefined} />
      `}
      <${ClosingDays} desk=${desk} isBusy=${action.isBusy} change=${mayChange
        ? change
        : undefined} />
    </section>
  `;
}

const sayMisplaced = ({ startTime, service, doctor }: Misplaced, zone: string): string =>
  `${sayMoment(Date.parse(startTime), zone)}, ${service} with ${doctor}`;

interface PartProps extends DeskProps {
  readonly isBusy: boolean;
  /** Undefined for anybody who may not change anything. */
  readonly change: Change | undefined;
}

interface DoctorProps extends PartProps {
  readonly doctor: Provider;
}

function Doctor(props: DoctorProps): View {
  return html`
    <${Weekly} ...${props} />
    <${SpecialDays} ...${props} />
    <${TimeOff} ...${props} />
  `;
}

/** The list and what is wrong with it, weekday by weekday. */
function readWeek(form: HTMLFormElement): WeeklyEntry[] | string {
  const week: WeeklyEntry[] = [];
  for (const dow of weekdays) {
    const hours = readHoursList(field(form, `dow-${dow}`));
    if (!hours) {
      return `${weekdayNames[dow]}: write hours as 09:00-12:30, 13:30-17:00, or leave it empty.`;
    }
    const fault = checkHours(hours);
    if (fault !== undefined) return `${weekdayNames[dow]}: ${fault}`;
    week.push(...hours.map((one) => ({ dow, ...one })));
  }
  return week;
}

interface WeeklyEntry {
  readonly dow: number;
  readonly startMin: number;
  readonly endMin: number;
}

function Weekly({ desk, doctor, isBusy, change }: DoctorProps): View {
  const [problem, setProblem] = useState<string>();
  const today = dayOf(desk.client.now(), desk.zone);
  const own = desk.practice.schedule.weekly.filter(({ providerId }) => providerId === doctor.id);
  const now = own.filter((one) => isCurrent(one, today));
  const others = own.filter((one) =>
    !isCurrent(one, today) || one.from !== null || one.until !== null
  );
  const save = (form: HTMLFormElement) => {
    const week = readWeek(form);
    setProblem(typeof week === "string" ? week : undefined);
    if (typeof week !== "string") {
      change?.("staff_set_hours", { p_provider: doctor.id, p_hours: week });
    }
  };
  // New values from the server fill the form again; while they stay, what is being typed stays.
  return html`
    <form key=${JSON.stringify(now)} onSubmit=${onSubmit(save)}>
      <fieldset disabled=${change === undefined || others.length > 0}>
        <legend>Weekly hours</legend>
        ${weekdays.map((dow) =>
          html`
            <label key=${dow}>${weekdayNames[dow]}
              <input name=${`dow-${dow}`} placeholder="closed" autocomplete="off"
                defaultValue=${sayHours(now.filter((one) => one.dow === dow))} /></label>
          `
        )}
      </fieldset>
      ${others.length > 0 && html`<p>Some of these hours begin or end on a certain day, so they are
        changed in the clinic's file.</p>`}
      <${Notice} kind="bad" text=${problem} />
      ${change && others.length === 0 && html`
        <button type="submit" class="main" disabled=${isBusy}>Save weekly hours</button>
      `}
    </form>
  `;
}

const isCurrent = ({ from, until }: WeeklyHours, today: Day): boolean =>
  (from === null || from <= today) && (until === null || today < until);

function SpecialDays({ desk, doctor, isBusy, change }: DoctorProps): View {
  const [problem, setProblem] = useState<string>();
  const today = dayOf(desk.client.now(), desk.zone);
  const own = desk.practice.schedule.days
    .filter(({ providerId, day }) => providerId === doctor.id && day >= today);
  const days = [...new Set(own.map(({ day }) => day))].sort();
  const save = (form: HTMLFormElement) => {
    const p_day = field(form, "day");
    const p_hours = readHoursList(field(form, "hours"));
    const wrong = !isDay(p_day)
      ? "Choose a day."
      : p_hours === undefined
      ? "Write hours as 09:00-12:30, 13:30-17:00, or leave them empty for a day off."
      : checkHours(p_hours);
    setProblem(wrong);
    if (wrong === undefined) change?.("staff_set_day", { p_provider: doctor.id, p_day, p_hours });
  };
  return html`
    <section aria-label="Days with other hours">
      <h3>Days with other hours</h3>
      ${days.length === 0 && html`<p>None.</p>`}
      <ul>${days.map((day) =>
        html`<li key=${day}>${sayShortDay(day)}: ${
          sayHours(own.filter((one) => one.day === day).flatMap(openHours)) || "off"
        } ${
          change && html`
            <button type="button" disabled=${isBusy}
              onClick=${() =>
                change("staff_set_day", {
                  p_provider: doctor.id,
                  p_day: day,
                  p_hours: null,
                })}>Weekly hours again<span class="hidden"> on ${sayShortDay(day)}</span></button>
          `
        }</li>`
      )}</ul>
      ${change && html`
        <form class="fields" onSubmit=${onSubmit(save)}>
          <label>Day <input name="day" type="date" min=${today} required /></label>
          <label>Hours on that day <input name="hours" placeholder="off" autocomplete="off" /></label>
          <button type="submit" disabled=${isBusy}>Save this day</button>
        </form>
      `}
      <${Notice} kind="bad" text=${problem} />
    </section>
  `;
}

const openHours = ({ startMin, endMin }: DayHours) =>
  startMin === null || endMin === null ? [] : [{ startMin, endMin }];

function TimeOff({ desk, doctor, isBusy, change }: DoctorProps): View {
  const [problem, setProblem] = useState<string>();
  const now = desk.client.now();
  const own = desk.practice.schedule.absences
    .filter(({ providerId, to }) => providerId === doctor.id && to > now)
    .toSorted((one, other) => one.from - other.from);
  const add = (form: HTMLFormElement) => {
    const [first, last] = [field(form, "first"), field(form, "last")];
    const start = readMinute(field(form, "start") || "00:00");
    const end = readMinute(field(form, "end") || "24:00");
    if (!isDay(first) || !isDay(last) || start === undefined || end === undefined) {
      return setProblem("Choose the first and the last day.");
    }
    const [from, to] = [momentOf(first, start, desk.zone), momentOf(last, end, desk.zone)];
    if (from >= to) return setProblem("The time off ends before it begins.");
    setProblem(undefined);
    change?.("staff_add_time_off", {
      p_provider: doctor.id,
      p_from: new Date(from).toISOString(),
      p_to: new Date(to).toISOString(),
    });
  };
  return html`
    <section aria-label="Time off">
      <h3>Time off</h3>
      ${own.length === 0 && html`<p>None.</p>`}
      <ul>${own.map((one) =>
        html`<li key=${one.id}>${saySpan(one.from, one.to, desk.zone)}
        ${
          change && html`
            <button type="button" disabled=${isBusy}
              onClick=${() =>
                change("staff_remove_time_off", {
                  p_time_off: one.id,
                })}>Remove<span class="hidden"> ${saySpan(
                  one.from,
                  one.to,
                  desk.zone,
                )}</span></button>
          `
        }</li>`
      )}</ul>
      ${change && html`
        <form class="fields" onSubmit=${onSubmit(add)}>
          <label>First day <input name="first" type="date" required /></label>
          <label>from <input name="start" type="time" /></label>
          <label>Last day <input name="last" type="date" required /></label>
          <label>until <input name="end" type="time" /></label>
          <button type="submit" disabled=${isBusy}>Add time off</button>
        </form>
        <p>Without times, whole days.</p>
      `}
      <${Notice} kind="bad" text=${problem} />
    </section>
  `;
}

function ClosingDays({ desk, isBusy, change }: PartProps): View {
  const [problem, setProblem] = useState<string>();
  const today = dayOf(desk.client.now(), desk.zone);
  const closed = desk.practice.schedule.closed
    .map(({ from, until }) => ({ first: from, last: addDays(until, -1) }));
  const set = (days: readonly { readonly first: Day; readonly last: Day }[]) =>
    change?.("staff_set_closing_days", { p_days: days });
  const add = (form: HTMLFormElement) => {
    const first = field(form, "first");
    const last = field(form, "last") || first;
    const isRight = isDay(first) && isDay(last) && first <= last;
    setProblem(isRight ? undefined : "Choose the first day, and a last day that is not before it.");
    if (isRight) set([...closed, { first, last }]);
  };
  return html`
    <section aria-label="Closing days">
      <h3>Closing days of the clinic</h3>
      ${closed.every(({ last }) => last < today) && html`<p>None ahead.</p>`}
      <ul>${closed.filter(({ last }) => last >= today).map((one) =>
        html`<li key=${one.first}>${sayDays(one.first, one.last)} ${
          change && html`
            <button type="button" disabled=${isBusy}
              onClick=${() =>
                set(
                  closed.filter(({ first }) => first !== one.first),
                )}>Open again<span class="hidden"> on ${sayShortDay(one.first)}</span></button>
          `
        }</li>`
      )}</ul>
      ${change && html`
        <form class="fields" onSubmit=${onSubmit(add)}>
          <label>First day <input name="first" type="date" min=${today} required /></label>
          <label>Last day <input name="last" type="date" min=${today} /></label>
          <button type="submit" disabled=${isBusy}>Close on these days</button>
        </form>
      `}
      <${Notice} kind="bad" text=${problem} />
    </section>
  `;
}
