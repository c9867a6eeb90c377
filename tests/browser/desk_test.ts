/** The front desk's page, as people use it: in a browser, while calls are running. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import {
  aTuesday,
  type BrowserStack,
  entryOf,
  fillIn,
  findBarriers,
  showDay,
  shows,
  testInBrowser,
} from "../support/browser.ts";
import { aDay, aPhone, type Clinic } from "../support/clinic.ts";
import { makeDesk } from "../../supabase/desk/site.ts";
import { localEmail, localPassword } from "../../supabase/local/members.ts";
import { runTask } from "../../supabase/tasks/task.ts";
import { call } from "../e2e/call.ts";
import { aTerminal } from "../support/terminal.ts";

/** A clinic, one of its staff in a window, and the day that is shown. */
async function aDesk(stack: BrowserStack) {
  const clinic = await stack.clinic();
  const account = await stack.member(clinic);
  const day = aDay();
  const page = await stack.signIn(account, day);
  return { clinic, account, day, page };
}

/** Books for a patient by the form. @returns What the page says */
async function book(page: Page, name: string, time: string): Promise<void> {
  await page.getByRole("button", { name: "Book", exact: true }).click();
  await page.getByLabel("Patient's name").fill(name);
  await page.getByRole("radio", { name: time }).check();
  await page.getByRole("button", { name: "Book this time" }).click();
}

testInBrowser("a member signs in and out, and a wrong password is said", async (stack) => {
  const clinic = await stack.clinic();
  const account = await stack.member(clinic);
  const page = await stack.open();
  await page.goto(`${stack.url}/desk`);
  await fillIn(page, { ...account, password: "another" });
  await page.getByRole("alert").filter({ hasText: "password is wrong" }).waitFor();
  await fillIn(page, account);
  await page.getByRole("heading", { name: "Sunrise Dental" }).waitFor();
  await page.reload();
  await page.getByRole("heading", { name: "Sunrise Dental" }).waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("Password").waitFor();
  // Nothing is left in the browser.
  assert.equal(await page.evaluate("sessionStorage.length + localStorage.length"), 0);
});

testInBrowser(
  "an account without a clinic is told so, and so is a member who was removed",
  async (stack) => {
    const clinic = await stack.clinic();
    const nobody = await stack.signIn(await stack.member());
    await shows(nobody, /is not a member of a clinic/);
    const account = await stack.member(clinic);
    const page = await stack.signIn(account);
    await page.getByRole("heading", { name: "Sunrise Dental" }).waitFor();
    await stack.sql`select public.set_member(${clinic.id}, ${account.userId}, null)`;
    await shows(page, /is not a member of a clinic, or no longer/);
  },
);

testInBrowser(
  "a call holds and books a time, and the page shows it without a reload",
  async (stack) => {
    const [sunrise] = await stack.sql<
      Clinic[]
    >`select c.value as number from public.org_channels as c
    join public.organizations as o on o.id = c.org_id
    where o.slug = 'sunrise-dental' and c.kind = 'called_number'`;
    assert.ok(sunrise);
    const day = aTuesday();
    const page = await stack.signIn({
      userId: "",
      email: localEmail("desk", "sunrise-dental"),
      password: localPassword,
    }, day);
    let loads = 0;
    page.on("load", () => loads++);
    const caller = { phone: aPhone(), callId: crypto.randomUUID() };
    const slotId = `consultation/${day}T10:00/ben-okafor`;
    const held = await stack.ask(sunrise, caller, "hold-slot", {
      slotId,
      patientName: "Grace Hill",
    });
    assert.equal(held.outcome, "held");
    const entry = entryOf(page, "Grace Hill");
    await entry.filter({ hasText: /On hold, \d+ min \d\d s left/ }).waitFor();
    const before = await entry.locator(".left").textContent();
    // It counts down.
    await page.waitForFunction((text) => {
      const { document } = globalThis as unknown as {
        document: { querySelector(s: string): { textContent: string } | null };
      };
      return document.querySelector(".entry.held .left")?.textContent !== text;
    }, before);
    assert.equal((await stack.ask(sunrise, caller, "send-otp", {})).outcome, "sent");
    const texts = await (await fetch(
      `${stack.url}/local/sms?to=${encodeURIComponent(caller.phone)}`,
    )).json();
    const code = /\d{6}/.exec(texts.at(-1).body)?.[0] ?? "";
    assert.equal((await stack.ask(sunrise, caller, "verify-otp", { code })).outcome, "confirmed");
    await entry.filter({ hasText: "Confirmed" }).waitFor();
    assert.equal(loads, 0);
  },
);

testInBrowser(
  "the desk books, and what is typed stays while the page reads again",
  async (stack) => {
    const { clinic, page } = await aDesk(stack);
    await page.getByRole("button", { name: "Book", exact: true }).click();
    const name = page.getByLabel("Patient's name");
    await name.fill("Ada");
    await page.getByRole("radio", { name: "10:00" }).check();
    await name.focus();
    // Somebody calls in the meantime, and the page behind the form shows it.
    await stack.hold(clinic, "11:00", "Grace Hill");
    await page.locator(".entry", { hasText: "Grace Hill" }).waitFor();
    await page.keyboard.type(" Brown");
    assert.equal(await name.inputValue(), "Ada Brown");
    await page.getByLabel("Phone, if the patient has one").fill("07700 900123");
    await page.getByRole("button", { name: "Book this time" }).click();
    await page.getByRole("status")
      .filter({ hasText: /^Ada Brown: Booked\. .*, \d\d:\d\d with Dr Number \d\.$/ }).waitFor();
    await entryOf(page, "Ada Brown").filter({ hasText: "10:00" }).waitFor();
    const [row] = await stack.sql`select patient_phone, patient_country from public.appointments
    where org_id = ${clinic.id} and patient_name = 'Ada Brown'`;
    assert.deepEqual({ ...row }, { patient_phone: "+447700900123", patient_country: "GB" });
  },
);

