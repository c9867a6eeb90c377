/**
 * The database, through supabase-js: one typed call for each SQL function, each with a deadline.
 *
 * supabase-js is loaded by the first call (its 40 ms are no part of an import) and one client
 * serves the isolate. Every answer is checked against what the SQL promises.
 *
 * @module
 */

import type { SupabaseClient } from "@supabase/supabase-js";
import { z } from "zod";
import type { Config } from "./config.ts";
import { type Budget, DeadlineExceeded, withDeadline } from "./deadline.ts";
import { Fault } from "./errors.ts";
import type { Envelope } from "./vapi.ts";

/** Longest wait for one database call, in milliseconds; the request's budget may be shorter. */
const callTimeoutMs = 2500;

/** What every entry function is told about the call, and what the model claims about it. */
export interface CallFacts extends Envelope {
  readonly toolCallId: string;
  readonly claims: { readonly tenantId?: string; readonly inboundPhoneNumber?: string };
}

const slot = z.object({
  slotId: z.string(),
  startTime: z.string(),
  endTime: z.string(),
  availableDoctors: z.number(),
  seatsLeft: z.number().optional(),
});
/** A start at which a service can be booked. Times are ISO 8601, clinic-local with offset. */
export type Slot = z.infer<typeof slot>;

const orgId = z.string().optional();
const bare = <const Outcome extends string>(...outcomes: Outcome[]) =>
  z.object({ outcome: z.enum(outcomes), orgId });

const refusals = ["unknown_clinic", "cross_tenant_denied", "busy"] as const;
/** Outcomes every tool can have: no clinic, another clinic's name, a lock that took too long. */
export type Refusal = { readonly outcome: typeof refusals[number]; readonly orgId?: string };

const slots = z.array(slot);
const availability = z.discriminatedUnion("outcome", [
  bare(...refusals),
  z.object({
    outcome: z.enum(["available", "fully_booked"]),
    orgId,
    today: z.string(),
    timezone: z.string(),
    service: z.string(),
    slots,
    total: z.number(),
  }),
  z.object({ outcome: z.literal("past_date"), orgId, today: z.string(), timezone: z.string() }),
  z.object({
    outcome: z.literal("beyond_horizon"),
    orgId,
    today: z.string(),
    timezone: z.string(),
    lastDay: z.string(),
  }),
  z.object({
    outcome: z.literal("unknown_service"),
    orgId,
    today: z.string(),
    services: z.array(z.string()),
  }),
  z.object({
    outcome: z.literal("unknown_provider"),
    orgId,
    today: z.string(),
    providers: z.array(z.string()),
  }),
]);
/** What `check_availability` answers. */
export type AvailabilityOutcome = z.infer<typeof availability>;

const hold = z.object({
  orgId: z.string(),
  holdId: z.string(),
  startTime: z.string(),
  endTime: z.string(),
  service: z.string(),
  doctor: z.string(),
  phoneEnding: z.string(),
});
const slotTaken = z.object({
  outcome: z.literal("slot_taken"),
  orgId,
  slots,
  /** False for a time that was never bookable, such as one outside of hours. */
  taken: z.boolean(),
});
const claim = z.discriminatedUnion("outcome", [
  bare(...refusals, "invalid_slot", "unusable_phone", "hold_expired"),
  hold.extend({
    outcome: z.literal("held"),
    expiresInSeconds: z.number(),
    /** Start of the call's earlier hold, which its passcode confirmed at the same time. */
    alsoConfirmed: z.string().optional(),
  }),
  hold.extend({ outcome: z.literal("already_confirmed") }),
  slotTaken,
]);
/** What `claim_slot_atomic` answers. */
export type ClaimOutcome = z.infer<typeof claim>;

const changed = hold.extend({ outcome: z.enum(["cancelled", "rescheduled"]) });
const changeRefusals = [
  ...refusals,
  "appointment_not_found",
  "which_appointment",
  "locked",
] as const;
const codeNeeded = z.object({
  outcome: z.literal("code_needed"),
  orgId: z.string(),
  holdId: z.string(),
  phoneEnding: z.string(),
});
const cancellation = z.discriminatedUnion("outcome", [
  bare(...changeRefusals, "hold_released"),
  codeNeeded,
  changed,
]);
/** What `cancel_appointment` answers. */
export type CancellationOutcome = z.infer<typeof cancellation>;

