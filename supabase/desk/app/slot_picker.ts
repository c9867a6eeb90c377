/**
 * Chooses a bookable time of a service: with any doctor or one, day by day.
 *
 * @module
 */
/// <reference lib="dom" />

import { html } from "htm/preact";
import { useEffect, useRef, useState } from "preact/hooks";
import {
  type Day,
  dayOf,
  isDay,
  sayDay,
  sayShortDay,
  sayTime,
} from "../../page/app/clinic_time.ts";
import { onValue, type View } from "../../page/app/parts.ts";
import type { Desk } from "./use_desk.ts";
import { type Answer, sentenceFor, type Slot } from "./words.ts";

/** How many days are looked through for the next free one: the most that the server reads at once. */
const days = 14;

interface PickerProps {
  readonly desk: Desk;
  /** The service's slug; undefined lets choose. */
  readonly service: string | undefined;
  readonly doctor: string;
  readonly day: Day;
  /** The last answer to an attempt to take a slot: a refusal may name others. */
  readonly refused: Answer | undefined;
  readonly slot: string | undefined;
  readonly onSlot: (slot: string | undefined) => void;
}

/** What was found for a choice of service, doctor and day. */
interface Found {
  readonly problem: string | undefined;
  readonly slots: readonly Slot[];
}

export function SlotPicker(props: PickerProps): View {
  const { desk, refused, slot, onSlot } = props;
  const services = desk.practice.services.filter(({ active }) => active);
  const [service, setService] = useState(props.service ?? services[0]?.slug ?? "");
  const [doctor, setDoctor] = useState(props.doctor);
  const [day, setDay] = useState(props.day);
  const [found, setFound] = useState<Found>();
  const latest = useRef(0);
  useEffect(() => {
    const mine = ++latest.current;
    const args = { p_service: service, p_first: day, p_days: days, p_provider: doctor || null };
    desk.client.ask("staff_find_times", desk.orgId, args).then((answer) => {
      if (mine !== latest.current) return;
      const slots = answer.slots ?? [];
      setFound({
        slots,
        problem: answer.outcome === "found" ? undefined : sentenceFor("staff_find_times", answer),
      });
      if (!slots.some(({ slotId }) => slotId === slot)) onSlot(undefined);
    });
    // What was refused was taken in the meantime, so the list is old.
  }, [service, doctor, day, refused]);
  const dayOfSlot = ({ startTime }: Slot) => dayOf(Date.parse(startTime), desk.zone);
  const here = found?.slots.filter((one) => dayOfSlot(one) === day) ?? [];
  const later = found?.slots.find((one) => dayOfSlot(one) > day);
  return html`
    <div class="fields">
      ${props.service === undefined && html`
        <label>Service <select value=${service} onChange=${onValue(setService)}>
          ${services.map(({ slug, name, duration_min }) =>
            html`
              <option value=${slug}>${name}, ${duration_min} min</option>
            `
          )}
        </select></label>
      `}
      <label>Doctor <select value=${doctor} onChange=${onValue(setDoctor)}>
        <option value="">Any doctor</option>
        ${desk.practice.providers.filter(({ active }) => active)
          .map(({ slug, name }) => html`<option value=${slug}>${name}</option>`)}
      </select></label>
      <label>Day <input type="date" value=${day} min=${dayOf(desk.client.now(), desk.zone)}
        onChange=${onValue((text) => isDay(text) && setDay(text))} /></label>
    </div>
    <fieldset class="slots">
      <legend>Free on ${sayDay(day)}</legend>
      ${here.map(({ slotId, startTime, seatsLeft }) =>
        html`
          <label key=${slotId}><input type="radio" name="slot" value=${slotId} checked=${slot ===
            slotId}
            onChange=${() => onSlot(slotId)} /> ${sayTime(
              Date.parse(startTime),
              desk.zone,
            )}${seatsLeft === undefined ? "" : `, ${seatsLeft} left`}</label>
        `
      )}
      <p role="status">${found === undefined ? "Looking for times" : found.problem ??
        (here.length > 0
          ? ""
          : later
          ? "No free time on this day."
          : `No free time within ${days} days.`)}</p>
      ${here.length === 0 && later !== undefined && html`
        <button type="button" onClick=${() =>
          setDay(dayOfSlot(later))}>Next free day: ${sayShortDay(dayOfSlot(later))}</button>
      `}
    </fieldset>
  `;
}