testInBrowser(
  "two desks want one time: one gets it, the other is told and books another",
  async (stack) => {
    const { clinic, day, page } = await aDesk(stack);
    const other = await stack.signIn(await stack.member(clinic), day);
    const desks = [{ page, name: "Ada Brown" }, { page: other, name: "Ben Hill" }];
    for (const one of desks) {
      await one.page.getByRole("button", { name: "Book", exact: true }).click();
      await one.page.getByRole("dialog").getByRole("combobox", { name: "Doctor" })
        .selectOption("Dr Number 1");
      await one.page.getByLabel("Patient's name").fill(one.name);
      await one.page.getByRole("radio", { name: "12:30" }).check();
    }
    await Promise.all(
      desks.map((one) => one.page.getByRole("button", { name: "Book this time" }).click()),
    );
    const became = await Promise.all(desks.map(async (one) => {
      const won = one.page.getByRole("status").filter({ hasText: `${one.name}: Booked.` });
      const lost = one.page.getByRole("alert").filter({ hasText: "has just been taken" });
      await won.or(lost).waitFor();
      return await lost.isVisible() ? "lost" : "won";
    }));
    assert.deepEqual(became.toSorted(), ["lost", "won"]);
    const loser = desks[became.indexOf("lost")];
    assert.ok(loser);
    // The taken time is no longer offered, and the name is still there.
    await loser.page.getByRole("radio", { name: "12:30" }).waitFor({ state: "detached" });
    await loser.page.getByRole("radio", { name: "13:00" }).check();
    await loser.page.getByRole("button", { name: "Book this time" }).click();
    for (const one of desks) {
      for (const { name } of desks) await entryOf(one.page, name).waitFor();
    }
  },
);

