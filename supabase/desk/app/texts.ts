/**
 * The texts about one appointment, and what became of each.
 *
 * @module
 */
/// <reference lib="dom" />

import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { sayMoment } from "../../page/app/clinic_time.ts";
import type { View } from "../../page/app/parts.ts";
import type { SentText } from "./client.ts";
import type { Desk } from "./use_desk.ts";
import { sayText } from "./words.ts";

interface TextsProps {
  readonly desk: Desk;
  readonly appointmentId: string;
}

export function Texts({ desk, appointmentId }: TextsProps): View {
  const [texts, setTexts] = useState<readonly SentText[]>([]);
  useEffect(() => {
    let isOver = false;
    desk.client.textsAbout(desk.orgId, appointmentId)
      .then((read) => isOver || setTexts(read), () => {});
    return () => {
      isOver = true;
    };
  }, [desk.appointments, appointmentId]);
  if (texts.length === 0) return null;
  const say = (at: string) => sayMoment(Date.parse(at), desk.zone);
  return html`
    <h3>Texts to the patient</h3>
    <ul>${texts.map((one) => html`<li key=${one.id}>${sayText(one, say)}</li>`)}</ul>
  `;
}