const rescheduling = z.discriminatedUnion("outcome", [
  bare(...changeRefusals, "invalid_slot", "unusable_phone", "hold_expired"),
  codeNeeded.extend({
    startTime: z.string(),
    endTime: z.string(),
    service: z.string(),
    sameDoctor: z.boolean(),
  }),
  changed,
  slotTaken,
]);
/** What `reschedule_appointment` answers. */
export type ReschedulingOutcome = z.infer<typeof rescheduling>;

/** What a passcode is for: a change's goes to the number of the booking and no other. */
const purpose = z.enum(["confirm", "change"]);

const beginSend = z.discriminatedUnion("outcome", [
  bare("wrong_account"),
  bare(
    ...refusals,
    "blocked_country",
    "hold_send_limit",
    "phone_send_limit",
    "org_send_limit",
    "hold_not_found",
    "hold_expired",
    "change_expired",
    "locked",
  ),
  hold.extend({ outcome: z.literal("already_confirmed") }),
  changed,
  z.object({ outcome: z.enum(["bad_destination", "undelivered"]), orgId, purpose }),
  z.object({
    outcome: z.enum(["already_sent", "cooldown"]),
    orgId,
    phoneEnding: z.string(),
    /** The code's whole lifetime, as it was told when it was texted. */
    expiresInSeconds: z.number(),
    retryAfterSeconds: z.number(),
  }),
  z.object({
    outcome: z.literal("claimed"),
    orgId: z.string(),
    holdId: z.string(),
    clinic: z.string(),
    purpose,
    phone: z.string(),
    phoneEnding: z.string(),
    /** The text before this one did not arrive. */
    afterUndelivered: z.boolean(),
    expiresInSeconds: z.number(),
  }),
]);
/** What `begin_otp_send` answers. */
export type BeginSendOutcome = z.infer<typeof beginSend>;

const sendState = bare("sent", "cleared", "not_current", "busy");

/** True when Twilio reported that the newest text did not arrive. */
const undelivered = z.boolean().default(false);

const verification = z.discriminatedUnion("outcome", [
  bare(
    ...refusals,
    "code_locked",
    "code_unreadable",
    "locked",
    "hold_not_found",
    "hold_expired",
    "change_expired",
  ),
  hold.extend({ outcome: z.enum(["confirmed", "already_confirmed"]) }),
  changed,
  z.object({ outcome: z.enum(["code_expired", "no_code"]), orgId, undelivered }),
  z.object({ outcome: z.literal("wrong_code"), orgId, undelivered, attemptsLeft: z.number() }),
]);
/** What `verify_otp_and_confirm` answers. */
export type VerificationOutcome = z.infer<typeof verification>;

const credentials = z.discriminatedUnion("outcome", [
  bare("unknown_clinic", "cross_tenant_denied"),
  z.object({ outcome: z.literal("not_configured"), orgId: z.string() }),
  z.object({
    outcome: z.literal("found"),
    orgId: z.string(),
    keyId: z.string(),
    nonce: z.string(),
    ciphertext: z.string(),
    updatedAt: z.string(),
  }),
]);
/** What `get_org_credentials` answers: base64 of nonce and ciphertext. */
export type CredentialsOutcome = z.infer<typeof credentials>;

const delivery = bare("recorded", "known", "unknown_send", "other_text", "busy");
/** What `record_delivery_report` answers. */
export type DeliveryOutcome = z.infer<typeof delivery>["outcome"];

const closed = z.object({
  outcome: z.enum(["ended", "filed", "repeated", "busy", "no_call", "unknown_clinic"]),
  orgId,
  followUp: z.object({ phone: z.string(), clinic: z.string(), callBack: z.string() }).partial({
    callBack: true,
  }).optional(),
});
/** What `end_call` answers; `followUp` is a text to send now. */
export type ClosedOutcome = z.infer<typeof closed>;

/** A call's report as it is kept: transcript and summary are redacted. */
export interface KeptReport {
  readonly durationSeconds?: number;
  /** US dollars. */
  readonly cost?: number;
  readonly transcript?: string;
  readonly summary?: string;
  /** How many of each kind were taken out. */
  readonly redactions: Readonly<Record<string, number>>;
}

const settled = bare("sent", "failed", "busy", "unknown_clinic");

const assistant = z.object({
  outcome: z.enum(["found", "no_assistant", "unknown_clinic"]),
  orgId,
  assistantId: z.string().optional(),
});
/** What `find_assistant` answers. */
export type AssistantOutcome = z.infer<typeof assistant>;

const country = z.object({
  outcome: z.enum(["found", "unknown_clinic", "cross_tenant_denied"]),
  country: z.string().optional(),
});

