/**
 * The desk's page in Debian's Chromium, on a stack of its own.
 *
 * @module
 */

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import axe from "axe-core";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import postgres from "postgres";
import { findFreePort } from "../../supabase/local/port.ts";
import { type Stack, startStack } from "../../supabase/local/stack.ts";
import { aClinic, aDay, aPhone, aToolCall, type Clinic, readSaid, type Said } from "./clinic.ts";
import type { Role } from "../../supabase/desk/app/rows.ts";
import { testStateDir } from "./state_dir.ts";

/** Where Debian and others install it. */
const programs = [Deno.env.get("CHROMIUM") ?? "", "/usr/bin/chromium", "/usr/bin/chromium-browser"];

/** Chromium, if there is one. */
const chromiumPath: string | undefined = programs.find((path) => path !== "" && existsSync(path));

/** How long a browser may take to show something before it counts as hung. */
const limitMs = 120_000;

/** The password of every account of the tests. */
const password = "correct-horse-1";

/** Somebody who can sign in. */
export interface Account {
  readonly userId: string;
  readonly email: string;
  readonly password: string;
}

/** A stack and a browser. */
export class BrowserStack {
  readonly #pages: Page[] = [];
  readonly #stateDir: string;
  readonly #problems = new Map<Page, string[]>();
  /** The environment in which the stack looks for a model's key. Whoever adds one removes it again. */
  readonly env: Record<string, string>;

  private constructor(
    readonly stack: Stack,
    readonly sql: postgres.Sql,
    readonly browser: Browser,
    { env, stateDir }: { readonly env: Record<string, string>; readonly stateDir: string },
  ) {
    this.env = env;
    this.#stateDir = stateDir;
  }

  static async start(purpose = "browser"): Promise<BrowserStack> {
    const port = findFreePort(12_000 + Math.floor(Math.random() * 12_000));
    Deno.env.set("LOG_LEVEL", "error");
    // Files run at the same time, and each has a stack of its own.
    const stateDir = testStateDir(`${purpose}-${Deno.pid}`);
    const env: Record<string, string> = {};
    const stack = await startStack({ port, fresh: true, stateDir, env });
    const sql = postgres(stack.dbUrl, { max: 2, onnotice: () => {} });
    const browser = await chromium.launch({
      ...(chromiumPath === undefined ? {} : { executablePath: chromiumPath }),
      args: ["--no-sandbox", "--disable-dev-shm-usage"],
      timeout: limitMs,
    });
    return new BrowserStack(stack, sql, browser, { env, stateDir });
  }

  get url(): string {
    return this.stack.url;
  }

  async stop(): Promise<void> {
    await this.browser.close();
    await this.sql.end({ timeout: 5 });
    await this.stack.stop();
    await rm(this.#stateDir, { recursive: true, force: true });
  }

  /** A clinic that is open every day and around the clock, with two doctors, and no appointment. */
  clinic(zone = "Europe/London"): Promise<Clinic> {
    return aClinic(this.sql, { providers: 2, zone });
  }

  /** An account, and a member of a clinic if one is given. */
  async member(clinic?: Clinic, role: Role = "desk"): Promise<Account> {
    const email = `${role}-${crypto.randomUUID()}@clinic.test`;
    const response = await fetch(`${this.url}/auth/v1/admin/users`, {
      method: "POST",
      headers: { authorization: "Bearer sb_secret_local", "content-type": "application/json" },
      body: JSON.stringify({ email, password, email_confirm: true }),
    });
    const { id } = await response.json();
    if (clinic) await this.sql`select public.set_member(${clinic.id}, ${id}, ${role})`;
    return { userId: id, email, password };
  }

  /** A new window with a session of its own. What goes wrong in it makes the test fail at its end. */
  async open(options: BrowserContextOptions = {}): Promise<Page> {
    const context = await this.browser.newContext({
      locale: "en-GB",
      // Nobody's zone: times must be the clinic's.
      timezoneId: "Pacific/Kiritimati",
      viewport: { width: 1280, height: 900 },
      ...options,
    });
    context.setDefaultTimeout(limitMs);
    const page = await context.newPage();
    const problems: string[] = [];
    page.on("pageerror", (error) => problems.push(`error: ${error}`));
    page.on("dialog", (dialog) => problems.push(`dialog: ${dialog.message()}`));
    page.on("console", (message) => {
      // Refusals of a sign-in are logged by the browser as failed requests.
      if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) {
        problems.push(`console: ${message.text()}`);
      }
    });
    this.#problems.set(page, problems);
    this.#pages.push(page);
    return page;
  }

