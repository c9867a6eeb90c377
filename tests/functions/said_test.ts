/** check_availability with what callers and models really send. */
import assert from "node:assert/strict";
import checkAvailability from "../../functions/check-availability/index.ts";
import holdSlot from "../../functions/hold-slot/index.ts";
import {
  aClinic,
  aDay,
  type Bench,
  type Clinic,
  testWithBench as test,
} from "../support/clinic.ts";

const ask = (bench: Bench, clinic: Clinic, args: object) =>
  bench.ask(checkAvailability, {
    tool: "check_availability",
    called: clinic.number,
    args: { date: aDay(2, clinic.zone), serviceType: "consultation", ...args },
  });

test("values that mean nothing are left out, required ones are asked for", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  for (const nothing of ["null", "None", "N/A", "undefined", "not provided", "-", "{{ x }}"]) {
    const said = await ask(bench, clinic, {
      ...{ providerName: nothing, partOfDay: nothing, days: nothing },
      ...{ tenantId: nothing, inboundPhoneNumber: nothing },
    });
    assert.equal(said.outcome, "available", `${nothing}: ${JSON.stringify(said)}`);
    const held = await bench.ask(holdSlot, {
      tool: "hold_slot",
      called: clinic.number,
      callId: crypto.randomUUID(),
      args: { slotId: said.slots?.[0]?.slotId, patientName: nothing },
    });
    assert.equal(held.outcome, "invalid_arguments");
    assert.deepEqual(held["fields"], ["patientName"]);
  }
});

test("a day is counted from the clinic's today, in the clinic's order, and an offset is an instant", async (bench) => {
  const zone = "America/New_York";
  const clinic = await aClinic(bench.database.sql, { zone });
  await bench.database.sql`update public.organizations set default_country = 'US'
    where id = ${clinic.id}`;
  const dayOf = async (date: unknown) => {
    const said = await ask(bench, clinic, { date });
    assert.equal(said.outcome, "available", JSON.stringify(said));
    return said.slots?.[0]?.startTime.slice(0, 10);
  };
  const [year, month, day] = aDay(20, zone).split("-").map(Number);
  assert.equal(await dayOf("tomorrow"), aDay(1, zone));
  assert.equal(await dayOf("in three days"), aDay(3, zone));
  assert.equal(await dayOf(`${year}-${month}-${day}`), aDay(20, zone));
  assert.equal(await dayOf(`${month}/${day}/${year}`), aDay(20, zone));
  // Two in the morning in London is the evening before in New York.
  assert.equal(await dayOf(`${aDay(21, zone)}T02:00:00Z`), aDay(20, zone));
  const weekday = (await dayOf("next Tuesday")) ?? "";
  assert.equal(new Date(`${weekday}T00:00:00Z`).getUTCDay(), 2);
  await bench.database.sql`update public.organizations set default_country = 'GB'
    where id = ${clinic.id}`;
  assert.equal(await dayOf(`${day}/${month}/${year}`), aDay(20, zone));
});

test("an unreadable or invalid date is asked for again, with today and its weekday", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  const unread = ["2026-12-011", "soon", "2027-02-30", "31/31/2027", "29 February 2027"];
  const none = ["TBD", "null", "", "N/A", null, undefined, {}, true];
  for (const date of [...unread, ...none, "end of next week"]) {
    const said = await ask(bench, clinic, { date });
    assert.equal(said.outcome, "date_unclear", JSON.stringify(said));
    assert.equal(said["today"], aDay(0));
    assert.match(said.message, /Today is \w+day \d+ \w+ \d{4}/);
    assert.match(String(said["todayIs"]), /^\w+day \d/);
    assert.deepEqual(said["fields"], ["date"]);
    assert.equal(said.action, "RETRY");
  }
  const past = await ask(bench, clinic, { date: "2020-01-01" });
  assert.match(past.message, /today is \w+day/);
});

test("a weekday next to a date has to fit, and a day without a month is the next that fits", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  const names = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
  const day = aDay(20);
  const weekday = new Date(`${day}T00:00:00Z`).getUTCDay();
  const [right, wrong] = [names[weekday] ?? "", names[(weekday + 3) % 7] ?? ""];
  for (const date of [`${right} ${day}`, `${day} (${right})`, `${right.slice(0, 3)} ${day}`]) {
    const said = await ask(bench, clinic, { date });
    assert.equal(said.outcome, "available", date);
    assert.equal(said.slots?.[0]?.startTime.slice(0, 10), day);
  }
  for (const date of [`${wrong} ${day}`, `${day}, ${wrong}`]) {
    const said = await ask(bench, clinic, { date });
    assert.equal(said.outcome, "date_unclear", date);
    assert.match(said.message, new RegExp(`^\\d+ \\w+ is a ${right}, not a ${wrong}\\. Today is`));
    assert.equal(said["today"], aDay(0));
  }
});

