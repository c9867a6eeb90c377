/**
 * Every tool, in the order of a call. The Supabase CLI bundles by static imports, so the tools are
 * named here. `deno task docs` adds new folders.
 *
 * @module
 */

import answerQuestion from "../answer-question/index.ts";
import cancelAppointment from "../cancel-appointment/index.ts";
import checkAvailability from "../check-availability/index.ts";
import findAppointments from "../find-appointments/index.ts";
import holdSlot from "../hold-slot/index.ts";
import leaveMessage from "../leave-message/index.ts";
import rescheduleAppointment from "../reschedule-appointment/index.ts";
import sendOtp from "../send-otp/index.ts";
import verifyOtp from "../verify-otp/index.ts";

/** The tools that the model can call. */
export const tools = [
  checkAvailability,
  holdSlot,
  sendOtp,
  verifyOtp,
  findAppointments,
  cancelAppointment,
  rescheduleAppointment,
  leaveMessage,
  answerQuestion,
].map(({ tool }) => tool);
