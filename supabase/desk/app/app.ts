/**
 * The front desk's page: sign in, then the clinic's calendar, its patients and its hours.
 *
 * @module
 */
/// <reference lib="dom" />

import type { Session } from "@supabase/supabase-js";
import { html } from "htm/preact";
import { render } from "preact";
import { useCallback, useEffect, useState } from "preact/hooks";
import { AppointmentDialog } from "./appointment_dialog.ts";
import { AttentionList, countItems } from "./attention.ts";
import { BookingDialog, type Wish } from "./booking_dialog.ts";
import { Calendar, type Shown } from "./calendar.ts";
import { CalendarLinks } from "./calendar_links.ts";
import { Client } from "./client.ts";
import { addDays, dayOf, mondayOf, sayTime } from "../../page/app/clinic_time.ts";
import { dropStrayClicks } from "../../page/app/double_click.ts";
import { HoursView } from "./hours.ts";
import { Notice, onValue, type View } from "../../page/app/parts.ts";
import { MembersView } from "./members.ts";
import { PatientView } from "./patient.ts";
import { type Appointment, mayAs, type Role } from "./rows.ts";
import { SignIn } from "./sign_in.ts";
import { type Desk, useDesk } from "./use_desk.ts";
import { roleWords } from "./words.ts";

type Open =
  | { readonly kind: "appointment"; readonly appointment: Appointment }
  | { readonly kind: "booking"; readonly wish: Wish };

type Tab = "calendar" | "patient" | "hours" | "links" | "members";

function App({ client }: { readonly client: Client }): View {
  const [session, setSession] = useState<Session | null>();
  useEffect(() => client.onSession(setSession), []);
  if (session === undefined) return null;
  if (session === null) return html`<${SignIn} client=${client} />`;
  // Another account starts from scratch.
  return html`
    <${Page} key=${session.user.id} client=${client} userId=${session.user.id}
      email=${session.user.email ?? ""} />
  `;
}

interface PageProps {
  readonly client: Client;
  readonly userId: string;
  readonly email: string;
}

function Page({ client, userId, email }: PageProps): View {
  const [chosen, setChosen] = useState<string>();
  const [shown, setShown] = useState<Shown>({ day: undefined, span: "day", doctor: "" });
  const rangeOf = useCallback((zone: string) => {
    const day = shown.day ?? dayOf(client.now(), zone);
    const first = shown.span === "day" ? day : mondayOf(day);
    return { first, last: shown.span === "day" ? day : addDays(first, 6) };
  }, [shown]);
  const { loaded, staleSince } = useDesk(client, userId, chosen, rangeOf);
  switch (loaded.kind) {
    case "loading":
      return html`
        <main tabindex="-1">
          <p role="status">${staleSince === undefined
            ? "Loading"
            : "The server cannot be reached. Trying again."}</p>
        </main>
      `;
    case "no_clinic":
      return html`
        <main class="sign-in" tabindex="-1">
          <h1>Front desk</h1>
          <p
            role="status">${email} is not a member of a clinic, or no longer. An operator adds members.</p>
          <button type="button" onClick=${() => client.signOut()}>Sign out</button>
        </main>
      `;
    case "ready": {
      const { desk } = loaded;
      const stale = staleSince === undefined
        ? ""
        : `Not up to date: the server has not answered since ${sayTime(staleSince, desk.zone)}.`;
      return html`
        <header class="top">
          <h1>${desk.practice.clinic.name}</h1>
          ${desk.clinics.length > 1 && html`
            <label>Clinic <select value=${desk.orgId} onChange=${onValue(setChosen)}>
              ${desk.clinics.map(({ id, name }) => html`<option value=${id}>${name}</option>`)}
            </select></label>
          `}
          <p class="account">${email} (${roleWords[desk.role]})
            <button type="button" class="quiet" onClick=${() => client.signOut()}>Sign out</button>
          </p>
        </header>
        <${Notice} kind=${stale ? "bad" : ""} text=${stale} />
        <${ClinicView} key=${desk.orgId} desk=${desk} shown=${shown} onShow=${setShown} />
      `;
    }
  }
}

interface ClinicProps {
  readonly desk: Desk;
  readonly shown: Shown;
  readonly onShow: (shown: Shown) => void;
}

const tabs: Readonly<Record<Tab, string>> = {
  calendar: "Calendar",
  patient: "Patients",
  hours: "Hours and days off",
  links: "Calendar links",
  members: "Members",
};

/** The lowest role that sees them. */
const tabRoles: Readonly<Record<Tab, Role>> = {
  calendar: "viewer",
  patient: "desk",
  hours: "viewer",
  links: "manager",
  members: "owner",
};
const tabOrder = ["calendar", "patient", "hours", "links", "members"] as const;

function ClinicView({ desk, shown, onShow }: ClinicProps): View {
  const [tab, setTab] = useState<Tab>("calendar");
  const [phone, setPhone] = useState("");
  const [open, setOpen] = useState<Open>();
  const [said, setSaid] = useState("");
  const { clinic } = desk.practice;
  const waiting = countItems(desk.attention);
  useEffect(() => {
    document.title = `${waiting > 0 ? `(${waiting}) ` : ""}${clinic.name}, front desk`;
  }, [waiting, clinic.name]);
  const close = () => setOpen(undefined);
  const done = (sentence: string) => {
    close();
    setSaid(sentence);
  };
  const book = (wish: Wish) => {
    setSaid("");
    setOpen({ kind: "booking", wish });
  };
  const look = (appointment: Appointment) => {
    setSaid("");
    setOpen({ kind: "appointment", appointment });
  };
  const showPatient = (number: string) => {
    close();
    setPhone(number);
    setTab("patient");
  };
  const names = tabOrder.filter((name) => mayAs(desk.role, tabRoles[name]));
  return html`
    <nav aria-label="Views">
      ${names.map((name) =>
        html`
          <button type="button" aria-current=${tab === name ? "page" : undefined}
            onClick=${() => setTab(name)}>${tabs[name]}</button>
        `
      )}
    </nav>
    <${Notice} kind="good" text=${said} />
    <main tabindex="-1">
      ${tab === "calendar" && mayAs(desk.role, "desk") && html`
        <${AttentionList} desk=${desk} onOpen=${look} onBook=${book} onSaid=${setSaid}
          onPatient=${showPatient} />
      `}
      ${tab === "calendar" && html`
        <${Calendar} desk=${desk} shown=${shown} onShow=${onShow} onOpen=${look}
          onBook=${book} />
      `}
      ${tab === "patient" && html`
        <${PatientView} desk=${desk} phone=${phone} onOpen=${look} onBook=${book} />
      `}
      ${tab === "hours" && html`<${HoursView} desk=${desk} />`}
      ${tab === "links" && html`<${CalendarLinks} desk=${desk} />`}
      ${tab === "members" && html`<${MembersView} desk=${desk} />`}
    </main>
    ${open?.kind === "appointment" && html`
      <${AppointmentDialog} key=${open.appointment.id} desk=${desk} appointment=${open.appointment}
        onClose=${close} onDone=${done} onPatient=${showPatient} />
    `}
    ${open?.kind === "booking" && html`
      <${BookingDialog} desk=${desk} wish=${open.wish} onClose=${close} onDone=${done} />
    `}
  `;
}

dropStrayClicks(document);
const root = document.getElementById("page");
if (root) {
  const { url, key = "" } = root.dataset;
  render(html`<${App} client=${new Client(url || location.origin, key)} />`, root);
}
