/**
 * One appointment or hold: what it is, and what may be done with it.
 *
 * @module
 */
/// <reference lib="dom" />

import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { describe, phoneLink } from "./attention.ts";
import { Countdown } from "./calendar.ts";
import { dayOf } from "../../page/app/clinic_time.ts";
import { Dialog, Notice, type View } from "../../page/app/parts.ts";
import { type Appointment, mayAs } from "./rows.ts";
import { SlotPicker } from "./slot_picker.ts";
import { Texts } from "./texts.ts";
import { Trail } from "./trail.ts";
import { type Action, useAction } from "./use_action.ts";
import type { Desk } from "./use_desk.ts";
import { nameOf, sayState, type StaffFunction, type State, stateOf } from "./words.ts";

interface DialogProps {
  readonly desk: Desk;
  /** As it was when somebody opened it. */
  readonly appointment: Appointment;
  readonly onClose: () => void;
  readonly onDone: (sentence: string) => void;
  readonly onPatient: (phone: string) => void;
}

export function AppointmentDialog(
  { desk, appointment: opened, onClose, onDone, onPatient }: DialogProps,
): View {
  const current = useCurrent(desk, opened);
  const action = useAction(desk);
  const state = current === undefined ? undefined : stateOf(current, desk.client.now());
  const name = nameOf(current ?? opened);
  return html`
    <${Dialog} title=${name} onClose=${onClose}>
      <p>${describe(desk, current ?? opened)}</p>
      <p class="status" role="status">${current === undefined || state === undefined
        ? "It no longer exists."
        : html`<span class=${`badge ${state}`}>${sayState(current, desk.client.now())}</span>${
          current.status === "held" && html`
            <${Countdown} client=${desk.client} until=${current.expires_at} />
          `
        }`}</p>
      ${opened.patient_phone !== null && html`<p class="actions">${phoneLink(opened.patient_phone)}
        ${
        mayAs(desk.role, "desk") && html`
          <button type="button"
            onClick=${() => onPatient(opened.patient_phone ?? "")}>History</button>
        `
      }</p>`}
      <${Notice} kind="bad" text=${action.problem} />
      ${current !== undefined && state !== undefined && mayAs(desk.role, "desk") && html`
        <${Choices} desk=${desk} appointment=${current} state=${state} action=${action}
          onDone=${onDone} />
      `}
      ${mayAs(desk.role, "desk") && html`<${Texts} desk=${desk} appointmentId=${opened.id} />`}
      ${mayAs(desk.role, "manager") && html`<${Trail} desk=${desk} appointmentId=${opened.id} />`}
    <//>
  `;
}

/** The appointment as it is now: from what was read last, or read separately if it is not there. */
function useCurrent(desk: Desk, opened: Appointment): Appointment | undefined {
  const [own, setOwn] = useState<Appointment | undefined>(opened);
  const shown = [...desk.appointments, ...desk.attention.followUps, ...desk.attention.overlaps]
    .find(({ id }) => id === opened.id);
  useEffect(() => {
    if (shown) return;
    let isOver = false;
    desk.client.appointment(desk.orgId, opened.id)
      .then((read) => isOver || setOwn(read), () => {});
    return () => {
      isOver = true;
    };
  }, [desk.appointments, shown]);
  return shown ?? own;
}

/** A button: what it says, which function it asks, and with what. */
interface Choice {
  readonly label: string;
  readonly name: StaffFunction;
  readonly args?: Readonly<Record<string, string>>;
  /** What is asked before it is done, since it cannot be taken back. */
  readonly question?: string;
}

/** What fits the state of an appointment. It can be marked on its day, and ended after its start. */
function choicesFor(desk: Desk, one: Appointment, state: State): Choice[] {
  const now = desk.client.now();
  const today = dayOf(now, desk.zone);
  const isToday = dayOf(Date.parse(one.starts_at), desk.zone) <= today;
  const hasBegun = Date.parse(one.starts_at) <= now;
  const isOver = Date.parse(one.ends_at) <= now;
  const who = `${nameOf(one)}, ${describe(desk, one)}`;
  const mark = (label: string, p_as: string): Choice => ({
    label,
    name: "staff_mark",
    args: { p_as },
  });
  const cancel: Choice = {
    label: "Cancel appointment",
    name: "staff_cancel",
    question: `Cancel ${who}?`,
  };
  switch (state) {
    case "held":
      return [
        { label: "Confirm without a code", name: "staff_confirm" },
        {
          label: "Release the hold",
          name: "staff_cancel",
          question: `Release the hold of ${who}?`,
        },
      ];
    case "expired":
      return hasBegun ? [] : [{ label: "Confirm if still free", name: "staff_confirm" }];
    case "confirmed":
    case "arrived":
      return [
        ...(isToday && state === "confirmed" ? [mark("Arrived", "arrived")] : []),
        ...(hasBegun ? [mark("Completed", "completed"), mark("Did not come", "no_show")] : []),
        ...(state === "arrived" ? [mark("Take the mark back", "expected")] : []),
        ...(isOver ? [] : [cancel]),
      ];
    case "completed":
    case "no_show":
      return [mark("Take the mark back", "expected")];
    case "followup":
      return [
        ...(hasBegun ? [] : [{
          label: "Patient comes: confirm",
          name: "staff_resolve",
          args: { p_as: "confirmed" },
        }] as const),
        {
          label: "Close without a booking",
          name: "staff_resolve",
          args: { p_as: "cancelled" },
          question: `Close the request of ${who}?`,
        },
      ];
    case "cancelled":
      return [];
  }
}

