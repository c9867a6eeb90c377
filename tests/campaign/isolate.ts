/**
 * A function's process that can die between any two steps of its work, and records what it did.
 *
 * @module
 */

import { z } from "zod";
import { createAccountCache } from "../../shared/accounts.ts";
import { cancelAppointment, rescheduleAppointment } from "../../shared/database/changes.ts";
import type { Database, DatabasePool } from "../../shared/database/client.ts";
import { claimSlot } from "../../shared/database/holds.ts";
import {
  beginOtpSend,
  type BeginSendOutcome,
  clearOtpSend,
  completeOtpSend,
  type VerificationOutcome,
  verifyOtpAndConfirm,
} from "../../shared/database/passcodes.ts";
import { createBackground } from "../../shared/background.ts";
import { startBudget } from "../../shared/deadline.ts";
import { Fault } from "../../shared/errors.ts";
import type { Runtime } from "../../shared/runtime.ts";
import type { Mishap } from "./steps.ts";

/** What a process did to the database, in the order of the answers; times in seconds. */
export type Deed =
  | {
    readonly kind: "begun";
    readonly sendId: string;
    /** The MAC of the code as it was finally stored. */
    readonly mac: string;
    readonly answer: BeginSendOutcome;
    readonly from: number;
    readonly to: number;
  }
  | { readonly kind: "completed"; readonly sendId: string }
  | { readonly kind: "cleared"; readonly sendId: string; readonly mayHaveBeenSent: boolean }
  | { readonly kind: "verified"; readonly answer: VerificationOutcome }
  /** The database did not answer, so its action is unknown. */
  | { readonly kind: "unclear" };

class Died extends Error {
  override readonly name = "Died";
}

/** How a process behaves for one request. */
export interface Conduct {
  readonly mishap?: Mishap | undefined;
  /** The campaign's clock, in seconds. */
  readonly now: () => number;
  /** Receives every deed. */
  readonly note: (deed: Deed) => void;
  /** Receives writes that are to happen later. */
  readonly postpone: (write: () => Promise<void>) => void;
}

/** The runtime of an isolate whose clock is wrong. */
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

/** The same isolate for one request, with that request's behaviour. */
export function behaving(isolate: Runtime, conduct: Conduct): Runtime {
  const pool: DatabasePool = {
    within: (budget, observer) => observed(isolate.database, budget, observer, conduct),
  };
  return { ...isolate, database: pool, background: createBackground() };
}

function observed(
  pool: DatabasePool,
  budget: Parameters<DatabasePool["within"]>[0],
  observer: Parameters<DatabasePool["within"]>[1],
  { mishap, now, note, postpone }: Conduct,
): Database {
  const database = pool.within(budget, observer);
  const ask = async (work: Promise<unknown>): Promise<unknown> => {
    try {
      return await work;
    } catch (thrown) {
      const isLate = thrown instanceof Fault &&
        (thrown.code === "database_timeout" || thrown.code === "database_unavailable");
      if (isLate) note({ kind: "unclear" });
      throw thrown;
    }
  };
  const write = async (sqlName: string, args: Arguments, deed: Deed): Promise<unknown> => {
    const perform = async (database: Database) => {
      const answer = await ask(database.call(sqlName, args));
      note(outcome.parse(answer) === "busy" ? { kind: "unclear" } : deed);
      return answer;
    };
    switch (mishap) {
      case "dies_after_text":
        throw new Died("the process is gone");
      case "writes_late":
        postpone(async () => void await perform(pool.within(startBudget(10_000))));
        throw new Died("the process is slow");
      default:
        return await perform(database);
    }
  };
  return {
    call: async (sqlName, args) => {
      const sendId = String(args["p_send_id"]);
      switch (sqlName) {
        case claimSlot.sqlName:
        case cancelAppointment.sqlName:
        case rescheduleAppointment.sqlName:
          return await ask(database.call(sqlName, args));
        case beginOtpSend.sqlName: {
          const from = now();
          const data = await ask(database.call(sqlName, args));
          const answer = beginOtpSend.answer.parse(data);
          note({ kind: "begun", sendId, mac: String(args["p_mac"]), answer, from, to: now() });
          if (mishap === "dies_after_begin") throw new Died("the process is gone");
          return data;
        }
        case completeOtpSend.sqlName:
          return await write(sqlName, args, { kind: "completed", sendId });
        case clearOtpSend.sqlName: {
          const mayHaveBeenSent = args["p_may_have_been_sent"] === true;
          return await write(sqlName, args, { kind: "cleared", sendId, mayHaveBeenSent });
        }
        case verifyOtpAndConfirm.sqlName: {
          const data = await ask(database.call(sqlName, args));
          note({ kind: "verified", answer: verifyOtpAndConfirm.answer.parse(data) });
          if (mishap === "loses_answer") throw new Died("the process is gone");
          return data;
        }
        default:
          return await database.call(sqlName, args);
      }
    },
  };
}

type Arguments = Parameters<Database["call"]>[1];

const outcome = z.object({ outcome: z.string() }).transform(({ outcome }) => outcome);
