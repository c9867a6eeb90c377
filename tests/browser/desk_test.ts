/** The front desk's page, as people use it: in a browser, beside running calls. */
import assert from "node:assert/strict";
import {
  type BrowserStack,
  entryOf,
  fillIn,
  showDay,
  shows,
  testInBrowser,
} from "../support/browser.ts";
import { aDay, aPhone, type Clinic } from "../support/clinic.ts";

/** A clinic, one of its staff in a window, and the day that is shown. */
async function aDesk(stack: BrowserStack) {
  const clinic = await stack.clinic();
  const account = await stack.member(clinic);
  const day = aDay();
  const page = await stack.signIn(account, day);
  return { clinic, account, day, page };
}

/** Books for a patient by the form. @returns What the page says */
async function book(page: Awaited<ReturnType<typeof aDesk>>["page"], name: string, time: string) {
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
  "an account of no clinic is told so, and a member who is removed too",
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
    const day =
      [7, 8, 9, 10].map((days) => aDay(days)).find((day) => new Date(day).getUTCDay() === 2) ??
        aDay(11);
    const page = await stack.signIn({
      userId: "",
      email: "desk@sunrise-dental.test",
      password: "local-desk-1",
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
    await page.getByRole("status").filter({ hasText: "Ada Brown: Booked." }).waitFor();
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

testInBrowser("a hold that ran out of codes is shown first, and resolved", async (stack) => {
  const { clinic, page } = await aDesk(stack);
  const [reached, closed] = [
    await stack.hold(clinic, "09:00", "Ada Brown"),
    await stack.hold(clinic, "10:00", "Ben Hill"),
  ];
  await stack.sql`update public.appointments set status = 'requires_manual_followup'
    where org_id = ${clinic.id}`;
  await shows(page, "2 things wait.");
  const needs = page.getByRole("region", { name: "Needs a person" });
  const resolve = (name: string) =>
    needs.getByRole("listitem").filter({ hasText: name }).getByRole("button", { name: "Resolve" })
      .click();
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
    await shows(page, "3 things wait.");
    await shows(page, "The text to ***01 did not arrive (error 30006).");
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
