/**
 * The clinic's data, read and changed with the member's own token: row level security and the functions
 * for staff decide what is seen and done.
 *
 * @module
 */
/// <reference lib="dom" />

import type { Session, SupabaseClient } from "@supabase/supabase-js";
import { addDays, type Day, type Moment, momentOf } from "../../page/app/clinic_time.ts";
import type { Schedule } from "./day_layout.ts";
import { hashHex } from "./hash.ts";
import {
  type Alarm,
  type Appointment,
  appointmentColumns,
  type AppointmentText,
  type AuditRow,
  type Clinic,
  type DayRow,
  type FailedText,
  type HoursRow,
  isTextKind,
  mayAs,
  type Membership,
  type Message,
  type Provider,
  readAbsence,
  readClosedDays,
  readDayHours,
  readHours,
  type Role,
  type Service,
  type TimeOffRow,
} from "./rows.ts";
import type { Answer, StaffFunction } from "./words.ts";

/** supabase-js's browser build, which the page loads as a script. */
declare const supabase: {
  createClient(url: string, key: string, options: object): SupabaseClient;
};

/** What of a clinic changes rarely. */
export interface Practice {
  readonly clinic: Clinic;
  readonly providers: readonly Provider[];
  readonly services: readonly Service[];
  readonly schedule: Schedule;
}

/** A text that did not arrive, with the appointment it was about, if any. */
export interface Undelivered extends FailedText {
  readonly appointment: Appointment | undefined;
}

/** A text about an appointment, and what Twilio reported about its newest attempt. */
export interface SentText extends AppointmentText {
  readonly delivery: string | null;
  readonly errorCode: number | null;
}

/** What needs a person. */
export interface Attention {
  readonly followUps: readonly Appointment[];
  /** Bookings during which the doctor's own calendar has become busy. */
  readonly overlaps: readonly Appointment[];
  readonly messages: readonly Message[];
  readonly texts: readonly Undelivered[];
  readonly alarms: readonly Alarm[];
}

/** What is known of a number at the clinic. */
export interface Patient {
  readonly name: string | undefined;
  readonly provenAt: string | null;
  readonly isBlocked: boolean;
  readonly appointments: readonly Appointment[];
  readonly messages: readonly Message[];
}

/** The server refused to show something, or could not be reached. */
class ReadError extends Error {}

/** How often an action is sent, with one request id, while it is busy or nothing is heard. */
const attempts = 4;
const pauseMs = 250;
/** The API's most rows in an answer. */
const pageRows = 1000;
/** After which failed texts and alarms are not shown any more, if nobody has dealt with them. */
const recentMs = 7 * 24 * 3_600_000;

/** How many ids fit into the address of a request. */
const idsAtOnce = 100;

const nothingToDo: Attention = { followUps: [], overlaps: [], messages: [], texts: [], alarms: [] };

/** Whether a text that did not arrive still concerns somebody. */
function stillMatters({ origin, appointment }: Undelivered, now: Moment): boolean {
  if (!isTextKind(origin)) {
    return appointment === undefined || ["held", "expired"].includes(appointment.status);
  }
  return appointment?.status === (origin === "cancellation" ? "cancelled" : "confirmed") &&
    Date.parse(appointment.starts_at) > now;
}

interface Rows<Row> {
  readonly data: Row[] | null;
  readonly error: { readonly message: string } | null;
}

interface Pages<Row> {
  range(from: number, to: number): PromiseLike<Rows<Row>>;
}

async function rowsOf<Row>(query: PromiseLike<Rows<Row>>): Promise<readonly Row[]> {
  const { data, error } = await query;
  if (error || !data) throw new ReadError(error?.message ?? "the answer was empty");
  return data;
}

/** Every row of a query that has an order, page by page. */
async function allRows<Row>(query: () => Pages<Row>): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (;;) {
    const page = await rowsOf(query().range(rows.length, rows.length + pageRows - 1));
    rows.push(...page);
    if (page.length < pageRows) return rows;
  }
}

/** One browser's connection to a project. */
export class Client {
  readonly #url: string;
  readonly #supabase: SupabaseClient;
  #skewMs = 0;

