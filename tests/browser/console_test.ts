/** The console at `/` of the local stack, as somebody uses it who evaluates the project. */
import assert from "node:assert/strict";
import type { BrowserContextOptions, Locator, Page } from "playwright-core";
import {
  aTuesday,
  type BrowserStack,
  findBarriers,
  testInBrowser as test,
} from "../support/browser.ts";
import { aPhone } from "../support/clinic.ts";
import { playAgent, startFakeModel } from "../support/fake_model.ts";

/** Looks for barriers on the page as it is, in light and in dark. */
async function checkBarriers(page: Page): Promise<void> {
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    assert.deepEqual(await findBarriers(page), [], colorScheme);
  }
}

/** Ends what an earlier test has spoiled. */
async function repair({ url }: BrowserStack): Promise<void> {
  const headers = { "content-type": "application/json", origin: url };
  const order = { method: "POST", headers, body: '{"isAway":false}' };
  for (
    const asked of [
      fetch(`${url}/console/database`, order),
      fetch(`${url}/local/faults`, { method: "DELETE" }),
    ]
  ) await (await asked).body?.cancel();
}

/** A window of its own with the console. */
async function openConsole(stack: BrowserStack, options?: BrowserContextOptions): Promise<Page> {
  await repair(stack);
  const page = await stack.open(options);
  await page.goto(`${stack.url}/`);
  // The page draws one of a thousand numbers, which an earlier test may have had.
  await page.getByLabel("Your number").fill(aPhone());
  return page;
}

const suggestion = (page: Page, name: string | RegExp) =>
  page.getByRole("group", { name: "You could say" }).getByRole("button", { name }).first();

const say = (page: Page, name: string | RegExp) => suggestion(page, name).click();

/** Says something, and gives the agent's answer to it. */
async function tell(page: Page, name: string | RegExp): Promise<string> {
  await suggestion(page, name).waitFor();
  const lines = page.getByRole("log").locator("p.agent");
  const answer = lines.nth(await lines.count());
  await say(page, name);
  return await answer.innerText();
}

/**
 * Goes on with a call until an answer is as expected. On a busy machine a tool may miss its deadline: then
 * the agent says so and asks, and the caller repeats it.
 */
async function insist(
  page: Page,
  said: string,
  expected: RegExp,
  again: string | RegExp,
): Promise<void> {
  let heard = said;
  for (let tries = 0; tries < 5 && !expected.test(heard); tries++) heard = await tell(page, again);
  assert.match(heard, expected);
}

/** Waits until the agent has said something. */
const hears = (page: Page, text: RegExp) =>
  page.getByRole("log").locator("p.agent").filter({ hasText: text }).last().waitFor();

/** Waits until the phone shows a text in a state. */
const showsText = (page: Page, state: string | RegExp) =>
  page.getByRole("list", { name: "Texts" }).getByText(state).first().waitFor();

const time = /^\w+day \d+ \w+ at /;
const code = /^\d{6}$/;

/** Calls and wants a time on hold. @returns What the agent says then */
async function holdByPhone(page: Page): Promise<string> {
  await page.getByRole("button", { name: "Call", exact: true }).click();
  const offered = await tell(page, "A consultation next Tuesday");
  await insist(page, offered, /Which suits you/, "Next Tuesday");
  await say(page, time);
  return await tell(page, "Ada Brown");
}

/** Calls until a code has been texted. */
async function awaitCode(page: Page): Promise<void> {
  await insist(page, await holdByPhone(page), /texted a six-digit code/, "Yes, please");
  await suggestion(page, code).waitFor();
}

