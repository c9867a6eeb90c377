// deno-lint-ignore-file no-console -- a command-line program
/**
 * Takes the pictures of the desk's page that the documents show:
 * `deno run -A --unstable-no-legacy-abort tests/browser/pictures.ts`.
 *
 * @module
 */

import { aTuesday, BrowserStack, entryOf, fillIn, showDay } from "../support/browser.ts";
import { aPhone, type Clinic } from "../support/clinic.ts";
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
} finally {
  await stack.stop();
}
Deno.exit(0);
