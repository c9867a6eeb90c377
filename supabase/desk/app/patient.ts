/**
 * What the clinic knows of a phone number: appointments, messages, and what can be done about it.
 *
 * @module
 */
/// <reference lib="dom" />

import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { describe, phoneLink } from "./attention.ts";
import type { Wish } from "./booking_dialog.ts";
import type { Patient } from "./client.ts";
import { sayMoment } from "../../page/app/clinic_time.ts";
import { field, Notice, onSubmit, type View } from "../../page/app/parts.ts";
import { readPhone } from "./phone.ts";
import type { Appointment } from "./rows.ts";
import { useAction } from "./use_action.ts";
import type { Desk } from "./use_desk.ts";
import { nameOf, sayState, stateOf } from "./words.ts";

interface PatientProps {
  readonly desk: Desk;
  /** A number to begin with; empty if there is none. */
  readonly phone: string;
  readonly onOpen: (appointment: Appointment) => void;
  readonly onBook: (wish: Wish) => void;
}

export function PatientView({ desk, phone: given, onOpen, onBook }: PatientProps): View {
  const [phone, setPhone] = useState(given);
  const [problem, setProblem] = useState<string>();
  const look = (form: HTMLFormElement) => {
    const read = readPhone(field(form, "phone"), desk.practice.clinic.default_country);
    setProblem(read ? undefined : "That is not a complete phone number.");
    if (read) setPhone(read.number);
  };
  return html`
    <section aria-labelledby="patient-title">
      <h2 id="patient-title">A patient's history</h2>
      <form class="fields" onSubmit=${onSubmit(look)}>
        <label>Phone number
          <input name="phone" type="tel" required autocomplete="off" defaultValue=${given} /></label>
        <button type="submit" class="main">Look up</button>
      </form>
      <${Notice} kind="bad" text=${problem} />
      ${phone !== "" && html`
        <${History} key=${phone} desk=${desk} phone=${phone} onOpen=${onOpen}
          onBook=${onBook} />
      `}
    </section>
  `;
}

function History({ desk, phone, onOpen, onBook }: PatientProps): View {
  const [patient, setPatient] = useState<Patient>();
  const [problem, setProblem] = useState<string>();
  const [said, setSaid] = useState<string>();
  const action = useAction(desk);
  useEffect(() => {
    let isOver = false;
    desk.client.patient(desk.orgId, phone).then(
      (read) => {
        if (isOver) return;
        setPatient(read);
        setProblem(undefined);
      },
      () => isOver || setProblem("The server cannot be reached. Trying again."),
    );
    return () => {
      isOver = true;
    };
  }, [desk.appointments, phone]);
  if (!patient) return html`<${Notice} kind="bad" text=${problem} />`;
  const { name, provenAt, isBlocked, appointments, messages } = patient;
  const ask = (name: "staff_clear_lock" | "staff_block_number", args = {}) => () => {
    setSaid(undefined);
    void action.run(name, { p_phone: phone, ...args }, setSaid);
  };
  return html`
    <h3>${name ?? "Nobody with this number"} ${phoneLink(phone)}</h3>
    <p>${provenAt === null
      ? "No code has proven this number."
      : `A code proved this number on ${sayMoment(Date.parse(provenAt), desk.zone)}.`}${isBlocked &&
      " It is blocked: it cannot book by phone or leave messages."}</p>
    <p class="actions">
      <button type="button" class="main" onClick=${() =>
        onBook({ phone, ...(name === undefined ? {} : { name }) })}>Book</button>
      <button type="button" disabled=${action.isBusy} onClick=${ask(
        "staff_clear_lock",
      )}>Allow codes again</button>
      <button type="button" disabled=${action.isBusy} onClick=${ask("staff_block_number", {
        p_is_blocked: !isBlocked,
      })}>${isBlocked ? "Unblock" : "Block this number"}</button>
    </p>
    <${Notice} kind=${action.problem ? "bad" : "good"} text=${action.problem ?? said ?? problem} />
    <h3>Appointments</h3>
    ${appointments.length === 0 && html`<p>None.</p>`}
    <ul class="history">
      ${appointments.map((one) =>
        html`<li key=${one.id}>
        <button type="button" class=${`entry ${stateOf(one, desk.client.now())}`} onClick=${() =>
          onOpen(one)}>
          <b>${nameOf(one)}</b> <span>${describe(desk, one)}</span>
          <span class="state">${sayState(one, desk.client.now())}</span>
        </button></li>`
      )}
    </ul>
    ${messages.length > 0 && html`
      <h3>Messages</h3>
      <ul class="history">${messages.map((one) =>
        html`<li key=${one.id}>
        ${sayMoment(Date.parse(one.created_at), desk.zone)}, ${one.caller_name}
        <blockquote>${one.message}</blockquote></li>`
      )}</ul>
    `}
  `;
}
