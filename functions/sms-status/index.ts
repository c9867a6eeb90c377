/**
 * Takes Twilio's delivery reports: `POST sms-status?org=...&send_id=...`, a signed form.
 *
 * The signature is checked with the token of the organization in the address, so one organization's
 * token cannot report on another's texts. Nothing is written before that. Answers 204; 403 when Twilio
 * did not sign the request; 413 when it is too large for a report; 503 while the database does not
 * answer.
 *
 * @module
 */

import { recordDelivery } from "../../shared/database/texts.ts";
import { readCallback, readReport, type SmsReference } from "../../shared/delivery_reports.ts";
import { serveTwilio, type SignedForm } from "../../shared/twilio_webhook.ts";

export default serveTwilio<SmsReference>("sms-status", {
  read: readCallback,
  find: (accounts, database, { orgId }) => accounts.getOf(database, orgId),
  answer: record,
  budgetMs: 5000,
  failed: "delivery_report_failed",
});

async function record(
  { runtime: { log }, database, about, form }: SignedForm<SmsReference>,
): Promise<Response> {
  const report = readReport(form);
  if (!report) {
    log.warn("delivery_report_unreadable", { ...about });
    return new Response(null, { status: 400 });
  }
  const { outcome } = await recordDelivery(database, { ...about, ...report });
  const { status, errorCode } = report;
  const isExpected = outcome === "recorded" || outcome === "known";
  log[isExpected ? "info" : "warn"]("delivery_report", { ...about, status, errorCode, outcome });
  return new Response(null, { status: outcome === "busy" ? 503 : 204 });
}