testInBrowser(
  "deno task call ends with a confirmation on the fake phone, and the open page shows both",
  async (stack) => {
    const [sunrise] = await stack.sql<Clinic[]>`
      select c.value as number from public.org_channels as c
      join public.organizations as o on o.id = c.org_id
      where o.slug = 'sunrise-dental' and c.kind = 'called_number'`;
    assert.ok(sunrise);
    // The day that the call is going to be offered.
    const caller = { phone: aPhone(), callId: crypto.randomUUID() };
    const { slots } = await stack.ask(sunrise, caller, "check-availability", {
      ...{ date: aDay(1), serviceType: "consultation", days: 7 },
    });
    const page = await stack.signIn(
      { userId: "", email: localEmail("desk", "sunrise-dental"), password: localPassword },
      /\d{4}-\d\d-\d\d/.exec(slots?.[0]?.slotId ?? "")?.[0],
    );
    let loads = 0;
    page.on("load", () => loads++);
    const { terminal, lines } = aTerminal();
    const code = await runTask(call, ["--clinic", "sunrise", "--url", stack.url], {
      ...{ env: {}, terminal },
    });
    assert.equal(code, 0, lines.join("\n"));
    assert.match(lines.join("\n"), /text to \*\*\*\d\d: "Sunrise Dental: you are booked/);
    await entryOf(page, "Ada Brown").filter({ hasText: "Confirmed" }).click();
    await page.getByRole("dialog").getByText(/^Confirmation: (sent|arrived), /).waitFor();
    assert.equal(loads, 0);
  },
);

testInBrowser(
  "texts about an appointment are shown with it, and one that failed needs a person",
  async (stack) => {
    const { clinic, page } = await aDesk(stack);
    await page.getByRole("button", { name: "Book", exact: true }).click();
    await page.getByLabel("Patient's name").fill("Ada Brown");
    await page.getByLabel("Phone, if the patient has one").fill("07700 900123");
    await page.getByLabel("The patient wants texts").check();
    await page.getByRole("radio", { name: "10:00" }).check();
    await page.getByRole("button", { name: "Book this time" }).click();
    await entryOf(page, "Ada Brown").click();
    // It has been written, and is sent within a second or two.
    await page.getByRole("dialog").getByText(/^Confirmation: /).waitFor();
    await page.getByRole("button", { name: "Close" }).click();
    const [row] = await stack.sql`select id, starts_at from public.appointments
      where org_id = ${clinic.id} and status = 'confirmed'`;
    await stack.sql`update public.appointments set patient_confirmed_at = now()
      where id = ${row?.["id"]}`;
    await entryOf(page, "Ada Brown").filter({ hasText: "Confirmed by the patient" }).waitFor();
    const text = async (kind: string, state: string, delivery: string | null) => {
      const sendId = crypto.randomUUID();
      await stack.sql`insert into public.sms_messages
          (org_id, id, appointment_id, origin, to_masked, status, delivery, error_code)
        values (${clinic.id}, ${sendId}, ${row?.["id"]}, ${kind}, '***23',
          ${delivery === null ? "refused" : "accepted"}, ${delivery}, 30006)`;
      await stack.sql`insert into public.appointment_texts
          (org_id, appointment_id, kind, starts_at, state, due_at, send_id)
        values (${clinic.id}, ${row?.["id"]}, ${kind}, ${
        row?.["starts_at"]
      }, ${state}, now(), ${sendId})`;
    };
    await text("reminder", "sent", "undelivered");
    await shows(page, "The reminder texted to ***23 did not arrive (error 30006).");
    // It will be tried again, so nobody has to do anything yet.
    await text("cancellation", "waiting", null);
    await text("change", "failed", null);
    await shows(page, "2 items to handle.");
    const needs = page.getByRole("region", { name: "Needs a person" });
    const change = needs.getByRole("listitem").filter({ hasText: "The new time texted to" });
    await change.getByRole("button", { name: "Open the appointment" }).click();
    await page.getByRole("dialog").getByText("Reminder: did not arrive (error 30006)").waitFor();
    await page.getByRole("dialog").getByText("New time: not sent.").waitFor();
    await page.getByRole("button", { name: "Close" }).click();
    for (const left of ["1 item to handle.", "Nothing to do."]) {
      await needs.getByRole("button", { name: "Done with the text" }).first().click();
      await shows(page, left);
    }
  },
);

testInBrowser(
  "a manager gives out a calendar and revokes it, and sets a doctor's own",
  async (stack) => {
    const clinic = await stack.clinic();
    const page = await stack.signIn(await stack.member(clinic, "manager"), aDay());
    const holdId = await stack.hold(clinic, "10:00", "Grace Hill");
    await page.getByRole("button", { name: "Calendar links" }).click();
    await page.getByLabel("Who gets it").fill("Her phone");
    await page.getByLabel("Appointments of").selectOption("Dr Number 1");
    await page.getByRole("button", { name: "Make an address" }).click();
    const address = await page.getByLabel("Address to copy").inputValue();
    const read = async () => {
      const response = await fetch(address);
      return `${response.status} ${(await response.text()).slice(0, 15)}`;
    };
    assert.equal(await read(), "200 BEGIN:VCALENDAR");
    await page.getByRole("listitem").filter({ hasText: "Her phone Dr Number 1" })
      .getByRole("button", { name: "Revoke" }).click();
    await shows(page, "Revoked. Its address no longer works.");
    assert.match(await read(), /^404/);

    const own = page.getByRole("form", { name: "Dr Number 1" });
    await own.getByRole("textbox").fill("http://calendar.invalid/secret");
    await own.getByRole("button", { name: "Save" }).click();
    await page.getByRole("alert").filter({ hasText: "begins with https://" }).waitFor();
    await own.getByRole("textbox").fill("webcal://calendar.invalid/secret");
    await own.getByRole("button", { name: "Save" }).click();
    // The host is all that anybody sees of it again.
    await own.getByText("Dr Number 1: calendar.invalid").waitFor();
    assert.equal(await page.getByText("secret").count(), 0);
    // The calendar turns out to be busy during a booking.
    await stack.sql`insert into public.time_off (org_id, provider_id, span, calendar_id)
      select a.org_id, a.provider_id, tstzrange(a.starts_at, a.ends_at), c.id
      from public.appointments as a join public.busy_calendars as c on c.org_id = a.org_id
      where a.id = ${holdId}`;
    await page.getByRole("button", { name: "Calendar", exact: true }).click();
    const needs = page.getByRole("listitem").filter({ hasText: "Doctor not free" });
    await needs.getByText("Grace Hill").waitFor();
    await needs.getByRole("button", { name: "Open the appointment" }).click();
    await page.getByRole("button", { name: "Release the hold" }).click();
    await page.getByRole("button", { name: /^Yes/ }).click();
    await shows(page, "Nothing to do.");
    await page.getByRole("button", { name: "Calendar links" }).click();
    await own.getByRole("button", { name: "Remove" }).click();
    await own.getByText("no calendar is read").waitFor();
  },
);

testInBrowser(
  "an owner changes roles and removes members, but not the last owner",
  async (stack) => {
    const clinic = await stack.clinic();
    const [owner, other] = [await stack.member(clinic, "owner"), await stack.member(clinic)];
    const manager = await stack.signIn(await stack.member(clinic, "manager"));
    await manager.getByRole("button", { name: "Calendar links" }).waitFor();
    assert.equal(await manager.getByRole("button", { name: "Members" }).count(), 0);
    const page = await stack.signIn(owner);
    await page.getByRole("button", { name: "Members" }).click();
    const role = (email: string) => page.getByRole("combobox", { name: `Role of ${email}` });
    await role(owner.email).selectOption("viewer");
    await page.getByRole("alert").filter({ hasText: "A clinic keeps one owner." }).waitFor();
    assert.equal(await role(owner.email).inputValue(), "owner");
    await role(other.email).selectOption("manager");
    await shows(page, `${other.email}: The role was changed.`);
    await page.getByRole("button", { name: `Remove ${other.email}` }).click();
    await page.getByRole("button", { name: "No, keep" }).click();
    await page.getByRole("button", { name: `Remove ${other.email}` }).click();
    await page.getByRole("button", { name: "Yes, remove" }).click();
    await role(other.email).waitFor({ state: "detached" });
    const rows = await stack.sql`select user_id as id, role from public.org_members
    where org_id = ${clinic.id} order by role`;
    assert.deepEqual(rows.map((row) => row["role"]), ["manager", "owner"]);
  },
);

testInBrowser("a hold that ran out of codes is shown first, and resolved", async (stack) => {
  const { clinic, page } = await aDesk(stack);
  const [reached, closed] = [
    await stack.hold(clinic, "09:00", "Ada Brown"),
    await stack.hold(clinic, "10:00", "Ben Hill"),
  ];
  // The time of the first is kept for the desk.
  await stack.sql`update public.appointments
    set handed_over_at = now(), expires_at = now() + interval '30 minutes' where id = ${reached}`;
  await stack.sql`update public.appointments set status = 'requires_manual_followup'
    where id = ${closed}`;
  await shows(page, "2 items to handle.");
  await entryOf(page, "Ada Brown").filter({ hasText: /Needs a call, \d\d min \d\d s left/ })
    .waitFor();
  const needs = page.getByRole("region", { name: "Needs a person" });
  const item = (name: string) => needs.getByRole("listitem").filter({ hasText: name });
  await item("Ada Brown").getByText(/the time is kept for the desk: \d\d min \d\d s left/)
    .waitFor();
  await item("Ben Hill").getByText("the time is no longer kept").waitFor();
  const resolve = (name: string) => item(name).getByRole("button", { name: "Resolve" }).click();
  await resolve("Ada Brown");
  await page.getByRole("button", { name: "Patient comes: confirm" }).click();
  await page.getByRole("status").filter({ hasText: "Ada Brown: Confirmed." }).waitFor();
  await shows(page, "1 item to handle.");
  await entryOf(page, "Ada Brown").filter({ hasText: "Confirmed" }).waitFor();
  await resolve("Ben Hill");
  await page.getByRole("button", { name: "Close without a booking" }).click();
  await page.getByRole("button", { name: /^Yes/ }).click();
  await shows(page, "Nothing to do.");
  const rows = await stack.sql`select id, status from public.appointments
    where org_id = ${clinic.id} order by starts_at`;
  assert.deepEqual(rows.map(({ id, status }) => [id, status]), [
    [reached, "confirmed"],
    [closed, "cancelled"],
  ]);
});

testInBrowser(
  "a message, a failed text and an alarm wait until somebody has dealt with them",
  async (stack) => {
    const { clinic, page } = await aDesk(stack);
    const other = await stack.signIn(await stack.member(clinic));
    const holdId = await stack.hold(clinic, "09:00", "Ada Brown");
    await stack.sql`insert into public.desk_messages (org_id, caller_name, phone, message)
    values (${clinic.id}, 'Ben Hill', '+447700900001', 'Please call me')`;
    await stack.sql`insert into public.sms_messages
      (org_id, id, appointment_id, origin, to_masked, status, delivery, error_code)
    values (${clinic.id}, gen_random_uuid(), ${holdId}, 'own_number', '***01', 'accepted',
      'undelivered', 30006)`;
    await stack.sql`insert into public.alarms (org_id, kind, raised_at, first_at, events)
    values (${clinic.id}, 'wrong_codes', now(), now(), 50)`;
    await shows(page, "3 items to handle.");
    await shows(page, "The code texted to ***01 did not arrive (error 30006).");
    await page.getByRole("button", { name: "Book for this caller" }).click();
    assert.equal(await page.getByLabel("Patient's name").inputValue(), "Ben Hill");
    await page.getByRole("button", { name: "Close" }).click();
    for (const about of ["the message of Ben Hill", "the text to ***01", "the alarm"]) {
      await page.getByRole("button", { name: `Done with ${about}` }).click();
      await page.getByRole("button", { name: `Done with ${about}` }).waitFor({ state: "detached" });
    }
    await shows(page, "Nothing to do.");
    await shows(other, "Nothing to do.");
  },
);

testInBrowser("an appointment is cancelled only after a question", async (stack) => {
  const { clinic, page } = await aDesk(stack);
  await book(page, "Ada Brown", "10:00");
  await entryOf(page, "Ada Brown").click();
  await page.getByRole("button", { name: "Cancel appointment" }).click();
  await shows(page, /^Cancel Ada Brown, Consultation with Dr Number \d on .*10:00\?/);
  await page.getByRole("button", { name: "No, go back" }).click();
  await page.getByRole("button", { name: "Cancel appointment" }).click();
  await page.getByRole("button", { name: /^Yes/ }).click();
  await page.getByRole("status").filter({ hasText: "Ada Brown: Cancelled." }).waitFor();
  await entryOf(page, "Ada Brown").waitFor({ state: "detached" });
  const [row] = await stack.sql`select status from public.appointments where org_id = ${clinic.id}`;
  assert.equal(row?.["status"], "cancelled");
});

testInBrowser("what another desk has cancelled is no longer moved or cancelled", async (stack) => {
  const { account, day, page } = await aDesk(stack);
  await book(page, "Ada Brown", "10:00");
  const [moving, asking] = [await stack.signIn(account, day), await stack.signIn(account, day)];
  await entryOf(moving, "Ada Brown").click();
  await moving.getByRole("button", { name: "Another time" }).click();
  await moving.getByRole("button", { name: "Move here" }).waitFor();
  await entryOf(asking, "Ada Brown").click();
  await asking.getByRole("button", { name: "Cancel appointment" }).click();
  await asking.getByRole("button", { name: /^Yes/ }).waitFor();
  await entryOf(page, "Ada Brown").click();
  await page.getByRole("button", { name: "Cancel appointment" }).click();
  await page.getByRole("button", { name: /^Yes/ }).click();
  for (const other of [moving, asking]) {
    const dialog = other.getByRole("dialog");
    await dialog.getByText("Cancelled").waitFor();
    await dialog.getByRole("button", { name: /^(Move here|Yes)/ }).waitFor({ state: "detached" });
  }
});

testInBrowser("names and messages are text, whatever is in them", async (stack) => {
  const { clinic, day, page } = await aDesk(stack);
  const name = "<img src=x onerror=alert(1)><script>alert(2)</script>";
  await book(page, name, "10:00");
  await entryOf(page, name).waitFor();
  await stack.sql`insert into public.desk_messages (org_id, caller_name, phone, message)
    values (${clinic.id}, ${name}, '+447700900001', ${'"><svg onload=alert(3)>'})`;
  await shows(page, '"><svg onload=alert(3)>');
  await entryOf(page, name).click();
  await page.getByRole("heading", { name }).waitFor();
  await page.getByRole("button", { name: "Close" }).click();
  await showDay(page, day);
  assert.equal(await page.locator("main img, main script, main svg").count(), 0);
});

testInBrowser("a member of another clinic sees nothing of this one", async (stack) => {
  const { clinic, page, day } = await aDesk(stack);
  await book(page, "Ada Brown", "10:00");
  await entryOf(page, "Ada Brown").waitFor();
  const other = await stack.clinic();
  const stranger = await stack.signIn(await stack.member(other, "owner"), day);
  await stack.hold(other, "11:00", "Ben Hill");
  await entryOf(stranger, "Ben Hill").waitFor();
  assert.equal(await stranger.getByText("Ada Brown").count(), 0);
  // Nor if the page asked for it.
  const token = await stranger.evaluate(
    "JSON.parse(sessionStorage.getItem(sessionStorage.key(0))).access_token",
  );
  const asked = await fetch(`${stack.url}/rest/v1/appointments?org_id=eq.${clinic.id}`, {
    headers: { apikey: "sb_publishable_local", authorization: `Bearer ${token}` },
  });
  assert.deepEqual([asked.status, await asked.json()], [200, []]);
});

testInBrowser(
  "an appointment is moved to another doctor and day, and marked on its day",
  async (stack) => {
    const { clinic, page, account } = await aDesk(stack);
    await book(page, "Ada Brown", "10:00");
    await entryOf(page, "Ada Brown").click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("button", { name: "Another time" }).click();
    await dialog.getByRole("combobox", { name: "Doctor" }).selectOption("Dr Number 2");
    await dialog.getByLabel("Day").fill(aDay(3));
    await dialog.getByRole("radio", { name: "14:30" }).check();
    await dialog.getByRole("button", { name: "Move here" }).click();
    await page.getByRole("status").filter({ hasText: "Ada Brown: Moved." }).waitFor();
    await showDay(page, aDay(3));
    await page.getByRole("region", { name: "Dr Number 2" }).getByRole("button", {
      name: "Ada Brown",
    })
      .filter({ hasText: "14:30" }).waitFor();
    // The week shows it as well.
    await page.getByLabel("Show").selectOption("the week");
    await page.locator(".week").getByRole("button", { name: "Ada Brown" }).waitFor();
    // Two days later it has begun.
    await stack.sql`update public.appointments set starts_at = now() - interval '5 minutes',
      ends_at = now() + interval '25 minutes',
      busy = tstzrange(now() - interval '5 minutes', now() + interval '25 minutes')
    where org_id = ${clinic.id} and status = 'confirmed'`;
    const today = await stack.signIn(account);
    for (
      const [press, then] of [
        ["Arrived", "Arrived"],
        ["Take the mark back", "Confirmed"],
        ["Did not come", "Did not come"],
      ] as const
    ) {
      await entryOf(today, "Ada Brown").click();
      await today.getByRole("dialog").getByRole("button", { name: press }).click();
      await today.getByRole("status").filter({ hasText: "Ada Brown: Marked." }).waitFor();
      await entryOf(today, "Ada Brown").filter({ hasText: then }).waitFor();
    }
  },
);

testInBrowser("a patient's history is found by the number as people write it", async (stack) => {
  const { clinic, page } = await aDesk(stack);
  await stack.hold(clinic, "09:00", "Grace Hill");
  const [row] = await stack.sql`select patient_phone as phone from public.appointments
    where org_id = ${clinic.id}`;
  const phone = String(row?.["phone"]);
  await page.getByRole("button", { name: "Patients" }).click();
  await page.getByLabel("Phone number").fill("12");
  await page.getByRole("button", { name: "Look up" }).click();
  await page.getByRole("alert").filter({ hasText: "not a complete phone number" }).waitFor();
  await page.getByLabel("Phone number").fill(phone.replace("+44", "0"));
  await page.getByRole("button", { name: "Look up" }).click();
  await page.getByRole("button", { name: "Grace Hill" }).filter({ hasText: "On hold" }).waitFor();
  await page.getByRole("button", { name: "Block this number" }).click();
  await shows(page, /^Blocked\./);
  await page.getByText("It is blocked").waitFor();
  assert.equal(await page.getByRole("button", { name: "Block this number" }).count(), 0);
  await page.getByRole("button", { name: "Unblock" }).click();
  await shows(page, "The number is no longer blocked.");
  await page.getByRole("button", { name: "Block this number" }).waitFor();
  assert.equal(await page.getByText("It is blocked").count(), 0);
});

testInBrowser(
  "a manager changes hours and days off, and hears which bookings no longer fit",
  async (stack) => {
    const clinic = await stack.clinic();
    const page = await stack.signIn(await stack.member(clinic, "manager"), aDay());
    await book(page, "Ada Brown", "10:00");
    await entryOf(page, "Ada Brown").waitFor();
    await page.getByRole("button", { name: "Hours and days off" }).click();
    const closing = page.getByRole("region", { name: "Closing days" });
    await closing.getByLabel("First day").fill(aDay());
    await closing.getByRole("button", { name: "Close on these days" }).click();
    await shows(page, /^Saved\. These bookings no longer fit/);
    await page.getByRole("listitem").filter({ hasText: /10:00, Consultation with Dr Number/ })
      .waitFor();
    await closing.getByRole("button", { name: /^Open again/ }).click();
    await closing.getByText("None ahead.").waitFor();
    const monday = page.getByLabel("Monday");
    assert.equal(await monday.inputValue(), "00:00-23:00");
    await monday.fill("9 to 5");
    await page.getByRole("button", { name: "Save weekly hours" }).click();
    await shows(page, /^Monday: write hours as/);
    await monday.fill("09:00-12:00, 11:00-17:00");
    await page.getByRole("button", { name: "Save weekly hours" }).click();
    await page.getByRole("alert").filter({ hasText: "Monday: 09:00-12:00, 11:00-17:00 overlap." })
      .waitFor();
    await monday.fill("09:00-12:00, 13:00-17:00");
    await page.getByRole("button", { name: "Save weekly hours" }).click();
    await page.getByRole("status").filter({ hasText: "Saved." }).waitFor();
    const off = page.getByRole("region", { name: "Time off" });
    await off.getByLabel("First day").fill(aDay(5));
    await off.getByLabel("Last day").fill(aDay(4));
    await off.getByRole("button", { name: "Add time off" }).click();
    await off.getByRole("alert").filter({ hasText: "ends before it begins" }).waitFor();
    assert.equal(await page.getByText("Saved.").count(), 0);
    await off.getByLabel("Last day").fill(aDay(6));
    await off.getByRole("button", { name: "Add time off" }).click();
    await off.getByRole("button", { name: /^Remove/ }).waitFor();
    const rows = await stack.sql`select start_min, end_min from public.working_hours as w
    join public.providers as p on p.org_id = w.org_id and p.id = w.provider_id
    where w.org_id = ${clinic.id} and p.slug = 'doctor-1' and dow = 1 order by 1`;
    assert.deepEqual(rows.map((row) => Object.values(row)), [[540, 720], [780, 1020]]);
    const [span] = await stack.sql`select (upper(span) at time zone 'Europe/London')::text as ends
    from public.time_off where org_id = ${clinic.id}`;
    assert.equal(span?.["ends"], `${aDay(7)} 00:00:00`);
  },
);

testInBrowser("an owner reads who did what to an appointment, and in which call", async (stack) => {
  const clinic = await stack.clinic();
  const [owner, desk] = [await stack.member(clinic, "owner"), await stack.member(clinic, "desk")];
  const holdId = await stack.hold(clinic, "09:00", "Grace Hill");
  const page = await stack.signIn(desk, aDay());
  await entryOf(page, "Grace Hill").click();
  assert.equal(await page.getByText("What happened").count(), 0, "only managers read the log");
  await page.getByRole("button", { name: "Confirm without a code" }).click();
  await entryOf(page, "Grace Hill").filter({ hasText: "Confirmed" }).waitFor();
  const reader = await stack.signIn(owner, aDay());
  await entryOf(reader, "Grace Hill").click();
  await reader.getByText("What happened").click();
  const [row] = await stack.sql`select call_id as "callId" from public.appointments
    where id = ${holdId}`;
  await reader.getByRole("listitem")
    .filter({ hasText: /The caller \(\*\*\*\d\d\) put this time on hold\./ })
    .filter({ hasText: `call ${row?.["callId"]}` }).waitFor();
  await reader.getByRole("listitem")
    .filter({ hasText: `${desk.email} confirmed this without a code.` }).waitFor();
});

testInBrowser(
  "a viewer is offered no actions, and after a lost role an action is refused with a sentence",
  async (stack) => {
    const { clinic, page, account } = await aDesk(stack);
    await book(page, "Ada Brown", "10:00");
    const viewer = await stack.signIn(await stack.member(clinic, "viewer"), aDay());
    await entryOf(viewer, "Ada Brown").click();
    const dialog = viewer.getByRole("dialog");
    await dialog.getByText("Confirmed").waitFor();
    assert.deepEqual(await dialog.getByRole("button").allTextContents(), ["Close"]);
    await dialog.getByRole("button", { name: "Close" }).click();
    for (const name of ["Book", "Patients"]) {
      assert.equal(await viewer.getByRole("button", { name, exact: true }).count(), 0, name);
    }
    assert.equal(await viewer.getByText("Needs a person").count(), 0);
    assert.equal(await viewer.locator("button.entry.open").count(), 0);
    // The page of somebody whose role has just changed does not know it yet.
    await entryOf(page, "Ada Brown").click();
    await page.getByRole("button", { name: "Cancel appointment" }).click();
    await page.route("**/rest/v1/org_members*", (route) => route.abort());
    await stack.sql`select public.set_member(${clinic.id}, ${account.userId}, 'viewer')`;
    await page.getByRole("button", { name: /^Yes/ }).click();
    await page.getByRole("alert").filter({ hasText: "Your role does not allow this." }).waitFor();
    await shows(page, /^Not up to date/);
    await page.evaluate("scrollTo(0, document.body.scrollHeight)");
    const notice = await page.getByText(/^Not up to date/).boundingBox();
    assert.ok(notice && notice.y >= 0, "the notice is scrolled away");
    await page.unrouteAll();
    await page.getByRole("button", { name: "Cancel appointment" }).waitFor({ state: "detached" });
  },
);

testInBrowser("a keyboard is enough: sign in, book, cancel", async (stack) => {
  const clinic = await stack.clinic();
  const account = await stack.member(clinic);
  const page = await stack.open();
  await page.goto(`${stack.url}/desk/`);
  await page.getByLabel("Password").waitFor();
  const { keyboard } = page;
  /** Presses Tab until the focus is on something, as a person would. */
  const tabTo = async (name: string | RegExp, role: "button" | "textbox" | "radio" = "button") => {
    const wanted = page.getByRole(role, { name }).and(page.locator(":focus"));
    for (let presses = 0; presses < 80 && await wanted.count() === 0; presses++) {
      await keyboard.press("Tab");
    }
    assert.equal(await wanted.count(), 1, `${name} cannot be reached`);
  };
  await tabTo("E-mail address", "textbox");
  await keyboard.type(account.email);
  await keyboard.press("Tab");
  await keyboard.type(account.password);
  await keyboard.press("Enter");
  await page.getByRole("heading", { name: "Sunrise Dental" }).waitFor();
  await tabTo("Later");
  await keyboard.press("Enter");
  await keyboard.press("Enter");
  await page.locator(`.columns[data-day="${aDay()}"]`).waitFor();
  await tabTo("Book");
  await keyboard.press("Enter");
  await page.getByRole("radio").first().waitFor();
  await tabTo(/^\d\d:\d\d/, "radio");
  await keyboard.press("Space");
  await tabTo("Patient's name", "textbox");
  await keyboard.type("Ada Brown");
  await keyboard.press("Enter");
  await page.getByRole("status").filter({ hasText: "Ada Brown: Booked." }).waitFor();
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await tabTo(/Ada Brown/);
  await keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  await keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  // The focus is where it was.
  await page.getByRole("button", { name: "Ada Brown" }).and(page.locator(":focus")).waitFor();
  await keyboard.press("Enter");
  await tabTo("Cancel appointment");
  await keyboard.press("Enter");
  await tabTo(/^Yes/);
  await keyboard.press("Enter");
  await page.getByRole("status").filter({ hasText: "Ada Brown: Cancelled." }).waitFor();
});

testInBrowser(
  "a double click does not cancel unasked, and the question begins at no",
  async (stack) => {
    const { clinic, page } = await aDesk(stack);
    await book(page, "Ada Brown", "09:00");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await entryOf(page, "Ada Brown").click();
    // Whatever is pressed next, the answer is under the pointer.
    await page.evaluate(() => {
      const cover = new CSSStyleSheet();
      cover.replaceSync(".question .danger { position: fixed; inset: 0 }");
      document.adoptedStyleSheets = [cover];
    });
    const cancel = page.getByRole("button", { name: "Cancel appointment", exact: true });
    const question = page.getByRole("group", { name: /^Cancel Ada Brown/ });
    await cancel.dblclick();
    const no = question.getByRole("button", { name: "No, go back" });
    await no.press("Enter");
    await cancel.press("Enter");
    await no.and(page.locator(":focus")).waitFor();
    const [{ status } = { status: "" }] = await stack.sql`
    select status from public.appointments where org_id = ${clinic.id}`;
    assert.equal(status, "confirmed");
    await question.getByRole("button", { name: "Yes, cancel appointment" }).click();
    await page.getByRole("status").filter({ hasText: "Ada Brown: Cancelled." }).waitFor();
  },
);

/** A day with something in every state, and everything that can need a person. */
async function aFullDay(stack: BrowserStack) {
  const clinic = await stack.clinic();
  const states = ["held", "confirmed", "arrived", "completed", "no_show"];
  for (const [index, state] of states.entries()) {
    const id = await stack.hold(clinic, `${9 + index}:00`.padStart(5, "0"), `Patient ${state}`);
    if (state === "held") continue;
    await stack.sql`with c as (
        insert into public.contacts (org_id, name) values (${clinic.id}, 'Patient') returning id)
      update public.appointments as a set status = ${state === "arrived" ? "confirmed" : state},
        expires_at = null, contact_id = c.id, arrived_at = ${
      state === "arrived" ? new Date() : null
    }
      from c where a.id = ${id}`;
  }
  const followUp = await stack.hold(clinic, "15:00", "Patient follow-up");
  await stack.sql`update public.appointments set status = 'requires_manual_followup'
    where id = ${followUp}`;
  await stack
    .sql`insert into public.desk_messages (org_id, caller_name, phone, wished_time, message)
    values (${clinic.id}, 'Ben Hill', '+447700900001', 'tomorrow morning', 'Please call me')`;
  await stack.sql`insert into public.alarms (org_id, kind, raised_at, first_at, events)
    values (${clinic.id}, 'wrong_codes', now(), now(), 50)`;
  return { clinic, owner: await stack.member(clinic, "owner") };
}

for (const colorScheme of ["light", "dark"] as const) {
  testInBrowser(
    `axe finds nothing serious, ${colorScheme}, on a desk and at 360 pixels`,
    async (stack) => {
      const { clinic, owner } = await aFullDay(stack);
      for (const width of [1280, 360]) {
        const options = { colorScheme, viewport: { width, height: 800 } };
        const page = await stack.open(options);
        await page.goto(`${stack.url}/desk/`);
        await page.getByLabel("Password").waitFor();
        const check = async (what: string) => {
          assert.deepEqual(await findBarriers(page), [], `${what}, ${width}`);
          const surplus = await page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth",
          );
          assert.ok(Number(surplus) <= 0, `${what} is ${surplus} pixels too wide for ${width}`);
        };
        await check("sign-in");
        await fillIn(page, owner);
        await page.getByRole("heading", { name: "Sunrise Dental" }).waitFor();
        await showDay(page, aDay());
        await entryOf(page, "Patient no_show").waitFor();
        await shows(page, "3 items to handle.");
        await check("day");
        // Each state has a color of its own.
        const colors = await page.locator(".legend .entry").evaluateAll((entries) =>
          entries.map((entry) => {
            const { backgroundColor, borderInlineStartColor } = getComputedStyle(entry);
            return `${backgroundColor} ${borderInlineStartColor}`;
          })
        );
        assert.equal(new Set(colors).size, 7, colors.join());
        await page.getByLabel("Show").selectOption("the week");
        await page.locator(".week").first().waitFor();
        await check("week");
        await entryOf(page, "Patient confirmed").click();
        await page.getByText("What happened").click();
        await shows(page, /put this time on hold/);
        await check("appointment");
        await page.getByRole("button", { name: "Close" }).click();
        await page.getByRole("button", { name: "Book", exact: true }).click();
        await page.getByRole("radio").first().waitFor();
        await check("booking");
        await page.getByRole("button", { name: "Close" }).click();
        await page.getByRole("button", { name: "Hours and days off" }).click();
        await page.getByLabel("Monday").waitFor();
        await check("hours");
        await page.getByRole("button", { name: "Calendar links" }).click();
        await page.getByLabel("Who gets it").waitFor();
        await check("calendar links");
        await page.getByRole("button", { name: "Members" }).click();
        await page.getByRole("combobox", { name: /^Role of/ }).waitFor();
        await check("members");
        await page.getByRole("button", { name: "Patients" }).click();
        await page.getByLabel("Phone number").fill("+447700900001");
        await page.getByRole("button", { name: "Look up" }).click();
        await shows(page, "Please call me");
        await check("patient");
      }
      assert.ok(clinic.id);
    },
  );
}

