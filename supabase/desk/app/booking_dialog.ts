/**
 * Books for a patient at the desk.
 *
 * @module
 */
/// <reference lib="dom" />

import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { type Day, dayOf, sayMoment } from "../../page/app/clinic_time.ts";
import { Dialog, field, Notice, onSubmit, onTick, type View } from "../../page/app/parts.ts";
import { readPhone } from "./phone.ts";
import { SlotPicker } from "./slot_picker.ts";
import { useAction } from "./use_action.ts";
import type { Desk } from "./use_desk.ts";

/** What is known of a booking before the form is filled in. */
export interface Wish {
  readonly day?: Day;
  /** A doctor's slug. */
  readonly doctor?: string;
  readonly name?: string;
  readonly phone?: string;
}

interface BookingProps {
  readonly desk: Desk;
  readonly wish: Wish;
  readonly onClose: () => void;
  readonly onDone: (sentence: string) => void;
}

export function BookingDialog({ desk, wish, onClose, onDone }: BookingProps): View {
  const action = useAction(desk);
  const [slot, setSlot] = useState<string>();
  const [wantsTexts, setWantsTexts] = useState(false);
  const today = dayOf(desk.client.now(), desk.zone);
  const day = wish.day !== undefined && wish.day > today ? wish.day : today;
  const book = (form: HTMLFormElement) => {
    const name = field(form, "name");
    const written = field(form, "phone");
    const phone = written === ""
      ? undefined
      : readPhone(written, desk.practice.clinic.default_country);
    if (slot === undefined) return action.refuse("Choose a time.");
    if (written !== "" && phone === undefined) {
      return action.refuse("That is not a complete phone number.");
    }
    return action.run("staff_book", {
      p_slot_id: slot,
      p_patient_name: name,
      p_patient_phone: phone?.number ?? null,
      p_patient_country: phone?.country ?? null,
      p_texts: phone !== undefined && wantsTexts,
    }, (sentence, { startTime, doctor }) => {
      const what = startTime !== undefined && doctor !== undefined
        ? ` ${sayMoment(Date.parse(startTime), desk.zone)} with ${doctor}.`
        : "";
      onDone(`${name}: ${sentence}${what}`);
    });
  };
  return html`
    <${Dialog} title="Book" onClose=${onClose}>
      <form onSubmit=${onSubmit(book)}>
        <${SlotPicker} desk=${desk} service=${undefined} doctor=${wish.doctor ?? ""} day=${day}
          refused=${action.answer} slot=${slot} onSlot=${setSlot} />
        <div class="fields">
          <label>Patient's name
            <input name="name" required maxlength="120" autocomplete="off" defaultValue=${wish
              .name ?? ""} />
          </label>
          <label>Phone, if the patient has one
            <input name="phone" type="tel" autocomplete="off" defaultValue=${wish.phone ?? ""} />
          </label>
        </div>
        <label class="choice">
          <input type="checkbox" checked=${wantsTexts} onChange=${onTick(setWantsTexts)} />
          The patient wants texts about appointments at this number
        </label>
        <${Notice} kind="bad" text=${action.problem} />
        <p class="actions">
          <button type="submit" class="main" disabled=${action.isBusy}>Book this time</button>
        </p>
      </form>
      <//>
  `;
}
