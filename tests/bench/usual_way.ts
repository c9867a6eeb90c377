/**
 * The four tools as they are usually written: one supabase-js query per step, with decisions in
 * TypeScript in between. Two callers can get the same time, as usual with this design.
 * @module
 */

import type { SupabaseClient } from "@supabase/supabase-js";
import { toHex, utf8 } from "../../shared/bytes.ts";
import { makePasscode } from "../../shared/passcodes.ts";
import { sendSms } from "../../shared/twilio.ts";
import type { Way } from "./ways.ts";

type Table<Row> = { Row: Row; Insert: Partial<Row>; Update: Partial<Row>; Relationships: [] };
type Named = { id: string; organization_id: string; slug: string };

/** The tables of `usual_way.sql`, in the form that supabase-js needs. */
export type UsualTables = {
  usual: {
    Tables: {
      organizations: Table<{ id: string; phone: string; name: string }>;
      credentials: Table<{ organization_id: string; account_sid: string; auth_token: string }>;
      services: Table<Named & { duration_min: number }>;
      providers: Table<Named>;
      working_hours: Table<{
        provider_id: string;
        organization_id: string;
        day_of_week: number;
        start_min: number;
        end_min: number;
      }>;
      appointments: Table<{
        id: string;
        organization_id: string;
        provider_id: string;
        service_id: string;
        patient_name: string;
        patient_phone: string;
        starts_at: string;
        ends_at: string;
        status: string;
      }>;
      codes: Table<{
        id: string;
        appointment_id: string;
        code_hash: string;
        attempts: number;
        sent_at: string;
        expires_at: string;
      }>;
    };
    Views: Record<string, never>;
    Functions: Record<string, never>;
  };
};

/** The options of the usual way. */
export interface UsualOptions {
  readonly db: SupabaseClient<UsualTables, "usual">;
  /** The clinic's called number, which also texts. */
  readonly number: string;
  readonly twilioUrl: string;
  /** Whether independent lookups run concurrently. */
  readonly isTogether: boolean;
  /** Whether the clinic is looked up once, with its Twilio account. */
  readonly isCached: boolean;
}

/** Runs the lookups of a request. */
type Run = <T>(work: () => PromiseLike<T>) => Promise<T>;

/** The tools of one clinic. */
export function usualWay(options: UsualOptions): Way["tools"] {
  const { db, number, twilioUrl, isTogether, isCached } = options;
  const opened = (): Run => isTogether ? atOnce : inTurn();
  const organizations = () => one(db.from("organizations").select().eq("phone", number).limit(1));
  const credentials = (id: string) =>
    one(db.from("credentials").select().eq("organization_id", id).limit(1));
  let clinic: ReturnType<typeof organizations> | undefined;
  let account: ReturnType<typeof credentials> | undefined;
  const findClinic = () => isCached ? clinic ??= organizations() : organizations();
  const findAccount = (id: string) => isCached ? account ??= credentials(id) : credentials(id);
  const findService = (id: string) =>
    one(db.from("services").select().eq("organization_id", id).eq("slug", "consultation"));
  const findHold = (id: string) => one(db.from("appointments").select().eq("id", id).limit(1));
  const findCode = (hold: string) =>
    one(db.from("codes").select().eq("appointment_id", hold).order("expires_at").limit(1));

  return {
    check_availability: async ({ date }) => {
      const run = opened();
      const { id } = await run(findClinic);
      const midnight = Date.parse(`${date}T00:00Z`);
      const [{ duration_min }, providers, hours, booked] = await Promise.all([
        run(() => findService(id)),
        run(() => all(db.from("providers").select().eq("organization_id", id))),
        run(() =>
          all(
            db.from("working_hours").select().eq("organization_id", id)
              .eq("day_of_week", new Date(midnight).getUTCDay()),
          )
        ),
        run(() =>
          all(
            db.from("appointments").select().eq("organization_id", id)
              .gte("starts_at", instant(midnight)).lt("starts_at", instant(midnight + dayMs)),
          )
        ),
      ]);
      const free = providers.flatMap((provider) => {
        const own = booked.filter(({ provider_id }) => provider_id === provider.id);
        return hours.filter(({ provider_id }) => provider_id === provider.id).flatMap((open) =>
          startsOf(open, midnight, duration_min * 60_000).filter((start) =>
            !own.some((row) => overlaps(row, start, start + duration_min * 60_000))
          )
        );
      });
      return { outcome: free.length > 0 ? "available" : "fully_booked" };
    },

    hold_slot: async (caller) => {
      const run = opened();
      const { id } = await run(findClinic);
      const starts_at = instant(Date.parse(`${caller.date}T${caller.time}Z`));
      const [service, provider, booked] = await Promise.all([
        run(() => findService(id)),
        run(() =>
          one(
            db.from("providers").select().eq("organization_id", id).eq("slug", caller.doctor),
          )
        ),
        run(() =>
          all(
            db.from("appointments").select().eq("organization_id", id).eq("starts_at", starts_at),
          )
        ),
      ]);
      if (booked.some(({ provider_id }) => provider_id === provider.id)) {
        return { outcome: "slot_taken" };
      }
      const row = {
        ...{ organization_id: id, provider_id: provider.id, service_id: service.id },
        ...{ patient_name: "Ada Brown", patient_phone: caller.phone, starts_at },
        ends_at: instant(Date.parse(starts_at) + service.duration_min * 60_000),
      };
      const hold = await run(() => one(db.from("appointments").insert(row).select()));
      return { outcome: "held", holdId: hold.id };
    },

    send_otp: async ({ holdId = "" }) => {
      const run = opened();
      const { id, name } = await run(findClinic);
      const [hold, account, codes] = await Promise.all([
        run(() => findHold(holdId)),
        run(() => findAccount(id)),
        run(() => all(db.from("codes").select().eq("appointment_id", holdId))),
      ]);
      if (codes.length > 2) return { outcome: "call_send_limit" };
      const code = makePasscode();
      const row = {
        ...{ appointment_id: holdId, code_hash: await hash(code) },
        expires_at: instant(Date.now() + 300_000),
      };
      const stored = await run(() => one(db.from("codes").insert(row).select()));
      const sms = await sendSms(
        {
          accountSid: account.account_sid,
          authToken: account.auth_token,
          sender: { from: number },
        },
        {
          ...{ to: hold.patient_phone, body: `${code} is your ${name} code`, validitySeconds: 300 },
          statusCallback: "https://clinic.test/sms-status",
        },
        { apiBase: twilioUrl, timeoutMs: 40_000 },
      );
      if (sms.kind === "failed") return { outcome: sms.failure };
      const sent_at = instant(Date.now());
      await run(() => one(db.from("codes").update({ sent_at }).eq("id", stored.id).select()));
      return { outcome: "sent" };
    },

    verify_otp: async ({ holdId = "", code = "" }) => {
      const run = opened();
      await run(findClinic);
      const [hold, stored] = await Promise.all([
        run(() => findHold(holdId)),
        run(() => findCode(holdId)),
      ]);
      if (stored.code_hash !== await hash(code)) {
        const attempts = stored.attempts + 1;
        await run(() => one(db.from("codes").update({ attempts }).eq("id", stored.id).select()));
        return { outcome: "wrong_code" };
      }
      const status = "confirmed";
      await run(() => one(db.from("appointments").update({ status }).eq("id", hold.id).select()));
      return { outcome: status };
    },
  };
}

