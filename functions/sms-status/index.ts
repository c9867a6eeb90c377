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

import { readBody } from "../../shared/body.ts";
import { recordDelivery } from "../../shared/database/texts.ts";
import { type Budget, startBudget } from "../../shared/deadline.ts";
import {
  isSignedReport,
  readCallback,
  readForm,
  readReport,
  type SmsReference,
} from "../../shared/delivery_reports.ts";
import { allowOnly, deny } from "../../shared/denials.ts";
import { toFault } from "../../shared/errors.ts";
import { type Runtime, serve } from "../../shared/runtime.ts";

const name = "sms-status";
/** A report has about 300 bytes. */
const bodyLimits = { limitBytes: 64 * 1024, timeoutMs: 3000 };
const budgetMs = 5000;

export default serve(async (runtime, request) => {
  if (request.method !== "POST") return allowOnly("POST");
  const budget = startBudget(budgetMs);
  const { search, searchParams } = new URL(request.url);
  const signature = request.headers.get("x-twilio-signature") ?? "";
  const about = readCallback(searchParams);
  // Base64 of a SHA-1. Anything else is refused without asking the database.
  if (!about || !/^[A-Za-z0-9+/]{27}=$/.test(signature)) {
    return forbid(runtime, "no signature, or an address that was never given to Twilio");
  }
  const body = await readBody(request, bodyLimits);
  if (!body.ok) return new Response(null, { status: body.isTooLarge ? 413 : 400 });
  const form = readForm(body.bytes);
  if (!form) return new Response(null, { status: 413 });
  try {
    const isSigned = await checkSignature(runtime, budget, about, { signature, search, form });
    return isSigned
      ? await record(runtime, budget, about, form)
      : forbid(runtime, "the signature is wrong");
  } catch (thrown) {
    runtime.log.error("delivery_report_failed", { ...about, fault: toFault(thrown) });
    return new Response(null, { status: 503 });
  }
});

interface Signed {
  readonly signature: string;
  readonly search: string;
  readonly form: URLSearchParams;
}

async function checkSignature(
  { config, database, accounts }: Runtime,
  budget: Budget,
  { orgId }: SmsReference,
  { signature, search, form }: Signed,
): Promise<boolean> {
  const found = await accounts.getOf(database.within(budget), orgId);
  if (found.outcome === "credentials_unreadable") throw found.fault;
  if (found.outcome !== "found") return false;
  const signed = { functionsUrl: config.functionsPublicUrl, query: search, form };
  return await isSignedReport(found.account.authToken, signature, signed);
}

async function record(
  { database, log }: Runtime,
  budget: Budget,
  about: SmsReference,
  form: URLSearchParams,
): Promise<Response> {
  const report = readReport(form);
  if (!report) {
    log.warn("delivery_report_unreadable", { ...about });
    return new Response(null, { status: 400 });
  }
  const { outcome } = await recordDelivery(database.within(budget), { ...about, ...report });
  const { status, errorCode } = report;
  const isExpected = outcome === "recorded" || outcome === "known";
  log[isExpected ? "info" : "warn"]("delivery_report", { ...about, status, errorCode, outcome });
  return new Response(null, { status: outcome === "busy" ? 503 : 204 });
}

function forbid(runtime: Runtime, reason: string): Response {
  return deny(runtime, name, reason, { status: 403 });
}
