/** leave_message, and what callers are promised when a tool gives up. */
import assert from "node:assert/strict";
import checkAvailability from "../../functions/check-availability/index.ts";
import leaveMessage from "../../functions/leave-message/index.ts";
import {
  aClinic,
  aDay,
  aPhone,
  aRequest,
  type Bench,
  type Clinic,
  readSaid,
  testWithBench as test,
} from "../support/clinic.ts";

const tool = "leave_message";
const good = { callerName: "Ada Brown", message: "Please call me about my bill." };

/** Desk hours around the clock, or none. */
async function setDesk(bench: Bench, { id }: Clinic, isOpen: boolean): Promise<void> {
  await bench.database.sql`update public.organizations
    set transfer_number = '+442079460199' where id = ${id}`;
  await bench.database.sql`delete from public.desk_hours where org_id = ${id}`;
  if (!isOpen) return;
  await bench.database.sql`insert into public.desk_hours (org_id, dow, start_min, end_min)
    select ${id}, d, 0, 1440 from generate_series(0, 6) as d`;
}

const messages = (bench: Bench) =>
  bench.database.sql<
    {
      caller_name: string;
      phone: string;
      wished_time: string | null;
      message: string;
      call_id: string;
    }[]
  >`select * from public.desk_messages order by created_at`;

test("leave_message keeps name, number and wish for the desk, and the text without personal data", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  const caller = aPhone();
  const call = { tool, called: clinic.number, caller, callId: "one" };
  const said = await bench.ask(leaveMessage, {
    ...call,
    args: {
      callerName: "Zoë Brown",
      message: "My card is 4111 1111 1111 1111 and my number 07700 900321, about the bill.",
      wishedTime: "tomorrow after 3 PM, not on 07700 900322",
    },
  });
  assert.deepEqual([said.success, said.outcome], [true, "left"]);
  assert.equal(said.message, "I've left your message for the front desk.");
  const other = { ...good, callbackNumber: "020 7946 0777" };
  assert.equal((await bench.ask(leaveMessage, { ...call, args: other })).outcome, "left");
  const [first, second] = await messages(bench);
  assert.deepEqual([first?.caller_name, first?.phone, first?.call_id], [
    "Zoë Brown",
    caller,
    "one",
  ]);
  assert.equal(first?.wished_time, "tomorrow after 3 PM, not on [REDACTED: PHONE]");
  assert.match(
    first?.message ?? "",
    /^My card is \[REDACTED: CARD\] and .*PHONE\], about the bill/,
  );
  assert.deepEqual([second?.phone, second?.wished_time], ["+442079460777", null]);

  const audited = await bench.database.sql`select action, outcome, details, caller_masked
    from public.audit_logs where action = 'leave_message'`;
  assert.equal(audited.length, 2);
  const everything = JSON.stringify(audited) + bench.lines.join("");
  assert.doesNotMatch(everything, /Zoë|900321|4111|4607|bill/);
});

test("leave_message is one message however often a request is delivered, and two a call", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  const call = { tool, called: clinic.number, caller: aPhone(), callId: "one", args: good };
  const same = await Promise.all(
    Array.from({ length: 5 }, () => bench.insist(leaveMessage, { ...call, toolCallId: "same" })),
  );
  assert.ok(same.every(({ outcome }) => outcome === "left"));
  assert.equal((await messages(bench)).length, 1);
  const more = await Promise.all(
    Array.from({ length: 5 }, () => bench.insist(leaveMessage, call)),
  );
  assert.deepEqual(more.map(({ outcome }) => outcome).sort(), [
    ...Array(4).fill("call_message_limit"),
    "left",
  ]);
  assert.equal((await messages(bench)).length, 2);
  assert.equal((await bench.ask(leaveMessage, { ...call, toolCallId: "same" })).outcome, "left");
});

test("a clinic takes a limited number of messages an hour: four from a number, half from withheld numbers", async (bench) => {
  const { sql } = bench.database;
  const clinic = await aClinic(sql);
  await sql`update public.organizations set message_hourly_limit = 10 where id = ${clinic.id}`;
  const leave = (caller: string | null, args: object = good) =>
    bench.insist(leaveMessage, {
      ...{ tool, called: clinic.number, caller, args },
      callId: crypto.randomUUID(),
    });
  const tally = (said: readonly { readonly outcome: string }[]) =>
    said.filter(({ outcome }) => outcome === "left").length;
  const oneNumber = aPhone();
  const many = (count: number, caller: () => string | null, args?: object) =>
    Promise.all(Array.from({ length: count }, () => leave(caller(), args)));
  assert.equal(tally(await many(7, () => oneNumber)), 4);
  const withheld = { ...good, callbackNumber: "07700 900456" };
  assert.equal(tally(await many(8, () => null, withheld)), 5);
  assert.equal(tally(await many(4, aPhone)), 1);
  assert.equal((await leave(aPhone())).outcome, "message_limit");
  const other = await aClinic(sql);
  const there = { tool, called: other.number, caller: aPhone(), callId: "there", args: good };
  assert.equal((await bench.ask(leaveMessage, there)).outcome, "left", "another clinic's hour");
  await sql`update public.desk_messages set created_at = created_at - interval '61 minutes'`;
  assert.equal((await leave(oneNumber)).outcome, "left");
});