const recorded = z.object({ outcome: z.enum(["recorded", "repeated"]) });

const counter = z.object({
  name: z.string(),
  labels: z.record(z.string(), z.string()),
  value: z.number(),
});
/** How often something was counted. */
export type Counter = z.infer<typeof counter>;

const metrics = z.object({
  totals: z.array(counter),
  recent: z.array(counter),
  gauges: z.object({
    holdsLive: z.number(),
    holdsLapsed: z.number(),
    passcodesWaiting: z.number(),
    cleanupLagSeconds: z.number(),
  }),
});
/** What `read_metrics` answers: counters since the beginning and lately, rows as they are. */
export type Metrics = z.infer<typeof metrics>;

/** A passcode's MAC under one pepper. */
export interface PasscodeMac {
  readonly keyId: string;
  /** 64 hex digits. */
  readonly mac: string;
}

/** How a caller names an appointment: who it is for, and what is said of its time. */
export interface AppointmentReference {
  readonly patientName: string;
  /** E.164. */
  readonly patientPhone: string;
  readonly appointmentId?: string | undefined;
  /** `YYYY-MM-DD`, clinic-local. */
  readonly date?: string | undefined;
  /** `HH:MM`, clinic-local. */
  readonly time?: string | undefined;
}

/** The entry functions of the database. Every method throws a {@link Fault} when it cannot answer. */
export interface Database {
  checkAvailability(call: CallFacts, asked: {
    readonly service: string;
    /** `YYYY-MM-DD`, clinic-local. */
    readonly day: string;
    readonly days?: number | undefined;
    readonly partOfDay?: "morning" | "afternoon" | "evening" | undefined;
    readonly provider?: string | undefined;
  }): Promise<AvailabilityOutcome>;
  claimSlot(call: CallFacts, asked: {
    readonly slotId: string;
    readonly patientName: string;
    /** E.164. */
    readonly patientPhone: string;
    readonly patientCountry: string | null;
  }): Promise<ClaimOutcome>;
  cancelAppointment(call: CallFacts, asked: AppointmentReference): Promise<CancellationOutcome>;
  rescheduleAppointment(
    call: CallFacts,
    asked: AppointmentReference & { readonly slotId: string },
  ): Promise<ReschedulingOutcome>;
  beginOtpSend(call: CallFacts, asked: {
    readonly holdId?: string | undefined;
    readonly sendId: string;
    readonly mac: PasscodeMac;
    readonly expectedOrgId: string;
    /** The number that texts; it is never texted itself. */
    readonly sender: string | undefined;
  }): Promise<BeginSendOutcome>;
  completeOtpSend(send: SendReference, sid: string): Promise<void>;
  clearOtpSend(send: SendReference, reason: string, mayHaveBeenSent: boolean): Promise<void>;
  verifyOtpAndConfirm(call: CallFacts, asked: {
    readonly holdId?: string | undefined;
    readonly macs: readonly PasscodeMac[];
  }): Promise<VerificationOutcome>;
  getCredentials(call: CallFacts): Promise<CredentialsOutcome>;
  /** Writes into the audit trail that the stored account of a call's clinic does not decrypt. */
  reportUnreadableCredentials(call: CallFacts): Promise<void>;
  getCredentialsOf(orgId: string): Promise<CredentialsOutcome>;
  recordDelivery(report: {
    readonly orgId: string;
    readonly sendId: string;
    /** Twilio's id of the text. */
    readonly sid: string;
    /** Twilio's MessageStatus. */
    readonly status: string;
    readonly errorCode?: number | undefined;
  }): Promise<DeliveryOutcome>;

  /** @param sendId The message's id, should a follow-up be due. */
  endCall(call: Envelope, ended: {
    readonly endedReason?: string | undefined;
    readonly report?: KeptReport | undefined;
    readonly sendId: string;
  }): Promise<ClosedOutcome>;
  settleFollowUp(
    call: Envelope,
    sendId: string,
    became: { readonly sid: string } | {
      readonly reason: string;
      readonly mayHaveBeenSent: boolean;
    },
  ): Promise<void>;
  findAssistant(call: Envelope): Promise<AssistantOutcome>;
  /** ISO 3166 country of the clinic; undefined when the call is refused. */
  findCountry(call: CallFacts): Promise<string | undefined>;
  /** Adds counts; the same batch again changes nothing. */
  recordMetrics(batchId: string, counts: readonly Counter[]): Promise<void>;
  /** @param minutes How far back `recent` reaches, 1 to 1440. */
  readMetrics(minutes: number): Promise<Metrics>;
}