testInBrowser(
  "the files of deno task desk work from another host, and from nowhere else",
  async (stack) => {
    const clinic = await stack.clinic();
    const account = await stack.member(clinic);
    const { files, headers } = await makeDesk({ url: stack.url, key: "sb_publishable_local" });
    const page = await stack.open();
    const asked = new Set<string>();
    page.on("request", (request) => asked.add(new URL(request.url()).origin));
    const host = "http://desk.example.org";
    await page.route(`${host}/**`, (route) => {
      const path = new URL(route.request().url()).pathname.replace("/front/", "") || "index.html";
      const file = files.get(path);
      return route.fulfill(
        file
          ? { body: file.text, contentType: file.type, headers }
          : { status: 404, body: `no ${path}` },
      );
    });
    // The local stack refuses other pages, which a project does not.
    await page.route(`${stack.url}/**`, async (route) => {
      const { origin: _, "sec-fetch-site": __, ...sent } = await route.request().allHeaders();
      const method = route.request().method();
      if (method === "OPTIONS") {
        return route.fulfill({
          headers: {
            "access-control-allow-origin": "*",
            "access-control-allow-headers": "*, authorization",
            "access-control-allow-methods": "*",
          },
        });
      }
      const answer = await route.fetch({ headers: sent });
      await route.fulfill({
        response: answer,
        headers: { ...answer.headers(), "access-control-allow-origin": "*" },
      });
    });
    await page.goto(`${host}/front/`);
    await fillIn(page, account);
    await page.getByRole("heading", { name: "Sunrise Dental" }).waitFor();
    assert.deepEqual([...asked].sort(), [host, stack.url].sort());
  },
);
