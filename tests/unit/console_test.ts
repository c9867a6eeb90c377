/** The pure parts of the local stack's console. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Counters } from "../../shared/counters.ts";
import { rowsOf } from "../../supabase/console/app/grid.ts";
import { codeIn, suggest, wrongCode } from "../../supabase/console/app/suggestions.ts";
import { barsOf, sayMs } from "../../supabase/console/app/waterfall.ts";
import type { PlayedUse } from "../../supabase/console/phone_calls.ts";
import { openConsole } from "../../supabase/console/server.ts";
import { startFakeTwilio } from "../../supabase/local/twilio/server.ts";
import type { Book, BookedTime } from "../../supabase/console/book.ts";
import { Events } from "../../supabase/console/events.ts";
import { withinMs } from "../../supabase/console/figures.ts";
import { countBy, drawNumbers, quantile } from "../../supabase/console/rush.ts";
import { makeConsole } from "../../supabase/console/site.ts";
import { sayMinute } from "../../supabase/page/app/clinic_time.ts";
import { makePage, servePage } from "../../supabase/page/site.ts";

const exchange = {
  ...{ url: "http://127.0.0.1:8000/functions/v1/send-otp", headers: {}, body: "{}", status: 200 },
  ...{ answer: "{}", startedAt: 1000, endedAt: 1100 },
};
const span = (name: string, startedAt: number, endedAt: number, failure?: string) => ({
  ...{ name, startedAt, endedAt, attributes: {}, failure },
});

Deno.test("the bars of a waterfall cover the whole wait, in order and without a gap", () => {
  const work = {
    id: "1",
    root: span("tool_call send_otp", 1010, 1090),
    // Parts are noted when they end, so a longer one may come later.
    parts: [
      span("text", 1040, 1080, "timeout"),
      span("database begin_otp_send", 1020, 1040),
    ],
  };
  const bars = barsOf({ exchange, work });
  assert.deepEqual(bars.map(({ kind, ms }) => [kind, ms]), [
    ["parse", 10],
    ["own", 10],
    ["database", 20],
    ["twilio", 40],
    ["own", 10],
    ["answer", 10],
  ]);
  assert.equal(bars[0]?.from, 0);
  assert.equal(bars.at(-1)?.to, 1);
  for (const [place, { from }] of bars.slice(1).entries()) assert.equal(from, bars[place]?.to);
  assert.match(bars[3]?.label ?? "", /timeout/);
});

Deno.test("a request that reached no function has one bar, and clocks that disagree stay inside", () => {
  assert.deepEqual(barsOf({ exchange, work: null }).map(({ from, to }) => [from, to]), [[0, 1]]);
  const early = { id: "1", root: span("tool_call send_otp", 990, 1200), parts: [] };
  for (const { from, to, ms } of barsOf({ exchange, work: early })) {
    assert.ok(from >= 0 && to <= 1 && ms >= 0);
  }
  assert.deepEqual([sayMs(0.44), sayMs(12.6)], ["0.4 ms", "13 ms"]);
});

const doctors = [{ slug: "a", name: "Dr A" }, { slug: "b", name: "Dr B" }];
const booked = (given: Partial<BookedTime>): BookedTime => ({
  ...{ doctor: "a", from: 540, to: 570, status: "confirmed", expiresAt: null, patient: "Ada" },
  ...{ phone: "***56", service: "Consultation" },
  ...given,
});
const book = (given: Partial<Book>): Book => ({
  ...{ clinic: "c", day: "2026-12-01", zone: "Europe/London", now: 0, doctors },
  ...{ service: { name: "Consultation", minutes: 30, step: 30 }, open: [], booked: [] },
  ...given,
});
const kinds = (given: Partial<Book>, now = 0) =>
  rowsOf(book(given), now).map(({ from, cells }) =>
    [sayMinute(from), ...cells.map((cell) => cell.kind)].join(" ")
  );

Deno.test("a day has a row for each start, and a long visit fills several", () => {
  const open = [{ doctor: "b", from: 540, slotId: "x" }, { doctor: "a", from: 660, slotId: "y" }];
  const long = booked({ from: 570, to: 660, status: "held", expiresAt: 5000 });
  assert.deepEqual(kinds({ open, booked: [long] }), [
    "09:00 closed open",
    "09:30 booked closed",
    "10:00 booked closed",
    "10:30 booked closed",
    "11:00 open closed",
  ]);
  const cells = rowsOf(book({ open, booked: [long] }), 0).slice(1, 4).map(({ cells }) => cells[0]);
  assert.deepEqual(cells.map((cell) => cell?.kind === "booked" && cell.isStart), [
    true,
    false,
    false,
  ]);
});

Deno.test("an expired hold is not shown, and an appointment that begins between starts is", () => {
  assert.deepEqual(kinds({ booked: [booked({ status: "held", expiresAt: 5000 })] }, 5000), []);
  assert.deepEqual(kinds({ booked: [booked({ from: 555, to: 585 })] }), [
    "09:00 booked closed",
    "09:30 booked closed",
  ]);
});

Deno.test("a caller who is asked for the code can read it, a wrong one, or say that nothing came", () => {
  const moment = { asks: "code", clinic: { services: [] }, caller: "+447700900123" };
  const code = codeIn("004299 is your code. It expires in 5 min.");
  const [first, second] = suggest({ ...moment, answer: undefined, code });
  assert.deepEqual(first, { says: "004299" });
  assert.deepEqual(second, { says: "004300", label: "Wrong code: 004300" });
  assert.equal(wrongCode("999999"), "000000");
  const [only] = suggest({ ...moment, answer: undefined, code: undefined });
  assert.match(only?.label ?? "", /^Wrong code: \d{6}$/);
  assert.deepEqual(suggest({ ...moment, asks: "unheard of", answer: undefined, code }), []);
});

Deno.test("a caller who is asked for a number can give the phone's own, where the code is read", () => {
  const [first] = suggest({
    ...{ asks: "patientPhone", clinic: { services: [] }, caller: "+447700900321" },
    ...{ answer: undefined, code: undefined },
  });
  assert.deepEqual(first, { says: "+447700900321" });
});

Deno.test("a model does not say what it waits for, so the last answer of a tool does", () => {
  const next = (answer?: Partial<PlayedUse["answer"]>) =>
    suggest({
      ...{
        asks: "anything",
        clinic: { services: ["Cleaning"] },
        caller: "+447700900123",
        code: "004299",
      },
      answer: answer && { success: true, outcome: "", message: "", ...answer },
    })[0]?.says;
  assert.equal(next(), "A cleaning next Tuesday, please");
  assert.equal(next({ outcome: "sent" }), "004299");
  assert.equal(next({ outcome: "wrong_code", success: false }), "004299");
  const slots = [{ slotId: "x", startTime: "", spoken: "Monday at nine" }];
  assert.equal(next({ outcome: "available", slots }), "Monday at nine");
  assert.equal(next({ outcome: "sms_error", success: false }), "Yes, please");
  assert.equal(next({ outcome: "confirmed" }), "A cleaning next Tuesday, please");
});

Deno.test("a figure claims no more than what was counted", () => {
  const counted = (...calls: readonly (readonly [le: string, value: number])[]) =>
    new Counters(calls.map(([le, value]) => ({ name: "calls", labels: { le }, value })));
  // One call of 496 ms: a value between the bounds, such as 600 ms, would be made up.
  assert.equal(withinMs(counted(["0.8", 1]), 0.5), 800);
  assert.equal(withinMs(counted(["0.1", 19], ["3.2", 1]), 0.95), 100);
  assert.equal(withinMs(counted(["0.1", 18], ["3.2", 2]), 0.95), 3200);
  assert.equal(withinMs(counted(["0.1", 1], ["+Inf", 9]), 0.95), null);
});

Deno.test("without a database the console says so, and everything else of it answers", async () => {
  const twilio = await startFakeTwilio();
  const dbUrl = "postgres://postgres@127.0.0.1:1/postgres";
  const events = new Events();
  const page = openConsole({
    ...{ url: "http://127.0.0.1:8000", dbUrl, secret: "x", twilio, events, env: {} },
    provision: () => Promise.resolve(),
  });
  try {
    const ask = (path: string) => page.fetch(new Request(`http://127.0.0.1:8000/console/${path}`));
    const overview = await (await ask("overview")).json();
    assert.match(overview.database.why, /^PostgreSQL does not answer/);
    assert.deepEqual([overview.database.isAway, overview.clinics, overview.model], [
      true,
      [],
      null,
    ]);
    const book = await ask("book/sunrise-dental");
    assert.deepEqual([book.status, await book.json()], [503, { message: overview.database.why }]);
  } finally {
    await page.close();
    await twilio.stop();
  }
});

Deno.test("every caller of a rush has another number", () => {
  assert.equal(new Set(drawNumbers(200)).size, 200);
  assert.deepEqual(countBy(["held", "taken", "taken"]), { held: 1, taken: 2 });
  assert.deepEqual([quantile([1, 2, 3, 4], 0.5), quantile([1, 2, 3, 4], 0.95), quantile([], 1)], [
    2,
    4,
    0,
  ]);
});

Deno.test("pages hear what happens after they open, and closing ends their streams", async () => {
  const events = new Events();
  events.addLine("before");
  const response = events.open();
  events.addLine('{"event":"tool_call"}');
  events.tell("database", { isAway: true, why: "because" });
  events.close();
  const heard = await response.text();
  assert.match(heard, /event: line\ndata: "{\\"event\\":\\"tool_call\\"}"\n\n/);
  assert.match(heard, /event: database\ndata: {"isAway":true,"why":"because"}\n\n/);
  assert.doesNotMatch(heard, /before/);
  assert.deepEqual(events.lines, ["before", '{"event":"tool_call"}']);
  assert.equal(events.open().status, 503);
});

Deno.test("the page has every file that it loads, and loads nothing from outside", async () => {
  const serve = servePage("", makeConsole);
  const ask = (path: string) => serve(new Request(`http://stack${path}`));
  const seen = new Set<string>();
  const load = async (path: string): Promise<void> => {
    if (seen.has(path)) return;
    seen.add(path);
    const response = await ask(path);
    assert.ok(response, path);
    assert.match(response.headers.get("content-security-policy") ?? "", /default-src 'none'/);
    const text = await response.text();
    const imported = JSON.parse(/importmap">(.*?)<\/script>/.exec(text)?.[1] ?? "{}").imports;
    const names = [
      ...Object.values<string>(imported ?? {}),
      ...[...text.matchAll(/\b(?:from\s*|import\s*|src=|href=)"([^"]+)"/g)]
        .flatMap(([, name = ""]) => libraries.includes(name) ? [] : name),
    ];
    for (const name of names.filter((name) => !/^(data:|#)/.test(name))) {
      const url = new URL(name, `http://stack${path}`);
      assert.equal(url.host, "stack", `${path} loads ${name}`);
      if (/\.(js|css)$/.test(url.pathname)) await load(url.pathname);
    }
  };
  const libraries = ["preact", "preact/hooks", "htm", "htm/preact"];
  await load("/");
  for (const name of ["vendor/preact-hooks.js", "book.js", "parts.js", "base.css", "style.css"]) {
    assert.ok(seen.has(`/console/page/${name}`), name);
  }
  for (const path of ["none.js", "..%2fserver.js", "../server.ts", "app.ts", ""]) {
    assert.equal(await ask(`/console/page/${path}`), undefined, path);
  }
});

Deno.test("two files with the same name are refused, since a page's modules are served from one folder", async () => {
  const folder = await mkdtemp(join(tmpdir(), "page-test-"));
  try {
    await writeFile(join(folder, "parts.ts"), "export {};");
    const app = new URL(`file://${folder}/`);
    await assert.rejects(
      makePage({ app, title: "x", generator: "x" }),
      /two of its files are parts/,
    );
  } finally {
    await rm(folder, { recursive: true });
  }
});
