/**
 * Who belongs to the clinic, and as what: owners change it.
 *
 * @module
 */
/// <reference lib="dom" />

import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { Notice, onValue, type View } from "../../page/app/parts.ts";
import { roles } from "./rows.ts";
import { useAction } from "./use_action.ts";
import type { Desk } from "./use_desk.ts";
import { useList } from "./use_list.ts";
import { type Member, roleWords } from "./words.ts";

export function MembersView({ desk }: { readonly desk: Desk }): View {
  const { list, problem } = useList(desk, "staff_list_members");
  const [said, setSaid] = useState("");
  const [asked, setAsked] = useState<string>();
  const action = useAction(desk);
  const change = ({ userId, email }: Member, p_role: string | null) => {
    setSaid("");
    setAsked(undefined);
    void action.run(
      "staff_change_member",
      { p_user: userId, p_role },
      (sentence) => setSaid(`${email ?? "A member"}: ${sentence}`),
    );
  };
  return html`
    <section aria-labelledby="members-title" class="settings">
      <h2 id="members-title">Members</h2>
      <p>An operator adds members: deno task member add. Viewers see the calendar; the front desk also
        books and sees patients; managers also change hours and calendars; owners also change members.</p>
      <${Notice} kind=${action.problem ?? problem ? "bad" : "good"}
        text=${action.problem ?? problem ?? said} />
      <ul>${list?.members?.map((member) =>
        html`
          <li key=${member.userId}>
            <b>${member.email ?? "no e-mail address"}</b>${member.userId === desk.userId
              ? " (you)"
              : ""}
            <label><span class="hidden">Role of ${member.email}</span>
              <select value=${member.role} disabled=${action.isBusy}
                onChange=${onValue((role) => change(member, role))}>
                ${roles.map((role) =>
                  html`
                    <option key=${role} value=${role}
                      selected=${role === member.role}>${roleWords[role]}</option>
                  `
                )}
              </select></label>
            ${asked === member.userId
              ? html`
                <span class="question" role="group"
                  aria-label=${`Remove ${member.email}?`}>Remove ${member.email}?
                  <button type="button" class="danger"
                    onClick=${() => change(member, null)}>Yes, remove</button>
                  <button type="button" ref=${focusOnce} onClick=${() =>
                    setAsked(undefined)}>No, keep</button>
                </span>
              `
              : html`
                <button type="button" class="danger" disabled=${action.isBusy}
                  onClick=${() => setAsked(member.userId)}>Remove<span class="hidden"> ${member
                    .email}</span></button>
              `}
          </li>
        `
      )}</ul>
    </section>
  `;
}

const focusOnce = (element: HTMLElement | null) => element?.focus();
