/**
 * What Twilio posts to a function: a form, signed with the token of the account that it is about.
 *
 * @module
 */

import type { AccountCache, AccountOutcome, TwilioAccount } from "./accounts.ts";
import { readBody } from "./body.ts";
import type { Database } from "./database/client.ts";
import { type Budget, startBudget } from "./deadline.ts";
import { allowOnly, deny } from "./denials.ts";
import { toFault } from "./errors.ts";
import { type Runtime, serve, type ServedFunction } from "./runtime.ts";
import { isSigned, looksSigned, readForm } from "./signed_form.ts";

const bodyLimits = { limitBytes: 64 * 1024, timeoutMs: 3000 };

/** A form whose signature was checked. */
export interface SignedForm<About> {
  readonly runtime: Runtime;
  readonly database: Database;
  readonly budget: Budget;
  readonly about: About;
  readonly orgId: string;
  readonly account: TwilioAccount;
  readonly form: URLSearchParams;
}

/** What a webhook reads from a request, whose account it is, and what it answers. */
export interface TwilioWebhook<About> {
  /** What the request is about, or nothing when Twilio cannot have posted it. */
  readonly read: (query: URLSearchParams, form: URLSearchParams) => About | undefined;
  readonly find: (
    accounts: AccountCache,
    database: Database,
    about: About,
  ) => Promise<AccountOutcome>;
  readonly answer: (signed: SignedForm<About>) => Promise<Response>;
  /** For everything. */
  readonly budgetMs: number;
  /** The name under which a failure is logged. */
  readonly failed: string;
}

/**
 * Creates a function for Twilio. Nothing is written before the signature is checked. It answers 403
 * when Twilio did not sign the request, 413 when it is too large, and 503 while the database does not
 * answer.
 *
 * @param name The function's name, which is the last part of the address that Twilio calls.
 */
export function serveTwilio<About>(
  name: string,
  { read, find, answer, budgetMs, failed }: TwilioWebhook<About>,
): ServedFunction {
  return serve(async (runtime, request) => {
    if (request.method !== "POST") return allowOnly("POST");
    const budget = startBudget(budgetMs);
    const forbid = (reason: string) => deny(runtime, name, reason, { status: 403 });
    const signature = request.headers.get("x-twilio-signature") ?? "";
    if (!looksSigned(signature)) return forbid("no signature");
    const body = await readBody(request, bodyLimits);
    if (!body.ok) return new Response(null, { status: body.isTooLarge ? 413 : 400 });
    const form = readForm(body.bytes);
    if (!form) return new Response(null, { status: 413 });
    const { search, searchParams } = new URL(request.url);
    const about = read(searchParams, form);
    if (about === undefined) return forbid("Twilio cannot have posted this");
    try {
      const database = runtime.database.within(budget);
      const found = await find(runtime.accounts, database, about);
      if (found.outcome === "credentials_unreadable") throw found.fault;
      if (found.outcome !== "found") return forbid("no clinic has this");
      const { orgId, account } = found;
      const address = `${runtime.config.functionsPublicUrl}/${name}${search}`;
      return await isSigned(account.authToken, signature, { address, form })
        ? await answer({ runtime, database, budget, about, orgId, account, form })
        : forbid("the signature is wrong");
    } catch (thrown) {
      runtime.log.error(failed, { function: name, fault: toFault(thrown) });
      return new Response(null, { status: 503 });
    }
  });
}