  constructor(url: string, key: string) {
    this.#url = url;
    this.#supabase = supabase.createClient(url, key, {
      // Whoever closes the tab is signed out, since desks are shared.
      auth: { storage: sessionStorage, detectSessionInUrl: false },
      global: { fetch: (input: RequestInfo, init?: RequestInit) => this.#fetch(input, init) },
    });
  }

  /** The server's time: the clock of a desk's computer may be wrong. */
  now(): Moment {
    return Date.now() + this.#skewMs;
  }

  async #fetch(input: RequestInfo, init?: RequestInit): Promise<Response> {
    const sentAt = Date.now();
    const response = await fetch(input, init);
    const date = Date.parse(response.headers.get("date") ?? "");
    // The header has whole seconds.
    const skewMs = date + 500 - (sentAt + Date.now()) / 2;
    if (!Number.isNaN(skewMs)) this.#skewMs = Math.abs(skewMs) < 2000 ? 0 : skewMs;
    return response;
  }

  /** The address of a calendar that is given out with a token. */
  calendarAddress(token: string): string {
    return `${this.#url}/functions/v1/calendar?token=${token}`;
  }

  /** Tells the session, now and whenever one begins or ends. */
  onSession(hear: (session: Session | null) => void): void {
    this.#supabase.auth.onAuthStateChange((_, session) => hear(session));
  }

  /** @returns What to tell the person when it did not work */
  async signIn(email: string, password: string): Promise<string | undefined> {
    const { error } = await this.#supabase.auth.signInWithPassword({ email, password });
    if (!error) return undefined;
    switch (error.code) {
      case "invalid_credentials":
      case "validation_failed":
        return "The e-mail address or the password is wrong.";
      case "email_not_confirmed":
        return "This e-mail address has not been confirmed yet.";
      case "user_banned":
        return "This account is blocked.";
      case "over_request_rate_limit":
        return "Too many attempts. Wait a minute, then try again.";
      default:
        return "The server cannot be reached. Try again.";
    }
  }

  /** Forgets the session in this browser even if the server does not answer. */
  async signOut(): Promise<void> {
    await this.#supabase.auth.signOut({ scope: "local" });
  }

  memberships(userId: string): Promise<readonly Membership[]> {
    return rowsOf<Membership>(
      this.#supabase.from("org_members").select("org_id,role").eq("user_id", userId)
        .order("org_id"),
    );
  }

  clinics(): Promise<readonly Clinic[]> {
    return rowsOf<Clinic>(
      this.#supabase.from("organizations")
        .select("id,name,timezone,default_country,closing_days").order("name"),
    );
  }

  async practice(orgId: string): Promise<Practice> {
    const all = <Row>(table: string, columns: string, order = "id") =>
      allRows<Row>(() =>
        this.#supabase.from(table).select<string, Row>(columns).eq("org_id", orgId).order(order)
      );
    const [clinics, providers, services, weekly, days, absences] = await Promise.all([
      this.clinics(),
      all<Provider>("providers", "id,slug,name,active", "name"),
      all<Service>("services", "id,slug,name,duration_min,capacity,active", "name"),
      all<HoursRow>("working_hours", "provider_id,dow,start_min,end_min,valid"),
      all<DayRow>("working_hours_overrides", "provider_id,day,start_min,end_min"),
      all<TimeOffRow>("time_off", "id,provider_id,span"),
    ]);
    const clinic = clinics.find(({ id }) => id === orgId);
    if (!clinic) throw new ReadError("the clinic is gone");
    return {
      clinic,
      providers,
      services,
      schedule: {
        zone: clinic.timezone,
        weekly: weekly.map(readHours),
        days: days.map(readDayHours),
        absences: absences.map(readAbsence),
        closed: readClosedDays(clinic.closing_days),
      },
    };
  }

  /** What takes time from one local day to another, both included. */
  appointments({ id, timezone }: Clinic, first: Day, last: Day): Promise<readonly Appointment[]> {
    const from = (day: Day) => new Date(momentOf(day, 0, timezone)).toISOString();
    return allRows<Appointment>(() =>
      this.#appointments(id)
        .in("status", ["held", "confirmed", "completed", "no_show"])
        // An appointment lasts a day at most.
        .gte("starts_at", from(addDays(first, -1)))
        .lt("starts_at", from(addDays(last, 1)))
        .gt("ends_at", from(first))
        .order("starts_at").order("id")
    );
  }

  #appointments(orgId: string) {
    return this.#supabase.from("appointments").select<string, Appointment>(appointmentColumns).eq(
      "org_id",
      orgId,
    );
  }

  /** One appointment as it is now, whatever its state; undefined when it is gone. */
  async appointment(orgId: string, id: string): Promise<Appointment | undefined> {
    const [found] = await this.#appointmentsOf(orgId, [id]);
    return found;
  }

  #appointmentsOf(orgId: string, ids: readonly string[]): Promise<readonly Appointment[]> {
    return allRows<Appointment>(() => this.#appointments(orgId).in("id", ids).order("id"));
  }

  async attention(orgId: string, role: Role): Promise<Attention> {
    if (!mayAs(role, "desk")) return nothingToDo;
    const since = new Date(this.now() - recentMs).toISOString();
    const texts = () =>
      this.#supabase.from("sms_messages")
        .select("id,appointment_id,origin,to_masked,status,delivery,error_code,created_at")
        .eq("org_id", orgId).gte("created_at", since).is("handled_at", null);
    const [kept, givenUp, overlaps, messages, undelivered, refused, lost, alarms] = await Promise
      .all([
        allRows<Appointment>(() =>
          this.#appointments(orgId).eq("status", "held").not("handed_over_at", "is", null)
            .order("starts_at").order("id")
        ),
        allRows<Appointment>(() =>
          this.#appointments(orgId).eq("status", "requires_manual_followup")
            .order("starts_at").order("id")
        ),
        this.#overlaps(orgId),
        allRows<Message>(() => this.#messages(orgId).is("handled_at", null).order("created_at")),
        allRows<FailedText>(() =>
          texts().in("delivery", ["failed", "undelivered"]).order("created_at")
        ),
        allRows<FailedText>(() => texts().eq("status", "refused").order("created_at")),
        allRows<{ send_id: string | null }>(() =>
          this.#supabase.from("appointment_texts").select("send_id").eq("org_id", orgId)
            .in("state", ["failed", "unknown"]).gte("updated_at", since).order("id")
        ),
        allRows<Alarm>(() =>
          this.#supabase.from("alarms").select("id,kind,raised_at,first_at,events")
            .eq("org_id", orgId).gte("raised_at", since).is("handled_at", null).order("raised_at")
        ),
      ]);
    const sends = lost.flatMap(({ send_id }) => send_id ?? []).slice(0, idsAtOnce);
    const given = sends.length === 0
      ? []
      : await allRows<FailedText>(() => texts().in("id", sends).order("created_at"));
    // An attempt of a text about an appointment that was refused may have been followed by a better one.
    const codes = refused.filter(({ origin }) => !isTextKind(origin));
    const failed = [...undelivered, ...codes, ...given];
    return {
      ...{ followUps: [...kept, ...givenUp], overlaps, messages, alarms },
      texts: await this.#withAppointments(orgId, failed),
    };
  }

  async #overlaps(orgId: string): Promise<readonly Appointment[]> {
    const rows = await allRows<{ appointment_id: string }>(() =>
      this.#supabase.from("calendar_overlaps").select("appointment_id").eq("org_id", orgId)
        .order("starts_at").order("appointment_id")
    );
    const ids = rows.map(({ appointment_id }) => appointment_id).slice(0, idsAtOnce);
    return ids.length === 0 ? [] : await this.#appointmentsOf(orgId, ids);
  }

  /** The texts about an appointment, the oldest first. */
  async textsAbout(orgId: string, appointmentId: string): Promise<readonly SentText[]> {
    const [texts, sends] = await Promise.all([
      allRows<AppointmentText>(() =>
        this.#supabase.from("appointment_texts")
          .select<string, AppointmentText>("id,kind,state,reason,due_at,updated_at,send_id")
          .eq("org_id", orgId).eq("appointment_id", appointmentId).order("created_at").order("id")
      ),
      allRows<{ id: string; delivery: string | null; error_code: number | null }>(() =>
        this.#supabase.from("sms_messages").select("id,delivery,error_code")
          .eq("org_id", orgId).eq("appointment_id", appointmentId).order("id")
      ),
    ]);
    return texts.map((text) => {
      const send = sends.find(({ id }) => id === text.send_id);
      return { ...text, delivery: send?.delivery ?? null, errorCode: send?.error_code ?? null };
    });
  }

  #messages(orgId: string) {
    return this.#supabase.from("desk_messages")
      .select<string, Message>("id,caller_name,phone,wished_time,message,created_at").eq(
        "org_id",
        orgId,
      );
  }

  /** Those that still matter: not where the appointment has changed or begun in the meantime. */
  async #withAppointments(
    orgId: string,
    texts: readonly FailedText[],
  ): Promise<readonly Undelivered[]> {
    const ids = [...new Set(texts.flatMap(({ appointment_id }) => appointment_id ?? []))];
    if (texts.length === 0) return [];
    const known = ids.length === 0
      ? []
      : await this.#appointmentsOf(orgId, ids.slice(0, idsAtOnce));
    return texts
      .map((text) => ({
        ...text,
        appointment: known.find(({ id }) => id === text.appointment_id),
      }))
      .filter((text) => stillMatters(text, this.now()));
  }

  /** Everything of a number. @param phone E.164 */
  async patient(orgId: string, phone: string): Promise<Patient> {
    // The database keeps only the hash of a blocked number.
    const hash = await hashHex(phone);
    const [contacts, appointments, messages, blocked] = await Promise.all([
      rowsOf<{ name: string; proven_at: string | null }>(
        this.#supabase.from("contacts").select("name,proven_at").eq("org_id", orgId)
          .eq("phone", phone),
      ),
      allRows<Appointment>(() =>
        this.#appointments(orgId).eq("patient_phone", phone)
          .order("starts_at", { ascending: false }).order("id")
      ),
      allRows<Message>(() =>
        this.#messages(orgId).eq("phone", phone).order("created_at", { ascending: false })
      ),
      rowsOf<{ blocked_at: string }>(
        this.#supabase.from("blocked_numbers").select("blocked_at").eq("org_id", orgId)
          .eq("phone_hash", `\\x${hash}`),
      ),
    ]);
    const [contact] = contacts;
    return {
      name: contact?.name ?? appointments[0]?.patient_name ?? undefined,
      provenAt: contact?.proven_at ?? null,
      isBlocked: blocked.length > 0,
      appointments,
      messages,
    };
  }

  /** What the audit log has about an appointment, the oldest first. */
  trail(orgId: string, appointmentId: string): Promise<readonly AuditRow[]> {
    return allRows<AuditRow>(() =>
      this.#supabase.from("audit_logs")
        .select("id,at,actor,call_id,caller_masked,staff_user,action,outcome,details")
        .eq("org_id", orgId).eq("subject_id", appointmentId).order("at").order("id")
    );
  }

  /**
   * Asks one of the functions for staff. A request that changes something has an id, and is sent again
   * with it while the answer is `busy` or does not arrive: it takes effect once.
   *
   * @returns Its answer; `unreachable` or `refused` when there is none.
   */
  async ask(
    name: StaffFunction,
    orgId: string,
    args: Readonly<Record<string, unknown>>,
    request: string | undefined = crypto.randomUUID(),
  ): Promise<Answer> {
    const isRead = /^staff_(find|list)_/.test(name);
    const given = { p_org: orgId, ...(isRead ? {} : { p_request: request }), ...args };
    let answer: Answer = { outcome: "unreachable" };
    for (let attempt = 1; attempt <= attempts; attempt++) {
      if (attempt > 1) await new Promise((resolve) => setTimeout(resolve, attempt * pauseMs));
      const { data, error, status } = await this.#supabase.rpc(name, given);
      if (!error) answer = data;
      else answer = { outcome: status >= 400 && status < 500 ? "refused" : "unreachable" };
      if (!["busy", "unreachable"].includes(answer.outcome)) break;
    }
    return answer;
  }
}
