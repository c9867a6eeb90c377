/**
 * An entry function of the database: its SQL name, its arguments and its answer, in one place.
 *
 * ```ts ignore
 * const findCountry = entry("find_country", {
 *   args: (call: CallFacts) => ({ p_call: call }),
 *   answer: z.object({ outcome: z.enum(["found", "unknown_clinic"]) }),
 * });
 * const { outcome } = await findCountry(database, call);
 * ```
 *
 * @module
 */

import { z } from "zod";
import { Fault } from "../errors.ts";
import type { Envelope } from "../vapi.ts";
import type { Database } from "./client.ts";

/** What every entry function is told about the call, and what the arguments claim about it. */
export interface CallFacts extends Envelope {
  readonly toolCallId: string;
  readonly claims: {
    readonly tenantId?: string | undefined;
    readonly inboundPhoneNumber?: string | undefined;
    readonly callId?: string | undefined;
    readonly callerNumber?: string | undefined;
    readonly calledNumber?: string | undefined;
  };
}

/** An entry function of the database. Calling it throws a {@link Fault} when it cannot answer. */
export interface Entry<Asked extends unknown[], Answer extends z.ZodType> {
  (database: Database, ...asked: Asked): Promise<z.output<Answer>>;
  /** The function's name in SQL. */
  readonly sqlName: string;
  /** Every possible answer. Any other is a fault. */
  readonly answer: Answer;
}

/** The answer of an entry function. */
export type AnswerOf<E extends { readonly answer: z.ZodType }> = z.output<E["answer"]>;

/**
 * Declares an entry function.
 *
 * @param sqlName Its name in SQL.
 * @param args Its arguments, by the names of its parameters.
 * @param answer Its answer.
 * @param busyIsFault Whether a lock that was not acquired is a fault, because nobody can try again.
 */
export function entry<Asked extends unknown[], Answer extends z.ZodType>(
  sqlName: string,
  { args, answer, busyIsFault = false }: {
    readonly args: (...asked: Asked) => Readonly<Record<string, unknown>>;
    readonly answer: Answer;
    readonly busyIsFault?: boolean;
  },
): Entry<Asked, Answer> {
  const ask = async (database: Database, ...asked: Asked): Promise<z.output<Answer>> => {
    const data = await database.call(sqlName, args(...asked));
    if (busyIsFault && isBusy(data)) {
      throw new Fault(
        "database_timeout",
        `Cannot call ${sqlName}: a lock was not acquired in time`,
      );
    }
    return readAnswer(sqlName, data, answer);
  };
  return Object.assign(ask, { sqlName, answer });
}

function readAnswer<Answer extends z.ZodType>(
  sqlName: string,
  data: unknown,
  answer: Answer,
): z.output<Answer> {
  const parsed = answer.safeParse(data);
  if (parsed.success) return parsed.data;
  throw new Fault(
    "database_answer_unexpected",
    `Cannot read the answer of ${sqlName}: is the migration of this version applied?`,
    { cause: { issues: parsed.error.issues.map(({ path, code }) => ({ path, code })) } },
  );
}

function isBusy(data: unknown): boolean {
  return typeof data === "object" && data !== null && "outcome" in data && data.outcome === "busy";
}

/** The organization, if the function found it. */
export const orgId = z.string().optional();

/** Answers that are only an outcome. */
export const bare = <const Outcome extends string>(...outcomes: Outcome[]) =>
  z.object({ outcome: z.enum(outcomes), orgId });

/** Outcomes of every tool: no clinic, another clinic's name, a lock that took too long. */
export const refusals = ["unknown_clinic", "cross_tenant_denied", "busy"] as const;
/** One of {@link refusals}, as an answer. */
export type Refusal = { readonly outcome: typeof refusals[number]; readonly orgId?: string };