const canMove = (desk: Desk, one: Appointment, state: State): boolean =>
  ["confirmed", "arrived", "followup"].includes(state) && one.patient_name !== null &&
  Date.parse(one.ends_at) > desk.client.now();

interface ChoicesProps {
  readonly desk: Desk;
  readonly appointment: Appointment;
  readonly state: State;
  readonly action: Action;
  readonly onDone: (sentence: string) => void;
}

function Choices({ desk, appointment, state, action, onDone }: ChoicesProps): View {
  const [asked, setAsked] = useState<Choice>();
  const [isMoving, setMoving] = useState(false);
  const choose = ({ name, args = {} }: Choice) => {
    setAsked(undefined);
    void action.run(
      name,
      { p_appointment: appointment.id, ...args },
      (sentence) => onDone(`${nameOf(appointment)}: ${sentence}`),
    );
  };
  const choices = choicesFor(desk, appointment, state);
  // Somebody else may have done something with it since a button was pressed.
  if (isMoving && canMove(desk, appointment, state)) {
    return html`
      <${Move} desk=${desk} appointment=${appointment} action=${action} onDone=${onDone}
        onBack=${() => setMoving(false)} />
    `;
  }
  if (asked && choices.some(({ label }) => label === asked.label)) {
    return html`
      <div class="question" role="group" aria-label=${asked.question}>
        <p>${asked.question}</p>
        <p class="actions">
          <button type="button" class="danger"
            onClick=${() => choose(asked)}>Yes, ${asked.label.toLowerCase()}</button>
          <button type="button" ref=${focusOnce}
            onClick=${() => setAsked(undefined)}>No, go back</button>
        </p>
      </div>
    `;
  }
  const press = (choice: Choice) =>
    choice.question === undefined ? choose(choice) : setAsked(choice);
  return html`
    <p class="actions">
      ${choices.map((choice) =>
        html`
          <button key=${choice.label} type="button" class=${choice.question ? "danger" : ""}
            disabled=${action.isBusy} onClick=${() => press(choice)}>${choice.label}</button>
        `
      )}
      ${canMove(desk, appointment, state) && html`
        <button type="button" disabled=${action.isBusy} onClick=${() => {
          action.refuse(undefined);
          setMoving(true);
        }}>Another time</button>
      `}
    </p>
  `;
}

const focusOnce = (element: HTMLElement | null) => element?.focus();

type MoveProps = Omit<ChoicesProps, "state"> & { readonly onBack: () => void };

function Move({ desk, appointment, action, onDone, onBack }: MoveProps): View {
  const service = desk.practice.services.find(({ id }) => id === appointment.service_id);
  const doctor = desk.practice.providers.find(({ id }) => id === appointment.provider_id);
  const [slot, setSlot] = useState<string>();
  const move = () =>
    slot === undefined ? action.refuse("Choose a time.") : void action.run(
      "staff_move",
      { p_appointment: appointment.id, p_slot_id: slot },
      (sentence) => onDone(`${nameOf(appointment)}: ${sentence}`),
    );
  return html`
    <div role="group" aria-label="Another time">
      <${SlotPicker} desk=${desk} service=${service?.slug} doctor=${doctor?.slug ?? ""}
        day=${dayOf(Math.max(Date.parse(appointment.starts_at), desk.client.now()), desk.zone)}
        refused=${action.answer} slot=${slot} onSlot=${setSlot} />
      <p class="actions">
        <button type="button" class="main" disabled=${action
          .isBusy} onClick=${move}>Move here</button>
        <button type="button" onClick=${onBack}>Back</button>
      </p>
    </div>
  `;
}