  /** Closes every window. @throws when one of them had an error */
  async closeAll(): Promise<void> {
    const pages = this.#pages.splice(0);
    const problems = pages.flatMap((page) => this.#problems.get(page) ?? []);
    for (const page of pages) {
      // A page that reads in the meantime is not a failure.
      await page.unrouteAll({ behavior: "ignoreErrors" });
      await page.context().close();
    }
    assert.deepEqual(problems, []);
  }

  /** Signs in and waits for the calendar of a day. */
  async signIn(account: Account, day?: string): Promise<Page> {
    const page = await this.open();
    await page.goto(`${this.url}/desk/`);
    await fillIn(page, account);
    if (day !== undefined) await showDay(page, day);
    return page;
  }

  /** Calls a tool as a call would. */
  async ask(
    clinic: Pick<Clinic, "number">,
    caller: { readonly phone: string; readonly callId: string },
    tool: string,
    args: object,
  ): Promise<Said> {
    const name = tool.replaceAll("-", "_");
    const facts = { called: clinic.number, caller: caller.phone, callId: caller.callId };
    const response = await fetch(`${this.url}/functions/v1/${tool}`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-vapi-secret": this.stack.vapiSecret },
      body: aToolCall({ tool: name, args, ...facts }),
    });
    return await readSaid(response);
  }

  /** A time on hold by a call. @returns The id of the hold */
  async hold(clinic: Clinic, time: string, patientName: string): Promise<string> {
    const caller = { phone: aPhone(), callId: crypto.randomUUID() };
    const slotId = `consultation/${aDay()}T${time}/doctor-1`;
    const { outcome, holdId } = await this.ask(clinic, caller, "hold-slot", {
      slotId,
      patientName,
    });
    assert.equal(outcome, "held");
    return holdId ?? "";
  }
}

/** A Tuesday soon, on which the local clinics are open. */
export const aTuesday = (): string =>
  Array.from({ length: 7 }, (_, index) => aDay(3 + index))
    .find((day) => new Date(day).getUTCDay() === 2) ?? "";

/** Fills in the sign-in form and sends it. */
export async function fillIn(page: Page, account: Account): Promise<void> {
  await page.getByLabel("E-mail address").fill(account.email);
  await page.getByLabel("Password").fill(account.password);
  await page.getByRole("button", { name: "Sign in" }).click();
}

/** Turns the calendar to a day. */
export async function showDay(page: Page, day: string): Promise<void> {
  await page.getByLabel("Day", { exact: true }).fill(day);
  await page.locator(`.columns[data-day="${day}"]`).waitFor();
}

/** Waits until a text is shown somewhere. */
export const shows = (page: Page, text: string | RegExp): Promise<void> =>
  page.getByText(text).first().waitFor();

/** The entry of a patient in the calendar. */
export const entryOf = (page: Page, name: string) =>
  page.locator(".calendar").getByRole("button", { name });

/** What axe finds serious on a page as it is, in words. */
export async function findBarriers(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  return await page.evaluate(async () => {
    // deno-lint-ignore no-explicit-any -- in the page, where axe is a global
    const { violations } = await (globalThis as any).axe.run();
    return violations
      .filter(({ impact }: { impact: string }) => ["serious", "critical"].includes(impact))
      .flatMap(({ id, nodes }: { id: string; nodes: { html: string; failureSummary: string }[] }) =>
        nodes.map(({ html, failureSummary }) => `${id}: ${html}: ${failureSummary}`)
      );
  });
}

let shared: Promise<BrowserStack> | undefined;

/** Registers a test that uses the one stack of its file; skipped where there is no Chromium. */
export function testInBrowser(name: string, work: (stack: BrowserStack) => Promise<void>): void {
  Deno.test(
    chromiumPath === undefined ? `SKIPPED, since Chromium is not installed: ${name}` : name,
    { ignore: chromiumPath === undefined },
    async () => {
      const stack = await (shared ??= BrowserStack.start());
      try {
        await work(stack);
      } finally {
        await stack.closeAll();
      }
    },
  );
}

Deno.test.afterAll(async () => {
  await (await shared)?.stop();
});