test("leave_message asks for a number and says what is wrong with an unusable one", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  const ask = (caller: string | null, args: object) =>
    bench.ask(leaveMessage, {
      ...{ tool, called: clinic.number, caller, args },
      callId: crypto.randomUUID(),
    });
  assert.equal((await ask(null, good)).outcome, "phone_needed");
  const unclear = await ask(aPhone(), { ...good, callbackNumber: "0770" });
  assert.deepEqual([unclear.outcome, unclear["fields"]], ["phone_unclear", ["callbackNumber"]]);
  const premium = { ...good, callbackNumber: "0906 123 4567" };
  assert.equal((await ask(aPhone(), premium)).outcome, "unusable_phone");
  const extended = { ...good, callbackNumber: "020 7946 0777 extension 12" };
  assert.equal((await ask(aPhone(), extended)).outcome, "unusable_phone");
  for (const args of [{}, { callerName: "Ada" }, { message: "x" }, { ...good, message: [1] }]) {
    const said = await ask(aPhone(), args);
    assert.equal(said.outcome, "invalid_arguments");
    assert.doesNotMatch(said.message, /invalid|expected|undefined/i);
  }
  const foreign = await ask(aPhone(), { ...good, tenantId: crypto.randomUUID() });
  assert.equal(foreign.outcome, "cross_tenant_denied");
  const unknown = { tool, called: "+442079460000", args: good };
  assert.equal((await bench.ask(leaveMessage, unknown)).outcome, "unknown_clinic");
  const secret = await leaveMessage.using(bench.runtime).fetch(aRequest({ tool, secret: "wrong" }));
  assert.equal(secret.status, 401);
  assert.equal((await messages(bench)).length, 0);
});

test("a message's answer says when the desk opens again, in the clinic's local time", async (bench) => {
  const { sql } = bench.database;
  const clinic = await aClinic(sql, { zone: "America/New_York" });
  await setDesk(bench, clinic, false);
  const leave = () =>
    bench.ask(leaveMessage, {
      ...{ tool, called: clinic.number, caller: "+447700900456", args: good },
      callId: crypto.randomUUID(),
    });
  assert.equal((await leave()).message, "I've left your message for the front desk.");
  // At 8:30 in three days, but the clinic is closed on that day, so a week later.
  const day = aDay(3, clinic.zone);
  const dow = new Date(`${day}T00:00:00Z`).getUTCDay();
  await sql`insert into public.desk_hours (org_id, dow, start_min, end_min)
    values (${clinic.id}, ${dow}, 510, 1020)`;
  const said = await leave();
  assert.match(said.message, /They are back on \w+day \d+ \w+ at 8:30 AM\.$/);
  assert.match(said.message, new RegExp(` ${Number(day.slice(8))} `));
  await sql`update public.organizations
    set closing_days = datemultirange(daterange(${day}, ${day}, '[]')) where id = ${clinic.id}`;
  const later = aDay(10, clinic.zone);
  assert.match((await leave()).message, new RegExp(` ${Number(later.slice(8))} `));
});

test("a transfer is offered only while the desk answers", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  const refused = (called = clinic.number) =>
    bench.ask(checkAvailability, {
      ...{ tool: "check_availability", called, callId: crypto.randomUUID() },
      args: { date: aDay(), serviceType: "consultation", tenantId: crypto.randomUUID() },
    });
  const none = await refused();
  assert.deepEqual([none.action, none["desk"], none["nextTool"]], [
    "ESCALATE",
    "none",
    "leave_message",
  ]);
  assert.match(none.message, /this clinic\. Shall I take a message for the front desk\?$/);
  await setDesk(bench, clinic, true);
  const open = await refused();
  assert.deepEqual([open["desk"], open["nextTool"]], ["open", undefined]);
  assert.match(open.message, /I'll connect you to the front desk\.$/);
  await setDesk(bench, clinic, false);
  const closed = await refused();
  assert.deepEqual([closed["desk"], closed["nextTool"]], ["closed", "leave_message"]);
  assert.match(closed.message, /The front desk is closed at the moment\. Shall I take a message/);
  const unknown = await refused("+442079460000");
  assert.match(unknown.message, /clinic this call is for\. Please call us again later\.$/);
  assert.deepEqual([unknown.action, unknown["desk"]], ["ESCALATE", undefined]);

  // A caller who has left enough messages is not offered another one.
  const call = { tool, called: clinic.number, caller: aPhone(), callId: "full", args: good };
  for (let count = 0; count < 2; count++) await bench.ask(leaveMessage, call);
  const full = await bench.ask(leaveMessage, call);
  assert.equal(full.message, "I can't take another message. Please call us again later.");
  assert.equal(full["nextTool"], undefined);
  await setDesk(bench, clinic, true);
  assert.match((await bench.ask(leaveMessage, call)).message, /I'll connect you to the front desk/);
});

test("without the database nothing is promised to callers", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  await bench.database.admin.unsafe("drop function public.leave_message");
  const asked = aRequest({ tool, called: clinic.number, callId: "down", args: good });
  const said = await readSaid(await leaveMessage.using(bench.runtime).fetch(asked));
  assert.equal(said.outcome, "error");
  assert.doesNotMatch(said.message, /desk|connect|message/);
});

test("messages are deleted after the clinic's retention period", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  const call = { tool, called: clinic.number, caller: aPhone(), callId: "old", args: good };
  await bench.ask(leaveMessage, call);
  await bench.ask(leaveMessage, { ...call, callId: "new" });
  await bench.database.sql`update public.desk_messages
    set created_at = created_at - interval '91 days' where call_id = 'old'`;
  await bench.database.sql`select public.apply_retention()`;
  assert.deepEqual((await messages(bench)).map(({ call_id }) => call_id), ["new"]);
});