const confirm = async (page: Page) =>
  await insist(page, await tell(page, code), /that's confirmed/, code);

/** What the functions do with a text. */
async function spoil(page: Page, name: string): Promise<void> {
  const ordered = page.waitForResponse((response) => response.url().endsWith("/console/faults"));
  await page.getByRole("radio", { name }).check();
  await ordered;
}

test("a call is booked with buttons, and the page shows why it is safe", async (stack) => {
  const page = await openConsole(stack);
  await awaitCode(page);
  await page.getByRole("cell", { name: /held .* left Ada Brown/ }).waitFor();
  await showsText(page, "delivered");
  await confirm(page);
  await page.getByRole("cell", { name: /confirmed Ada Brown/ }).waitFor();
  const wire = page.getByRole("listitem").filter({ hasText: "verify_otp confirmed" });
  await wire.getByLabel("Request of verify_otp").filter({ hasText: /x-signature: [0-9a-f]{64}/ })
    .waitFor();
  await wire.getByLabel("Answer of verify_otp").filter({ hasText: '"toolCallId"' }).waitFor();
  for (const part of ["Read", "Database", "Own work", "Answer"]) {
    await wire.getByText(part, { exact: false }).first().waitFor();
  }
  await page.getByRole("listitem").filter({ hasText: "send_otp sent" }).getByText("Twilio")
    .waitFor();
  await say(page, "That's all, goodbye");
  await page.getByText("The agent ended the call.").waitFor();
});

test("a call is booked with the keyboard alone", async (stack) => {
  const page = await openConsole(stack);
  const press = async (name: string, key: "Tab" | "Shift+Tab") => {
    const wanted = page.getByRole("button", { name, exact: true });
    for (let tabs = 0; tabs < 60; tabs++) {
      if (await wanted.evaluate((node) => node === node.ownerDocument.activeElement)) {
        return await page.keyboard.press("Enter");
      }
      await page.keyboard.press(key);
    }
    assert.fail(`${name} cannot be reached with the keyboard`);
  };
  const type = async (text: string) => {
    await page.keyboard.type(text);
    await page.keyboard.press("Enter");
  };
  await press("Call", "Tab");
  await hears(page, /how can I help/);
  // The sentence has the focus, from the beginning to the end of the call.
  await type("a consultation next Wednesday");
  await hears(page, /Which suits you/);
  await type("the second one");
  await hears(page, /first and last name/);
  await type("Chloe Diaz");
  await hears(page, /texted a six-digit code/);
  const body = await page.getByRole("list", { name: "Texts" }).locator("li p").first().innerText();
  await type(/\d{6}/.exec(body)?.[0] ?? "");
  await hears(page, /that's confirmed/);
  await press("Hang up", "Shift+Tab");
  await page.getByText("You hung up.").waitFor();
});

test("a wrong code is said to be wrong, and the right one still confirms", async (stack) => {
  const page = await openConsole(stack);
  await awaitCode(page);
  await insist(page, await tell(page, /^Wrong code/), /doesn't match/, /^Wrong code/);
  await page.getByText("verify_otp wrong_code").first().waitFor();
  await confirm(page);
});

test("the code comes to the phone of a withheld caller, and to another number that a caller gives", async (stack) => {
  const page = await openConsole(stack);
  await page.getByLabel("Withhold it").check();
  for (const number of [/^\+4477/, "07700 900 124"]) {
    await insist(page, await holdByPhone(page), /What number should I text/, "Yes, please");
    await insist(page, await tell(page, number), /texted a six-digit code/, "Yes, please");
    if (typeof number === "string") await showsText(page, "+447700900124");
    await confirm(page);
    await page.getByRole("button", { name: "Hang up" }).click();
    await page.getByText("You hung up.").waitFor();
  }
});

test("a call that the stack no longer knows is over, and another can begin", async (stack) => {
  const page = await openConsole(stack);
  await page.getByRole("button", { name: "Call", exact: true }).click();
  const offered = await tell(page, "A consultation next Tuesday");
  await insist(page, offered, /Which suits you/, "Next Tuesday");
  const said = page.getByRole("log").locator("p.you");
  const before = await said.count();
  const fail = async (status: number, message: string) => {
    await page.route("**/said", (route) => route.fulfill({ status, json: { message } }), {
      times: 1,
    });
    await say(page, time);
    await page.getByRole("alert").filter({ hasText: message }).waitFor();
    assert.equal(await said.count(), before, "what nobody heard is not shown as said");
  };
  await fail(503, "The database did not answer.");
  // As after a start of the stack.
  await fail(404, "This call is over.");
  await page.getByRole("button", { name: "Hang up" }).waitFor({ state: "detached" });
  await awaitCode(page);
});

test("a page that is loaded again is the same caller, and has hung up", async (stack) => {
  const page = await openConsole(stack);
  const number = aPhone();
  await page.getByLabel("Your number").fill(number);
  const started = page.waitForResponse((response) => response.url().endsWith("/console/calls"));
  await awaitCode(page);
  const { callId } = await (await started).json();
  await page.reload();
  assert.equal(await page.getByLabel("Your number").inputValue(), number);
  await showsText(page, "delivered");
  const headers = { "content-type": "application/json", origin: stack.url };
  const order = { method: "POST", headers, body: '{"said":"Hello?"}' };
  let status = 200;
  for (let tries = 0; tries < 300 && status !== 404; tries++) {
    const answer = await fetch(`${stack.url}/console/calls/${callId}/said`, order);
    await answer.body?.cancel();
    status = answer.status;
    await page.waitForTimeout(50);
  }
  assert.equal(status, 404);
});

test("the caller hears what became of a spoiled text, and goes on when it is repaired", async (stack) => {
  const page = await openConsole(stack);
  const hangUp = async () => {
    await page.getByRole("button", { name: "Hang up" }).click();
    await page.getByText("You hung up.").waitFor();
  };
  await spoil(page, "Wrong number");
  await insist(page, await holdByPhone(page), /can't receive texts/, "Yes, please");
  await page.getByText("No text has been sent").waitFor();
  await hangUp();

  await spoil(page, "Twilio is down");
  await insist(page, await holdByPhone(page), /couldn't send the text/, "Yes, please");
  await page.getByText("send_otp sms_provider_error").first().waitFor();
  await hangUp();

  await spoil(page, "Twilio takes them");
  await spoil(page, "They do not arrive");
  await awaitCode(page);
  await showsText(page, "undelivered (30003)");
  await hangUp();

  await spoil(page, "The report is forged");
  await awaitCode(page);
  await showsText(page, "queued");
  await spoil(page, "They arrive in a second");
  await confirm(page);
});

/** A zone in which it is day, since nobody is reminded at night. */
const aDayZone = (): string =>
  ["Europe/London", "Asia/Tokyo", "America/Los_Angeles"].find((timeZone) => {
    const hour = new Intl.DateTimeFormat("en-GB", { timeZone, hour: "2-digit" }).format(new Date());
    return Number(hour) >= 9 && Number(hour) <= 19;
  }) ?? "";

test("a reminder is answered from the phone: confirmed, then cancelled", async (stack) => {
  const page = await openConsole(stack);
  const clinic = await stack.clinic(aDayZone());
  await stack.stack.provision();
  await page.reload();
  await page.getByLabel("Clinic").selectOption(clinic.slug);
  await page.getByLabel("Your number").fill(aPhone());
  const answer = page.getByRole("form", { name: "Answer by text" });
  // There is no number to answer yet.
  assert.equal(await answer.getByRole("button", { name: "C", exact: true }).isDisabled(), true);
  await awaitCode(page);
  await confirm(page);
  await answer.getByLabel("Answer by text").fill("When do you open?");
  await answer.getByRole("button", { name: "Send" }).click();
  await showsText(page, /call us|please call/i);
  await answer.getByRole("button", { name: "Remind me now" }).click();
  await showsText(page, /Reply C to confirm, X to cancel/);
  await answer.getByRole("button", { name: "C", exact: true }).click();
  await page.getByText("You texted: C").waitFor();
  await showsText(page, /We expect you on/);
  const read = async () => {
    const [row] = await stack.sql`select status, patient_confirmed_at is not null as confirmed
      from public.appointments where org_id = ${clinic.id}`;
    return { ...row };
  };
  assert.deepEqual(await read(), { status: "confirmed", confirmed: true });
  await answer.getByRole("button", { name: "X", exact: true }).click();
  await showsText(page, /is cancelled/);
  assert.deepEqual(await read(), { status: "cancelled", confirmed: true });
  await page.getByRole("cell", { name: /confirmed Ada Brown/ }).waitFor({ state: "detached" });
});

test("with a model's key, the model answers with the clinic's prompt and tools", async (stack) => {
  const fake = startFakeModel(playAgent);
  Object.assign(stack.env, { OPENAI_API_KEY: fake.key, OPENAI_BASE_URL: fake.url });
  try {
    const page = await openConsole(stack);
    const tell = async (text: string) => {
      await page.getByLabel("Say something").fill(text);
      await page.getByRole("button", { name: "Say", exact: true }).click();
    };
    await page.getByText("A language model answers").waitFor();
    await page.getByRole("button", { name: "Call", exact: true }).click();
    await page.getByText(/^openai \S+ answers\.$/).waitFor();
    // A model that refuses is said to, and the caller goes on.
    fake.failNext(400);
    await tell(`check ${aTuesday()}`);
    await page.getByRole("alert").filter({ hasText: "answered 400" }).waitFor();
    await tell(`check ${aTuesday()}`);
    await hears(page, /Which suits you/);
    await tell("hold 1 as Ada Brown");
    await hears(page, /texted a six-digit code/);
    const text = await page.getByRole("list", { name: "Texts" }).locator("li p").first()
      .innerText();
    await tell(`code ${/\d{6}/.exec(text)?.[0]}`);
    await hears(page, /that's confirmed/);
    await page.getByText("verify_otp confirmed").waitFor();
    await tell("bye");
    await page.getByText("The agent ended the call.").waitFor();
    assert.deepEqual(fake.refusals, []);
    const asked = JSON.stringify(fake.requests[0]);
    for (const known of ["Sunrise Dental", "hold_slot", "verify_otp"]) {
      assert.ok(
        asked.includes(known),
      );
    }
    // It can still be the script.
    const { length } = fake.requests;
    await page.getByLabel("Without the model").check();
    await page.getByRole("button", { name: "Call", exact: true }).click();
    await say(page, "A consultation next Tuesday");
    await hears(page, /Which suits you/);
    assert.equal(fake.requests.length, length);
  } finally {
    for (const name of Object.keys(stack.env)) delete stack.env[name];
    await fake.stop();
  }
});

test("a slow Twilio is seen in the waterfall, and a late report comes", async (stack) => {
  const page = await openConsole(stack);
  await spoil(page, "Twilio is slow");
  await spoil(page, "The report is late");
  await awaitCode(page);
  const twilio = page.getByRole("listitem").filter({ hasText: /^Twilio/ }).first();
  assert.ok(parseInt(await twilio.locator(".ms").innerText()) >= 1900);
  await showsText(page, "delivered");
  await spoil(page, "Twilio takes them");
  await spoil(page, "They arrive in a second");
});

test("while the database is away the page stays and says so, and the call goes on after", async (stack) => {
  const page = await openConsole(stack);
  const away = page.getByRole("checkbox", { name: "Take it away from the functions" });
  await page.getByRole("button", { name: "Call", exact: true }).click();
  await away.check();
  await page.getByText("The database is away.").waitFor();
  await say(page, "A consultation next Tuesday");
  await page.getByText("check_availability error").first().waitFor();
  await page.reload();
  await page.getByText("The database is away.").waitFor();
  await checkBarriers(page);
  await away.uncheck();
  await page.getByText("The database is away.").waitFor({ state: "detached" });
  await awaitCode(page);
});

test("a book that could not be read is read again, without being asked", async (stack) => {
  const page = await stack.open();
  // More often than something else makes the page read.
  await page.route(
    "**/console/book/**",
    (route) => route.fulfill({ status: 503, json: { message: "The database did not answer." } }),
    { times: 4 },
  );
  await page.goto(`${stack.url}/`);
  await page.getByText("The database did not answer.").waitFor();
  await page.getByRole("region", { name: "The book" }).waitFor();
  await page.getByText("The database did not answer.").waitFor({ state: "detached" });
});

test("two windows race for one time: one holds it, the other is offered others", async (stack) => {
  const pages = await Promise.all([openConsole(stack), openConsole(stack)]);
  const clinic = await stack.clinic();
  for (const page of pages) {
    await page.reload();
    await page.getByLabel("Clinic").selectOption(clinic.slug);
  }
  for (const page of pages) {
    await page.getByRole("columnheader", { name: "Dr Number 1" }).waitFor();
  }
  const days = await Promise.all(pages.map((page) => page.getByLabel("Day").inputValue()));
  assert.equal(days[0], days[1], "the windows show different days");
  const [first] = pages;
  const open = first.getByRole("button", { name: /^open \d/ }).first();
  const label = (await open.innerText()).replace(/\s+/g, " ");
  // Both have the book as it was, however late one of them clicks.
  const clicked = Promise.withResolvers<void>();
  for (const page of pages) {
    await page.route("**/console/book/**", async (route) => {
      await clicked.promise;
      await route.continue();
    });
  }
  await Promise.all(pages.map((page) => page.getByRole("button", { name: label }).click()));
  clicked.resolve();
  const heard = await Promise.all(pages.map((page) => page.locator(".heard b").innerText()));
  assert.deepEqual(heard.toSorted(), ["held", "slot_taken"]);
  const other = pages[heard.indexOf("slot_taken")];
  await other?.locator(".heard").filter({ hasText: /just been taken.*could offer/ }).waitFor();
  for (const page of pages) {
    await page.getByRole("cell", { name: /held .* left Window/ })
      .waitFor();
  }
  // The time is free again, in both windows, as soon as its caller hangs up.
  await pages[heard.indexOf("held")]?.getByRole("button", { name: "Hang up" }).click();
  for (const page of pages) await page.getByRole("button", { name: label }).waitFor();
});

test("of 200 callers one gets the time, and 199 are offered others", async (stack) => {
  const page = await openConsole(stack);
  const clinic = await stack.clinic();
  await page.reload();
  await page.getByLabel("Clinic").selectOption(clinic.slug);
  await page.getByRole("button", { name: /^open \d/ }).first().waitFor();
  await page.getByRole("button", { name: "Send 200 callers at it" }).click();
  const outcome = await page.locator(".outcome").innerText();
  assert.match(
    outcome,
    /200 callers wanted \d\d:\d\d with Dr Number \d: 1 got it, 199 were offered other times\. The database has 1 row for/,
  );
  assert.match(outcome, /The first caller heard: “I'm holding.*The other callers heard: “.*taken/s);
  await page.getByRole("cell", { name: /held .* left Caller/ }).waitFor();
  await checkBarriers(page);
});

const attacks = [
  ["A list of names", /word for word, what the wrong name before it heard.*0 appointments were/s],
  ["A day's hoarding", /asked for (\d+) times and hold (\d+) of them/],
  [
    "A hundred codes",
    /Of 100 guesses, \d+ were compared with a code, and the limits.* 0 confirmed an appointment/,
  ],
  ["A forged report", /database has 0 texts that failed; the patient's call ended confirmed/],
] as const;

/** Plays an attack. On a busy machine the database may miss the console's deadline: then once more. */
async function attack(page: Page, name: string, report: Locator): Promise<void> {
  const problem = page.locator("#attack").getByRole("alert").filter({ hasText: /\S/ });
  for (let tries = 0; tries < 3; tries++) {
    await page.getByRole("button", { name }).click();
    await report.or(problem).first().waitFor();
    if (await report.isVisible()) return;
  }
  assert.fail(await problem.innerText());
}

for (const [name, finding] of attacks) {
  test(`${name} reaches nothing, and an honest patient books meanwhile`, async (stack) => {
    const page = await openConsole(stack);
    const report = page.getByRole("article").filter({ hasText: name });
    await attack(page, name, report);
    const [, wanted, held] = finding.exec(await report.innerText()) ?? assert.fail(
      await report.innerText(),
    );
    if (held !== undefined) assert.ok(Number(held) < Number(wanted) / 2, `${held} of ${wanted}`);
    assert.match(await report.locator(".honest").innerText(), /confirmed/);
    await report.getByText("What came back").click();
    if (name === "A forged report") {
      await report.getByRole("cell", { name: "sms-status 403" }).waitFor();
      await checkBarriers(page);
    }
  });
}

test("an operator sees figures, the trail and the log, and nothing personal", async (stack) => {
  const page = await openConsole(stack);
  const caller = await page.getByLabel("Your number").inputValue();
  await awaitCode(page);
  await confirm(page);
  await page.getByRole("row", { name: /verify_otp \d+ (within|over) \d+ ms/ }).waitFor();
  await page.getByRole("row", { name: /Holds confirmed .* above 95 %/ }).waitFor();
  await page.getByRole("row", { name: /confirm_appointment confirmed/ }).first().waitFor();
  const operate = await page.locator("#operate").innerText();
  for (const personal of ["Ada", "Brown", caller, caller.slice(3)]) {
    assert.ok(!operate.includes(personal), personal);
  }
});

test("nothing hinders a screen reader, in light, dark and on a phone", async (stack) => {
  for (
    const options of [{ colorScheme: "light" }, { colorScheme: "dark" }, {
      colorScheme: "light",
      viewport: { width: 360, height: 740 },
    }] as const
  ) {
    const page = await openConsole(stack, options);
    await awaitCode(page);
    await page.getByRole("cell", { name: /held/ }).first().waitFor();
    assert.deepEqual(await findBarriers(page), [], JSON.stringify(options));
    const width = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
    assert.equal(await page.evaluate(width), 0, `${JSON.stringify(options)} is too wide`);
  }
});

test("no other page can do anything here, and neither can its forms", async ({ url }) => {
  const post = async (headers: Record<string, string>, body = '{"isAway":true}') => {
    const response = await fetch(`${url}/console/database`, { method: "POST", headers, body });
    await response.body?.cancel();
    return response.status;
  };
  const json = { "content-type": "application/json" };
  assert.equal(await post(json), 403);
  assert.equal(await post({ ...json, origin: "https://attacker.example" }), 403);
  assert.equal(await post({ origin: url, "content-type": "text/plain" }), 415);
  assert.equal(await post({ ...json, origin: url }, '{"isAway":"yes"}'), 400);
  const overview = await (await fetch(`${url}/console/overview`)).json();
  assert.deepEqual(overview.database, { isAway: false });
});
