/**
 * What happened to one appointment, from the audit log.
 *
 * @module
 */
/// <reference lib="dom" />

import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { sayAudit } from "./audit_words.ts";
import { sayMoment } from "../../page/app/clinic_time.ts";
import { type View } from "../../page/app/parts.ts";
import { type AuditRow, mayAs } from "./rows.ts";
import type { Desk } from "./use_desk.ts";

interface TrailProps {
  readonly desk: Desk;
  readonly appointmentId: string;
}

export function Trail({ desk, appointmentId }: TrailProps): View {
  const [isOpen, setOpen] = useState(false);
  const [rows, setRows] = useState<readonly AuditRow[]>();
  const [names, setNames] = useState<ReadonlyMap<string, string>>(new Map());
  const [problem, setProblem] = useState("");
  useEffect(() => {
    if (!isOpen) return;
    let isOver = false;
    desk.client.trail(desk.orgId, appointmentId).then(
      (read) => isOver || setRows(read),
      () => isOver || setProblem("The server cannot be reached."),
    );
    return () => {
      isOver = true;
    };
  }, [isOpen, desk.appointments, appointmentId]);
  useEffect(() => {
    // Only owners may know who the members are.
    if (!isOpen || !mayAs(desk.role, "owner")) return;
    desk.client.ask("staff_list_members", desk.orgId, {}).then(({ members = [] }) =>
      setNames(new Map(members.map(({ userId, email }) => [userId, email ?? "a member"])))
    );
  }, [isOpen]);
  const who = (user: string) =>
    user === desk.userId ? "You" : names.get(user) ?? "A member of staff";
  return html`
    <details onToggle=${(event: Event) =>
      event.currentTarget instanceof HTMLDetailsElement && setOpen(event.currentTarget.open)}>
      <summary>What happened</summary>
      <p role="status">${problem || (isOpen && rows === undefined ? "Reading" : "")}</p>
      <ol class="trail">
        ${rows?.map((row) =>
          html`<li key=${row.id}>
          <time datetime=${row.at}>${sayMoment(Date.parse(row.at), desk.zone)}</time>
          ${" "}${sayAudit(row, who)}
          ${
            row.call_id !== null && html`
              <span class="call">call ${row.call_id}</span>
            `
          }
        </li>`
        )}
      </ol>
      ${rows?.length === 0 && html`<p>Nothing is recorded any more.</p>`}
    </details>
  `;
}