/** One send of one hold. */
export interface SendReference {
  /** Who asked for it. */
  readonly call: CallFacts;
  readonly orgId: string;
  readonly holdId: string;
  readonly sendId: string;
}

/** Told of every call: for log lines and metrics. */
export interface DatabaseObserver {
  /** @param durationMs How long the call took, answered or not. */
  called(durationMs: number): void;
  /** @param orgId The organization the database found. */
  resolved(orgId: string): void;
  /** @param kind What happened too often in that organization, just now. */
  alarmed(kind: string, orgId: string): void;
}

/** Makes the database of one request: the client is shared, the time is the request's. */
export interface DatabasePool {
  within(budget: Budget, observer?: DatabaseObserver): Database;
}

/** Opens the database; nothing is connected before the first call. */
export function openDatabase(config: Pick<Config, "restUrl" | "databaseKey">): DatabasePool {
  let client: Promise<SupabaseClient> | undefined;
  const connect = () => client ??= createClient(config);
  return {
    within: (budget, observer) =>
      describeCalls(async (name, args, schema) => {
        const startedAt = performance.now();
        try {
          const data = await callFunction(connect, budget, name, args);
          const resolved = withOrganization.safeParse(data);
          if (resolved.success) {
            const { orgId, alarm } = resolved.data;
            observer?.resolved(orgId);
            if (alarm) observer?.alarmed(alarm, orgId);
          }
          return readAnswer(name, data, schema);
        } finally {
          observer?.called(performance.now() - startedAt);
        }
      }),
  };
}

async function createClient({ restUrl, databaseKey }: Pick<Config, "restUrl" | "databaseKey">) {
  const { createClient } = await import("@supabase/supabase-js");
  // supabase-js puts /rest/v1 behind the URL it is given; a bare PostgREST has no such path.
  const base = restUrl.replace(/\/rest\/v1$/, "");
  const isBare = base === restUrl;
  return createClient(base, databaseKey, {
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
    global: {
      fetch: (input, init) =>
        fetch(isBare ? String(input).replace(`${base}/rest/v1`, base) : input, init),
    },
  });
}

type Call = <Answer>(
  name: string,
  args: Readonly<Record<string, unknown>>,
  schema: z.ZodType<Answer>,
) => Promise<Answer>;

