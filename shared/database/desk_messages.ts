/**
 * Messages that callers leave for the front desk.
 *
 * @module
 */

import { z } from "zod";
import { type AnswerOf, bare, type CallFacts, entry, orgId, refusals } from "./entry.ts";

/** Stores a message for the front desk. `opensAt` says when the desk answers again. */
export const leaveMessage = entry("leave_message", {
  args: (call: CallFacts, left: {
    readonly callerName: string;
    /** E.164. */
    readonly phone: string;
    /** As the caller said it, redacted. */
    readonly wishedTime: string | undefined;
    /** Redacted. */
    readonly message: string;
  }) => ({
    p_call: call,
    p_name: left.callerName,
    p_phone: left.phone,
    p_wished_time: left.wishedTime ?? null,
    p_message: left.message,
  }),
  answer: z.discriminatedUnion("outcome", [
    bare(...refusals, "call_message_limit", "message_limit"),
    z.object({ outcome: z.literal("left"), orgId, opensAt: z.string().optional() }),
  ]),
});
/** The answer of {@link leaveMessage}. */
export type MessageOutcome = AnswerOf<typeof leaveMessage>;