const dayMs = 86_400_000;
const instant = (ms: number) => new Date(ms).toISOString();

function startsOf(
  { start_min, end_min }: { readonly start_min: number; readonly end_min: number },
  midnight: number,
  durationMs: number,
): number[] {
  const first = midnight + start_min * 60_000;
  const count = Math.floor((end_min - start_min) * 60_000 / durationMs);
  return Array.from({ length: count }, (_, index) => first + index * durationMs);
}

const overlaps = (
  { starts_at, ends_at }: { readonly starts_at: string; readonly ends_at: string },
  start: number,
  end: number,
) => Date.parse(starts_at) < end && start < Date.parse(ends_at);

const hash = async (text: string) =>
  toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", utf8(text))));

const atOnce: Run = async (work) => await work();

/** Runs lookups one after another. */
function inTurn(): Run {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const next = last.then(work);
    last = next;
    return next;
  };
}

interface Answered<Row> {
  readonly data: Row[] | null;
  readonly error: { readonly message: string } | null;
}

async function all<Row>(query: PromiseLike<Answered<Row>>): Promise<Row[]> {
  const { data, error } = await query;
  if (error) throw new Error(`Cannot query: ${error.message}`);
  return data ?? [];
}

async function one<Row>(query: PromiseLike<Answered<Row>>): Promise<Row> {
  const [row] = await all(query);
  if (row === undefined) throw new Error("Cannot query: there is no such row");
  return row;
}

/** Creates a clinic with this many doctors, as `aClinic` does. */
export async function settleUsually(
  db: SupabaseClient<UsualTables, "usual">,
  number: string,
  doctors: number,
): Promise<void> {
  const { id } = await one(
    db.from("organizations").insert({ phone: number, name: "Sunrise Dental" }).select(),
  );
  const account = { account_sid: `AC${id.replaceAll("-", "")}`, auth_token: "token-of-the-clinic" };
  await one(db.from("credentials").insert({ organization_id: id, ...account }).select());
  await one(
    db.from("services")
      .insert({ organization_id: id, slug: "consultation", duration_min: 30 }).select(),
  );
  const slugs = Array.from({ length: doctors }, (_, index) => `doctor-${index + 1}`);
  const providers = await all(
    db.from("providers").insert(slugs.map((slug) => ({ organization_id: id, slug }))).select(),
  );
  const days = [0, 1, 2, 3, 4, 5, 6];
  await all(
    db.from("working_hours").insert(providers.flatMap((provider) =>
      days.map((day_of_week) => ({
        ...{ provider_id: provider.id, organization_id: id, day_of_week },
        ...{ start_min: 0, end_min: 1380 },
      }))
    )).select(),
  );
}