function describeCalls(call: Call): Database {
  /** Writes down what became of a text. The agent cannot try again, so a lock in vain is a fault. */
  const write = async (
    name: string,
    args: Readonly<Record<string, unknown>>,
    schema: z.ZodType<{ outcome: string }>,
  ): Promise<void> => {
    const { outcome } = await call(name, args, schema);
    if (outcome === "busy") {
      throw new Fault("database_timeout", `Cannot call ${name}: a lock was not had in time`);
    }
  };
  const writeSend = (
    name: string,
    { call: facts, orgId, holdId, sendId }: SendReference,
    what: Readonly<Record<string, unknown>>,
  ): Promise<void> => {
    const args = { p_call: facts, p_org: orgId, p_hold: holdId, p_send_id: sendId, ...what };
    return write(name, args, sendState);
  };
  return {
    checkAvailability: (facts, { service, day, days, partOfDay, provider }) =>
      call("check_availability", {
        p_call: facts,
        p_service: service,
        p_day: day,
        p_days: days ?? 1,
        p_part_of_day: partOfDay ?? null,
        p_provider: provider ?? null,
      }, availability),
    claimSlot: (facts, { slotId, patientName, patientPhone, patientCountry }) =>
      call("claim_slot_atomic", {
        p_call: facts,
        p_slot_id: slotId,
        p_patient_name: patientName,
        p_patient_phone: patientPhone,
        p_patient_country: patientCountry,
      }, claim),
    cancelAppointment: (facts, asked) =>
      call("cancel_appointment", { p_call: facts, ...referTo(asked) }, cancellation),
    rescheduleAppointment: (facts, asked) =>
      call("reschedule_appointment", {
        p_call: facts,
        ...referTo(asked),
        p_slot_id: asked.slotId,
      }, rescheduling),
    beginOtpSend: (facts, { holdId, sendId, mac, expectedOrgId, sender }) =>
      call("begin_otp_send", {
        p_call: facts,
        p_hold: holdId ?? null,
        p_send_id: sendId,
        p_mac: mac.mac,
        p_key_id: mac.keyId,
        p_expected_org: expectedOrgId,
        p_sender: sender ?? null,
      }, beginSend),
    completeOtpSend: (send, sid) => writeSend("complete_otp_send", send, { p_sid: sid }),
    clearOtpSend: (send, reason, mayHaveBeenSent) =>
      writeSend("clear_otp_send", send, {
        p_reason: reason,
        p_may_have_been_sent: mayHaveBeenSent,
      }),
    verifyOtpAndConfirm: (facts, { holdId, macs }) =>
      call("verify_otp_and_confirm", {
        p_call: facts,
        p_hold: holdId ?? null,
        p_macs: macs,
      }, verification),
    getCredentials: (facts) =>
      call("get_org_credentials", { p_call: facts, p_provider: "twilio" }, credentials),
    reportUnreadableCredentials: async (facts) => {
      await call("report_unreadable_credentials", {
        p_call: facts,
        p_provider: "twilio",
      }, bare("reported", "unknown_clinic", "cross_tenant_denied"));
    },
    getCredentialsOf: (orgId) =>
      call("get_credentials_of", { p_org: orgId, p_provider: "twilio" }, credentials),
    recordDelivery: async ({ orgId, sendId, sid, status, errorCode }) => {
      const { outcome } = await call("record_delivery_report", {
        p_org: orgId,
        p_send_id: sendId,
        p_sid: sid,
        p_status: status,
        p_error_code: errorCode ?? null,
      }, delivery);
      return outcome;
    },

    endCall: (facts, { endedReason, report, sendId }) =>
      call("end_call", {
        p_call: facts,
        p_ended_reason: endedReason ?? null,
        p_report: report ?? null,
        p_send: sendId,
      }, closed),
    settleFollowUp: (facts, sendId, became) => {
      const isSent = "sid" in became;
      return write("settle_follow_up", {
        p_call: facts,
        p_send: sendId,
        p_sid: isSent ? became.sid : null,
        p_reason: isSent ? null : became.reason,
        p_may_have_been_sent: isSent || became.mayHaveBeenSent,
      }, settled);
    },
    findAssistant: (facts) => call("find_assistant", { p_call: facts }, assistant),
    findCountry: async (facts) => (await call("find_country", { p_call: facts }, country)).country,
    recordMetrics: async (batchId, counts) => {
      await call("record_metrics", { p_batch: batchId, p_counts: counts }, recorded);
    },
    readMetrics: (minutes) => call("read_metrics", { p_minutes: minutes }, metrics),
  };
}

function referTo({ patientName, patientPhone, appointmentId, date, time }: AppointmentReference) {
  return {
    p_patient_name: patientName,
    p_patient_phone: patientPhone,
    p_appointment: appointmentId ?? null,
    p_date: date ?? null,
    p_time: time ?? null,
  };
}

const withOrganization = z.object({ orgId: z.string(), alarm: z.string().optional() });

async function callFunction(
  connect: () => Promise<SupabaseClient>,
  budget: Budget,
  name: string,
  args: Readonly<Record<string, unknown>>,
): Promise<unknown> {
  const client = await connect();
  const timeoutMs = Math.min(callTimeoutMs, budget.remainingMs());
  const { data, error } = await withDeadline(
    timeoutMs,
    (signal) => client.rpc(name, args).retry(false).abortSignal(signal),
  ).catch((thrown) => {
    throw thrown instanceof DeadlineExceeded
      ? new Fault("database_timeout", `Cannot call ${name}: no answer in time`, { cause: thrown })
      : new Fault("database_unavailable", `Cannot call ${name}`, { cause: thrown });
  });
  if (error) {
    throw new Fault(
      isAway(error.code) ? "database_unavailable" : "database_error",
      `Cannot call ${name}: the database answered ${error.code || "nothing"}`,
      { cause: { code: error.code, message: error.message } },
    );
  }
  return data;
}

function readAnswer<Answer>(name: string, data: unknown, schema: z.ZodType<Answer>): Answer {
  const parsed = schema.safeParse(data);
  if (parsed.success) return parsed.data;
  throw new Fault(
    "database_answer_unexpected",
    `Cannot read the answer of ${name}: is the migration of this version applied?`,
    { cause: { issues: parsed.error.issues.map(({ path, code }) => ({ path, code })) } },
  );
}

/** No code: the request failed before an answer. 08, 53, 57: connection, resources, shutdown. */
function isAway(code: string | undefined): boolean {
  return !code || /^(08|53|57|PGRST00)/.test(code);
}
