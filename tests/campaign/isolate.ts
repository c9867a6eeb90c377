/**
 * A function process that can die between any two steps of its work, and tells what it did.
 *
 * @module
 */

import { createAccountCache } from "../../shared/credentials.ts";
import type {
  BeginSendOutcome,
  Database,
  DatabasePool,
  SendReference,
  VerificationOutcome,
} from "../../shared/database.ts";
import { startBudget } from "../../shared/deadline.ts";
import { Fault } from "../../shared/errors.ts";
import type { Runtime } from "../../shared/runtime.ts";
import type { Mishap } from "./steps.ts";

/** What a process did to the database, in the order of the answers; times in seconds. */
export type Deed =
  | {
    readonly kind: "begun";
    readonly sendId: string;
    /** What is stored of the code, in the end. */
    readonly mac: string;
    readonly answer: BeginSendOutcome;
    readonly from: number;
    readonly to: number;
  }
  | { readonly kind: "completed"; readonly sendId: string }
  | { readonly kind: "cleared"; readonly sendId: string; readonly mayHaveBeenSent: boolean }
  | { readonly kind: "verified"; readonly answer: VerificationOutcome }
  /** The database did not answer: nobody knows what it did. */
  | { readonly kind: "unclear" };

class Died extends Error {
  override readonly name = "Died";
}

/** How a process behaves for one request. */
export interface Conduct {
  readonly mishap?: Mishap | undefined;
  /** The clock of the campaign, in seconds. */
  readonly now: () => number;
  /** Told of every deed. */
  readonly note: (deed: Deed) => void;
  /** Takes what is to be written later. */
  readonly postpone: (write: () => Promise<void>) => void;
}

/** The runtime of an isolate whose clock is off. */
export function anIsolate(runtime: Runtime, apiBase: string, skewMs: number): Runtime {
  const { credentialKeys, otpPeppers } = runtime.config;
  const [first, ...others] = skewMs < 0 ? otpPeppers : otpPeppers.toReversed();
  return {
    ...runtime,
    config: {
      ...runtime.config,
      twilioApiBase: apiBase,
      ...(first ? { otpPeppers: [first, ...others] as const } : {}),
    },
    accounts: createAccountCache(credentialKeys, () => Date.now() + skewMs),
  };
}

/** The same isolate for one request, as it is to behave there. */
export function behaving(isolate: Runtime, conduct: Conduct): Runtime {
  const pool: DatabasePool = {
    within: (budget, observer) => observed(isolate.database, budget, observer, conduct),
  };
  return { ...isolate, database: pool };
}

function observed(
  pool: DatabasePool,
  budget: Parameters<DatabasePool["within"]>[0],
  observer: Parameters<DatabasePool["within"]>[1],
  { mishap, now, note, postpone }: Conduct,
): Database {
  const database = pool.within(budget, observer);
  const ask = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (thrown) {
      const isLate = thrown instanceof Fault &&
        (thrown.code === "database_timeout" || thrown.code === "database_unavailable");
      if (isLate) note({ kind: "unclear" });
      throw thrown;
    }
  };
  const write = async (work: (database: Database) => Promise<void>, deed: Deed): Promise<void> => {
    switch (mishap) {
      case "dies_after_text":
        throw new Died("the process is gone");
      case "writes_late":
        postpone(async () => {
          await ask(work(pool.within(startBudget(10_000))));
          note(deed);
        });
        throw new Died("the process is slow");
      default:
        await ask(work(database));
        note(deed);
    }
  };
  return {
    ...database,
    claimSlot: (call, asked) => ask(database.claimSlot(call, asked)),
    cancelAppointment: (call, asked) => ask(database.cancelAppointment(call, asked)),
    rescheduleAppointment: (call, asked) => ask(database.rescheduleAppointment(call, asked)),
    beginOtpSend: async (call, asked) => {
      const from = now();
      const answer = await ask(database.beginOtpSend(call, asked));
      const { sendId, mac: { mac } } = asked;
      note({ kind: "begun", sendId, mac, answer, from, to: now() });
      if (mishap === "dies_after_begin") throw new Died("the process is gone");
      return answer;
    },
    completeOtpSend: (send: SendReference, sid) =>
      write((database) => database.completeOtpSend(send, sid), {
        kind: "completed",
        sendId: send.sendId,
      }),
    clearOtpSend: (send, reason, mayHaveBeenSent) =>
      write((database) => database.clearOtpSend(send, reason, mayHaveBeenSent), {
        kind: "cleared",
        sendId: send.sendId,
        mayHaveBeenSent,
      }),
    verifyOtpAndConfirm: async (call, asked) => {
      const answer = await ask(database.verifyOtpAndConfirm(call, asked));
      note({ kind: "verified", answer });
      if (mishap === "loses_answer") throw new Died("the process is gone");
      return answer;
    },
  };
}
