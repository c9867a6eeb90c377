/**
 * Takes texts from patients: `POST sms-inbound`, Twilio's signed form, the messaging webhook of a
 * clinic's number.
 *
 * "C" confirms and "X" cancels the appointment that the number was reminded of. The clinic is found by
 * the number that was texted, and the signature is checked with that clinic's token. Answers TwiML: a
 * text for the patient, or nothing; 403 when Twilio did not sign the request; 413 when it is too large;
 * 503 while the database does not answer, after which Twilio asks the fallback URL, once.
 *
 * @module
 */

import { answerText, type TextAnswer } from "../../shared/database/text_answers.ts";
import { type InboundText, isFromPhone, readInboundText } from "../../shared/inbound_text.ts";
import { readPatientAnswer } from "../../shared/patient_answer.ts";
import { readPhone } from "../../shared/phone.ts";
import { composeReply, writeTwiml } from "../../shared/text_reply.ts";
import { serveTwilio, type SignedForm } from "../../shared/twilio_webhook.ts";

/** Twilio waits 15 seconds. */
const budgetMs = 12_000;
/** How often the database is asked. */
const mostAttempts = 6;
/** With less time left, in milliseconds, it is not asked again. */
const shortestAttemptMs = 3000;
/** Longest pause before it is asked again, in milliseconds. */
const pauseMs = 150;

export default serveTwilio<InboundText>("sms-inbound", {
  read: (_query, form) => readInboundText(form),
  find: (accounts, database, { to, service }) =>
    accounts.getOfNumber(database, { number: to, service }),
  answer,
  budgetMs,
  failed: "text_answer_failed",
});

async function answer(signed: SignedForm<InboundText>): Promise<Response> {
  const { runtime: { log }, about, orgId, account } = signed;
  const { sid, to } = about;
  if (about.accountSid !== account.accountSid || !isFromPhone(about)) {
    log.warn("text_answer", { orgId, sid, outcome: "not_from_a_patient" });
    return await twiml(undefined);
  }
  const answered = await ask(signed);
  log.info("text_answer", { orgId, sid, outcome: answered.outcome });
  switch (answered.outcome) {
    case "unknown_clinic":
    case "limit":
      return await twiml(undefined);
    case "busy":
      // Nobody was told that it was not taken, so Twilio asks the fallback URL.
      if (!answered.isReplied) return new Response(null, { status: 503 });
      return await twiml(composeReply(answered, to));
    default:
      return await twiml(composeReply(answered, to));
  }
}

/** Asks again while the database is busy, which may mean that others change the same appointments. */
async function ask({ database, budget, about, orgId }: SignedForm<InboundText>) {
  const { sid, from, body, optOutType } = about;
  const phone = await readPhone(from, []);
  const meant = {
    ...readPatientAnswer(body, optOutType),
    ...(phone.kind === "phone" ? { country: phone.country } : {}),
  };
  let busy: TextAnswer | undefined;
  for (let attempt = 1;; attempt++) {
    const isLast = () => attempt === mostAttempts || budget.remainingMs() < shortestAttemptMs;
    try {
      const answered = await answerText(database, orgId, sid, from, meant);
      if (answered.outcome !== "busy" || isLast()) return answered;
      busy = answered;
    } catch (thrown) {
      if (isLast()) {
        // If it was taken after all, sending it again does no harm.
        if (busy) return busy;
        throw thrown;
      }
    }
    await new Promise((resolve) => setTimeout(resolve, Math.random() * pauseMs));
  }
}

async function twiml(reply: string | undefined): Promise<Response> {
  const headers = { "content-type": "text/xml; charset=utf-8" };
  return new Response(await writeTwiml(reply), { headers });
}
