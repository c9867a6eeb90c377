/**
 * Calendars that the clinic gives out, and the doctors' own ones that it reads: managers change them.
 *
 * @module
 */
/// <reference lib="dom" />

import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { sayMoment } from "../../page/app/clinic_time.ts";
import { field, Notice, onSubmit, type View } from "../../page/app/parts.ts";
import { createCalendarToken } from "./calendar_token.ts";
import { hashHex } from "./hash.ts";
import { type Action, useAction } from "./use_action.ts";
import type { Desk } from "./use_desk.ts";
import { useList } from "./use_list.ts";
import type { BusyCalendar, Feed } from "./words.ts";

export function CalendarLinks({ desk }: { readonly desk: Desk }): View {
  const { list, problem } = useList(desk, "staff_list_calendars");
  const [said, setSaid] = useState("");
  const action = useAction(desk);
  const parts = { desk, action, onSaid: setSaid };
  return html`
    <section aria-labelledby="links-title" class="settings">
      <h2 id="links-title">Calendar links</h2>
      <${Notice} kind=${action.problem ?? problem ? "bad" : "good"}
        text=${action.problem ?? problem ?? said} />
      <${Feeds} ...${parts} feeds=${list?.feeds ?? []} />
      <${BusyCalendars} ...${parts} calendars=${list?.busy ?? []} />
    </section>
  `;
}

interface PartProps {
  readonly desk: Desk;
  readonly action: Action;
  readonly onSaid: (sentence: string) => void;
}

function Feeds(
  { desk, action, onSaid, feeds }: PartProps & { readonly feeds: readonly Feed[] },
): View {
  const [address, setAddress] = useState<string>();
  const add = async (form: HTMLFormElement) => {
    const token = createCalendarToken(desk.orgId);
    onSaid("");
    setAddress(undefined);
    const args = {
      p_provider: field(form, "whose") || null,
      p_label: field(form, "label"),
      p_token_hash: await hashHex(token),
    };
    await action.run("staff_add_calendar_feed", args, (sentence) => {
      form.reset();
      setAddress(desk.client.calendarAddress(token));
      onSaid(sentence);
    });
  };
  const revoke = ({ feedId }: Feed) => {
    onSaid("");
    setAddress(undefined);
    void action.run("staff_revoke_calendar_feed", { p_feed: feedId }, onSaid);
  };
  return html`
    <section aria-label="Calendars that others read">
      <h3>Calendars that others read</h3>
      <p>Google, Apple and Outlook show the appointments of a doctor or the clinic by such an address.
        Whoever has the address can read them, so make one for each person, and revoke it when it is no
        longer needed.</p>
      ${address !== undefined && html`
        <p><label>Address to copy into the calendar program
          <input readonly value=${address} ref=${selectOnce} /></label></p>
      `}
      <ul>${feeds.map((feed) =>
        html`
          <li key=${feed.feedId}>
            <b>${feed.label}</b> ${feed.doctor ?? "the whole clinic"}, ${sayFeed(feed, desk.zone)}
            ${feed.revokedAt === null && html`
              <button type="button" class="danger" disabled=${action.isBusy}
                onClick=${() => revoke(feed)}>Revoke<span class="hidden"> ${feed
                  .label}</span></button>
            `}
          </li>
        `
      )}</ul>
      ${feeds.length === 0 && html`<p>None.</p>`}
      <form class="fields" onSubmit=${onSubmit(add)}>
        <label>Who gets it <input name="label" required maxlength="80" autocomplete="off" /></label>
        <label>Appointments of <select name="whose">
          <option value="">the whole clinic</option>
          ${activeDoctors(desk).map(({ id, name }) =>
            html`<option key=${id} value=${id}>${name}</option>`
          )}
        </select></label>
        <button type="submit" disabled=${action.isBusy}>Make an address</button>
      </form>
    </section>
  `;
}

const activeDoctors = ({ practice }: Desk) => practice.providers.filter(({ active }) => active);

function selectOnce(element: HTMLInputElement | null): void {
  element?.focus();
  element?.select();
}

function sayFeed({ revokedAt, readAt }: Feed, zone: string): string {
  if (revokedAt !== null) return `revoked ${sayMoment(Date.parse(revokedAt), zone)}`;
  return readAt === null ? "not read yet" : `last read ${sayMoment(Date.parse(readAt), zone)}`;
}

function BusyCalendars(
  { desk, action, onSaid, calendars }: PartProps & { readonly calendars: readonly BusyCalendar[] },
): View {
  const set = (p_provider: string, p_address: string | null, form?: HTMLFormElement) => {
    onSaid("");
    void action.run("staff_set_busy_calendar", { p_provider, p_address }, (sentence) => {
      form?.reset();
      onSaid(sentence);
    });
  };
  return html`
    <section aria-label="Doctors' own calendars">
      <h3>Doctors' own calendars</h3>
      <p>What a doctor's own calendar shows as busy becomes time off, so nobody is booked then. Only the
        times are kept. Bookings that a new busy time overlaps stay, and are listed under Needs a person.</p>
      ${activeDoctors(desk).map(({ id, name }) => {
        const calendar = calendars.find(({ providerId }) => providerId === id);
        return html`
          <form key=${id} class="fields" aria-label=${name}
            onSubmit=${onSubmit((form) => set(id, field(form, "address"), form))}>
            <label>${name}: ${calendar === undefined
              ? "no calendar is read"
              : sayCalendar(calendar, desk.zone)}
              <input name="address" type="url" required autocomplete="off"
                placeholder=${calendar === undefined
                  ? "https://, its secret address in iCal format"
                  : "another address"} /></label>
            <button type="submit" disabled=${action
              .isBusy}>Save<span class="hidden"> the calendar of
              ${name}</span></button>
            ${calendar !== undefined && html`
              <button type="button" class="danger" disabled=${action.isBusy}
                onClick=${() => set(id, null)}>Remove<span class="hidden"> the calendar of
                ${name}</span></button>
            `}
          </form>
        `;
      })}
    </section>
  `;
}

function sayCalendar(
  { host, readAt, failures, failure, absences }: BusyCalendar,
  zone: string,
): string {
  if (failures > 0) {
    const what = failures === 1 ? "the last reading" : `the last ${failures} readings`;
    return `${host}, ${what} failed (${failure?.replaceAll("_", " ")}), and the busy times stay`;
  }
  return readAt === null
    ? `${host}, not read yet`
    : `${host}, last read ${sayMoment(Date.parse(readAt), zone)}, busy ${absences} times`;
}
