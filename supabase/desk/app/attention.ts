/**
 * What needs a person first: holds that ran out of codes, messages, texts that failed, alarms.
 *
 * @module
 */
/// <reference lib="dom" />

import { html } from "htm/preact";
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import type { Wish } from "./booking_dialog.ts";
import { Countdown } from "./calendar.ts";
import type { Attention, Undelivered } from "./client.ts";
import { sayMoment } from "../../page/app/clinic_time.ts";
import type { View } from "../../page/app/parts.ts";
import { type Alarm, type Appointment, isTextKind } from "./rows.ts";
import type { Desk } from "./use_desk.ts";
import { alarmSentence, isDone, nameOf, sentenceFor, textKindWords } from "./words.ts";

interface AttentionProps {
  readonly desk: Desk;
  readonly onOpen: (appointment: Appointment) => void;
  readonly onBook: (wish: Wish) => void;
  readonly onSaid: (sentence: string) => void;
  readonly onPatient: (phone: string) => void;
}

/** How many things wait for somebody. */
export const countItems = (attention: Attention): number =>
  Object.values(attention).reduce((sum, items) => sum + items.length, 0);

export function AttentionList({ desk, onOpen, onBook, onSaid, onPatient }: AttentionProps): View {
  const { followUps, overlaps, messages, texts, alarms } = desk.attention;
  const count = countItems(desk.attention);
  const at = (text: string) => sayMoment(Date.parse(text), desk.zone);
  const handle = (p_kind: string, p_id: string) => async () => {
    const answer = await desk.act("staff_handle", { p_kind, p_id });
    onSaid(sentenceFor("staff_handle", answer));
    return isDone(answer);
  };
  return html`
    <section class="attention" aria-labelledby="attention-title">
      <h2 id="attention-title">Needs a person</h2>
      <p role="status">${count === 0
        ? "Nothing to do."
        : count === 1
        ? "1 item to handle."
        : `${count} items to handle.`}</p>
      <ul>
        ${followUps.map((one) =>
          html`
            <${Item} key=${one.id} title="Call back: no code went through">
              <p><b>${nameOf(one)}</b> ${phoneLink(one.patient_phone)} wanted ${describe(
                desk,
                one,
              )}.
                The call could not be finished, and the time is ${isKept(one, desk)
                  ? html`kept for the desk: <${Countdown} client=${desk.client} until=${one.expires_at} />`
                  : "no longer kept"}.</p>
              <${Actions}>
                <button type="button" onClick=${() => onOpen(one)}>Resolve</button>
                ${historyButton(one.patient_phone, onPatient)}
              <//>
            <//>
          `
        )}
        ${overlaps.map((one) =>
          html`
            <${Item} key=${one.id} title="Doctor not free: move or cancel">
              <p><b>${nameOf(one)}</b> ${phoneLink(one.patient_phone)} has ${describe(desk, one)}.
                The doctor's own calendar has become busy at that time.</p>
              <${Actions}>
                <button type="button" onClick=${() => onOpen(one)}>Open the appointment</button>
                ${historyButton(one.patient_phone, onPatient)}
                <//>
                <//>
          `
        )}
        ${messages.map((one) =>
          html`
            <${Item} key=${one.id} title=${`Message, ${at(one.created_at)}`}>
              <p><b>${one.caller_name}</b> ${phoneLink(one.phone)}${one.wished_time === null
                ? ""
                : ` would like a call: ${one.wished_time}.`}</p>
              <blockquote>${one.message}</blockquote>
              <${Actions}>
                <button type="button" onClick=${() =>
                  onBook({ name: one.caller_name, phone: one.phone })}>Book for this caller</button>
                ${historyButton(one.phone, onPatient)}
                <${DoneButton} about=${`the message of ${one.caller_name}`} onDone=${handle(
                  "message",
                  one.id,
                )} />
              <//>
            <//>
          `
        )}
        ${texts.map((one) =>
          html`
            <${Item} key=${one.id} title=${`Text not delivered, ${at(one.created_at)}`}>
              <p>${describeText(one)} ${one.appointment === undefined
                ? ""
                : html`It was for <b>${nameOf(one.appointment)}</b> ${
                  phoneLink(one.appointment.patient_phone)
                }, ${describe(desk, one.appointment)}.`}</p>
              <${Actions}>
                ${one.appointment !== undefined && html`
                  <button type="button" onClick=${() =>
                    one.appointment && onOpen(one.appointment)}>${isTextKind(one.origin)
                    ? "Open the appointment"
                    : "Open the hold"}</button>
                `}
                <${DoneButton} about=${`the text to ${one.to_masked}`} onDone=${handle(
                  "text",
                  one.id,
                )} />
              <//>
            <//>
          `
        )}
        ${alarms.map((one) =>
          html`
            <${Item} key=${one.id} title=${`Alarm, ${at(one.raised_at)}`}>
              <p>${alarmSentence(one.kind)} ${sayEvents(one, at)}</p>
              <${Actions}>
                <${DoneButton} about="the alarm" onDone=${handle("alarm", one.id)} />
                <//>
                <//>
          `
        )}
      </ul>
    </section>
  `;
}