test("an unreadable optional value is ignored, and the answer says so", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  const said = await ask(bench, clinic, { partOfDay: "blue", days: "several" });
  assert.equal(said.outcome, "available");
  assert.match(said.message, /didn't get the time of day and how many days/);
  assert.deepEqual(said["ignored"], ["partOfDay", "days"]);
  assert.equal((await ask(bench, clinic, { days: 400 })).outcome, "available");
  assert.equal((await ask(bench, clinic, { days: "3 days" })).outcome, "available");
});

test("an unclear wish for a doctor or part of the day is mentioned, a clear one in a sentence is met", async (bench) => {
  const { sql } = bench.database;
  const clinic = await aClinic(sql, { providers: 2 });
  await sql`update public.providers set name = 'Dr Amara Patel'
    where org_id = ${clinic.id} and slug = 'doctor-2'`;
  const met = await ask(bench, clinic, { providerName: "first available with Dr Patel" });
  assert.match(met.slots?.[0]?.slotId ?? "", /\/doctor-2$/);
  for (
    const providerName of ["anyone but Dr Patel", "any female doctor"]
  ) {
    const said = await ask(bench, clinic, { providerName });
    assert.match(said.message, /didn't get which doctor/, providerName);
    assert.deepEqual(said["ignored"], ["providerName"]);
  }
  const ruledOut = await ask(bench, clinic, { partOfDay: "not in the morning" });
  assert.deepEqual(ruledOut["ignored"], ["partOfDay"]);
});

test("a name of nothing but fillers is asked for", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  const found = await ask(bench, clinic, {});
  for (const patientName of ["null null", "[First Name] [Last Name]", "Unknown Caller", "a@b.c"]) {
    const held = await bench.ask(holdSlot, {
      tool: "hold_slot",
      called: clinic.number,
      callId: crypto.randomUUID(),
      args: { slotId: found.slots?.[0]?.slotId, patientName },
    });
    assert.equal(held.outcome, "invalid_arguments", patientName);
    assert.deepEqual(held["fields"], ["patientName"]);
  }
});

test("morning begins with waking hours, the night has its own", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  const hours = async (partOfDay: string) => {
    const said = await ask(bench, clinic, { partOfDay });
    return said.slots?.map(({ startTime }) => Number(startTime.slice(11, 13))) ?? [];
  };
  assert.ok((await hours("morning")).every((hour) => hour >= 6 && hour < 12));
  assert.ok((await hours("AM")).some((hour) => hour < 6));
  assert.ok((await hours("pm")).every((hour) => hour >= 12));
  assert.ok((await hours("night")).every((hour) => hour < 6 || hour >= 21));
});

test("doctors are found however they are named, and two of one name are told apart", async (bench) => {
  const { sql } = bench.database;
  const clinic = await aClinic(sql, { providers: 3 });
  const rename = (slug: string, name: string) =>
    sql`update public.providers set name = ${name} where org_id = ${clinic.id} and slug = ${slug}`;
  await rename("doctor-1", "Dr Amara Patel");
  await rename("doctor-2", "Dr Ravi Patel");
  await rename("doctor-3", "Dr Chloe Hughes");
  for (
    const providerName of ["Hughes or Amara", "either Dr Hughes or Dr Amara Patel", "Hughes/Amara"]
  ) {
    const which = await ask(bench, clinic, { providerName });
    assert.equal(which.outcome, "which_provider", providerName);
    assert.match(which.message, /Dr Amara Patel and Dr Chloe Hughes\. Which one/);
  }
  for (
    const providerName of ["either Dr Hughes", "Hughes or Dr Who", "I'd like Dr Hughes, please"]
  ) {
    const said = await ask(bench, clinic, { providerName });
    assert.match(said.slots?.[0]?.slotId ?? "", /\/doctor-3$/, providerName);
  }
  for (const providerName of ["Patel, Amara", "Dr Amara Patel, MD", "amara", "DR. PATEL AMARA"]) {
    const said = await ask(bench, clinic, { providerName });
    assert.equal(said.outcome, "available", providerName);
    assert.match(said.slots?.[0]?.slotId ?? "", /\/doctor-1$/);
  }
  const several = await ask(bench, clinic, { providerName: "Doctor Patel" });
  assert.equal(several.outcome, "which_provider");
  assert.match(several.message, /Dr Amara Patel and Dr Ravi Patel/);
  assert.deepEqual(several["fields"], ["providerName"]);
  assert.equal((await ask(bench, clinic, { providerName: "Dr Who" })).outcome, "unknown_provider");
  for (const providerName of ["whoever is free", "either", "first available", "the doctor"]) {
    const said = await ask(bench, clinic, { providerName });
    assert.equal(said.outcome, "available", providerName);
  }
});

test("of many doctors and services, a few are said by name", async (bench) => {
  const { sql } = bench.database;
  const clinic = await aClinic(sql, { providers: 20 });
  const doctors = await ask(bench, clinic, { providerName: "Dr Who" });
  assert.ok(doctors.message.length < 300, doctors.message);
  assert.match(doctors.message, /and 15 more/);
  await sql`update public.services set name = 'First visit' where org_id = ${clinic.id}`;
  const services = await ask(bench, clinic, { serviceType: "surgery" });
  assert.match(services.message, /I can book First visit/);
});
