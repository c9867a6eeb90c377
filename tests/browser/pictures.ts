// deno-lint-ignore-file no-console -- a command-line program
/**
 * Takes the pictures of both pages that the documents show:
 * `deno run -A --unstable-no-legacy-abort tests/browser/pictures.ts`.
 *
 * @module
 */

import { aTuesday, BrowserStack, entryOf, fillIn, showDay } from "../support/browser.ts";
import { aPhone, type Clinic } from "../support/clinic.ts";
import type { Page } from "playwright-core";
import { localEmail, localPassword } from "../../supabase/local/members.ts";

const folder = new URL("../../docs/pictures/", import.meta.url).pathname;
const day = aTuesday();

const held = [
  ["amara-patel", "09:00", "Ada Brown", "confirmed"],
  ["amara-patel", "10:30", "Ivan Novak", "confirmed"],
  ["amara-patel", "14:00", "Grace Hill", "held"],
  ["ben-okafor", "09:30", "Mei Tanaka", "arrived"],
  ["ben-okafor", "11:00", "Sofia Rossi", "confirmed"],
  ["ben-okafor", "15:30", "Omar Haddad", "no_show"],
  ["chloe-hughes", "10:00", "Lena Berg", "completed"],
  ["chloe-hughes", "13:00", "Tom Reilly", "requires_manual_followup"],
] as const;

/** Plays a call to its end in the console, and takes pictures of its parts. */
async function showConsole(page: Page): Promise<void> {
  await page.goto(`${stack.url}/`);
  await page.locator(".guide summary").click();
  const say = (name: string | RegExp) =>
    page.getByRole("group", { name: "You could say" }).getByRole("button", { name }).first()
      .click();
  await page.getByRole("button", { name: "Call", exact: true }).click();
  await say("A consultation next Tuesday");
  await say(/^\w+day \d+ \w+ at /);
  await say("Ada Brown");
  await say(/^\d{6}$/);
  await page.getByText("that's confirmed").first().waitFor();
  await page.getByText(/you are booked for/).first().waitFor();
  await page.evaluate("scrollTo(0, 0)");
  await page.screenshot({ path: `${folder}console.png` });
  await page.getByRole("row", { name: /verify_otp \d+ / }).waitFor();
  await page.locator("#operate .figures").screenshot({ path: `${folder}console-operate.png` });
  await page.getByRole("button", { name: "Send 200 callers at it" }).click();
  await page.locator("#book .outcome").waitFor();
  await page.getByRole("cell", { name: /held .* left Caller/ }).waitFor();
  await page.locator("#book .scroll").evaluate((node) => node.style.maxHeight = "16rem");
  await page.locator("#book").screenshot({ path: `${folder}console-race.png` });
  for (const name of ["A hundred codes", "A list of names"]) {
    await page.getByRole("button", { name }).click();
    await page.getByRole("article").filter({ hasText: name }).waitFor();
  }
  await page.locator("#attack").screenshot({ path: `${folder}console-attack.png` });
}

const stack = await BrowserStack.start("pictures");
try {
  const [clinic] = await stack.sql<Clinic[]>`
    select o.id, c.value as number from public.org_channels as c
    join public.organizations as o on o.id = c.org_id
    where o.slug = 'sunrise-dental' and c.kind = 'called_number'`;
  if (!clinic) throw new Error("Cannot find sunrise-dental");
  for (const [doctor, time, patientName, state] of held) {
    const caller = { phone: aPhone(), callId: crypto.randomUUID() };
    const slotId = `consultation/${day}T${time}/${doctor}`;
    const { holdId = "" } = await stack.ask(clinic, caller, "hold-slot", { slotId, patientName });
    if (state === "held") continue;
    const status = state === "arrived" ? "confirmed" : state;
    await stack.sql`with c as (
        insert into public.contacts (org_id, name) values (${clinic.id}, ${patientName}) returning id)
      update public.appointments as a set status = ${status}, contact_id = c.id, expires_at = null,
        arrived_at = ${state === "arrived" ? new Date() : null}
      from c where a.id = ${holdId}`;
  }
  await stack
    .sql`insert into public.desk_messages (org_id, caller_name, phone, wished_time, message)
    values (${clinic.id}, 'Noor Aziz', '+447700900321', 'tomorrow morning', 'I may be ten minutes late on Tuesday.')`;
  await Deno.mkdir(folder, { recursive: true });
  for (
    const [name, colorScheme, width, height] of [
      ["desk", "light", 1280, 1000],
      ["desk-phone", "dark", 360, 780],
    ] as const
  ) {
    const page = await stack.open({ colorScheme, viewport: { width, height } });
    await page.goto(`${stack.url}/desk/`);
    await fillIn(page, {
      userId: "",
      email: localEmail("desk", "sunrise-dental"),
      password: localPassword,
    });
    await showDay(page, day);
    await entryOf(page, "Grace Hill").waitFor();
    await page.screenshot({ path: `${folder}${name}.png` });
    console.log(`${folder}${name}.png`);
  }
  await showConsole(await stack.open({ viewport: { width: 1280, height: 820 } }));
} finally {
  await stack.stop();
}
Deno.exit(0);