const isKept = ({ status, expires_at }: Appointment, { client }: Desk): boolean =>
  status === "held" && Date.parse(expires_at ?? "") > client.now();

function Item(
  { title, children }: { readonly title: string; readonly children?: ComponentChildren },
): View {
  return html`<li><h3>${title}</h3>${children}</li>`;
}

function Actions({ children }: { readonly children?: ComponentChildren }): View {
  return html`<p class="actions">${children}</p>`;
}

interface DoneProps {
  readonly about: string;
  readonly onDone: () => Promise<boolean>;
}

function DoneButton({ about, onDone }: DoneProps): View {
  const [isBusy, setBusy] = useState(false);
  const press = async () => {
    setBusy(true);
    if (!await onDone()) setBusy(false);
    // Its button is gone.
    else document.querySelector("main")?.focus();
  };
  return html`<button type="button" disabled=${isBusy} onClick=${press}>
    Done<span class="hidden"> with ${about}</span></button>`;
}

/** How often it happened and what to do. Only attacks slow texts down. */
function sayEvents({ kind, events, first_at }: Alarm, at: (text: string) => string): string {
  if (kind.startsWith("calendar_")) return "";
  return `${events} since ${at(first_at)}. Texts are slowed down for an hour. Tell the operator; ` +
    "patients on the phone can be booked here.";
}

/** A number that a click calls. */
export const phoneLink = (phone: string | null) =>
  phone === null ? "" : html`<a href=${`tel:${phone}`}>${phone}</a>`;

const historyButton = (phone: string | null, onPatient: (phone: string) => void) =>
  phone !== null &&
  html`<button type="button" onClick=${() => onPatient(phone)}>History</button>`;

/** "Consultation with Dr Amara Patel on Tue 1 Dec, 09:00". */
export function describe({ practice, zone }: Desk, one: Appointment): string {
  const service = practice.services.find(({ id }) => id === one.service_id)?.name ??
    "an appointment";
  const doctor = practice.providers.find(({ id }) => id === one.provider_id)?.name ?? "a doctor";
  return `${service} with ${doctor} on ${sayMoment(Date.parse(one.starts_at), zone)}`;
}

function describeText({ origin, to_masked, status, delivery, error_code }: Undelivered): string {
  const why = error_code === null ? "" : ` (error ${error_code})`;
  const text = `The ${isTextKind(origin) ? textKindWords[origin].toLowerCase() : "code"} texted to`;
  if (delivery === "failed" || delivery === "undelivered") {
    return `${text} ${to_masked} did not arrive${why}.`;
  }
  return status === "refused"
    ? `${text} ${to_masked} was refused${why}.`
    : `${text} ${to_masked} may not have been sent.`;
}
