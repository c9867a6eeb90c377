/** Which requests get a turn, wait, or are refused when there are more than can be handled. */
import assert from "node:assert/strict";
import {
  type Admission,
  type Applicant,
  createAdmission,
  type Turn,
} from "../../shared/admission.ts";
import { startBudget } from "../../shared/deadline.ts";

/** Longer than any of these tests. */
const longMs = 60_000;

/** A request for a turn, with its result. */
class Applied {
  turn: Turn | undefined;
  state: "waits" | "has a turn" | "refused" = "waits";
  readonly decided: Promise<void>;

  constructor(admission: Admission, asked: Partial<Applicant> = {}) {
    this.decided = admission.enter({
      ...{ clinic: "clinic", urgency: "begins", budget: startBudget(longMs) },
      ...{ hasGone: () => false, ...asked },
    }).then((turn) => {
      this.turn = turn;
      this.state = turn ? "has a turn" : "refused";
    });
  }
}

/** Waits until everything that can be decided is decided. */
const settle = () => new Promise((resolve) => setTimeout(resolve, 0));

async function statesOf(applied: readonly Applied[]): Promise<string[]> {
  await settle();
  return applied.map(({ state }) => state);
}

async function waitUntil(condition: () => boolean): Promise<void> {
  const end = Date.now() + 30_000;
  while (!condition()) {
    assert.ok(Date.now() < end, "it did not come true");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

Deno.test("no more requests have a turn than the limit, and each that ends lets the next one in", async () => {
  const door = createAdmission({ turns: 2, patienceMs: longMs });
  const all = Array.from({ length: 4 }, () => new Applied(door));
  assert.deepEqual(await statesOf(all), ["has a turn", "has a turn", "waits", "waits"]);
  all[0]?.turn?.end();
  // A second end() frees nothing.
  all[0]?.turn?.end();
  assert.deepEqual(await statesOf(all), ["has a turn", "has a turn", "has a turn", "waits"]);
  for (const { turn } of all) turn?.end();
  assert.equal((await statesOf(all))[3], "has a turn");
});

Deno.test("a request that has waited as long as callers do is refused while the turn is taken", async () => {
  const door = createAdmission({ turns: 1, patienceMs: 30 });
  const first = new Applied(door);
  const second = new Applied(door);
  await second.decided;
  assert.deepEqual(await statesOf([first, second]), ["has a turn", "refused"]);
  first.turn?.end();
  assert.deepEqual(await statesOf([new Applied(door)]), ["has a turn"]);
});

Deno.test("the oldest goes first until it has waited half its patience, then the newest", async () => {
  for (const [waitedMs, expected] of [[0, 1], [60, 2]] as const) {
    const door = createAdmission({ turns: 1, patienceMs: 100 + longMs * Number(waitedMs === 0) });
    const all = [new Applied(door), new Applied(door)];
    await new Promise((resolve) => setTimeout(resolve, waitedMs));
    all.push(new Applied(door));
    await settle();
    all[0]?.turn?.end();
    const states = await statesOf(all);
    assert.equal(states[expected], "has a turn", `after ${waitedMs} ms`);
    for (const { decided, turn } of all) {
      turn?.end();
      await decided;
    }
  }
});

Deno.test("requests that continue a call go before those that begin one, and unheard ones go last", async () => {
  const door = createAdmission({ turns: 1, patienceMs: longMs });
  const first = new Applied(door);
  const [unheard, begins, continues] = (["unheard", "begins", "continues"] as const)
    .map((urgency) => new Applied(door, { urgency }));
  const order = [first, continues, begins, unheard];
  for (const [index, applied] of order.entries()) {
    assert.ok(applied);
    const states = await statesOf([applied]);
    assert.deepEqual(states, ["has a turn"], `number ${index}`);
    applied.turn?.end();
  }
});

Deno.test("a rush at one clinic does not keep another clinic's caller waiting behind it", async () => {
  const door = createAdmission({ turns: 3, patienceMs: longMs });
  const rush = Array.from({ length: 50 }, () => new Applied(door, { urgency: "continues" }));
  const quiet = new Applied(door, { clinic: "quiet" });
  await settle();
  rush[0]?.turn?.end();
  assert.deepEqual(await statesOf([quiet]), ["has a turn"]);
});

Deno.test("an unheard request waits beyond a caller's patience, until its time ends", async () => {
  const door = createAdmission({ turns: 1, patienceMs: 1 });
  const first = new Applied(door);
  const unheard = new Applied(door, { urgency: "unheard" });
  const brief = new Applied(door, { urgency: "unheard", budget: startBudget(20) });
  await brief.decided;
  assert.deepEqual(await statesOf([unheard, brief]), ["waits", "refused"]);
  first.turn?.end();
  assert.deepEqual(await statesOf([unheard]), ["has a turn"]);
});

Deno.test("requests that cannot finish in time or whose caller has gone are not started", async () => {
  const door = createAdmission({ turns: 1, patienceMs: longMs });
  const slow = new Applied(door);
  await new Promise((resolve) => setTimeout(resolve, 300));
  slow.turn?.end();
  // Turns have taken about 30 ms lately: a tenth of 300.
  const holder = new Applied(door);
  let hasGone = false;
  const gone = new Applied(door, { hasGone: () => hasGone });
  const late = new Applied(door, { budget: { remainingMs: () => 10 } });
  const able = new Applied(door);
  await settle();
  hasGone = true;
  holder.turn?.end();
  assert.deepEqual(await statesOf([gone, late, able]), ["refused", "refused", "has a turn"]);
});

Deno.test("when too many requests wait, the last in order is refused at once", async () => {
  const door = createAdmission({ turns: 1, waitingLimit: 2, patienceMs: longMs });
  const all = Array.from({ length: 3 }, () => new Applied(door));
  const urgent = new Applied(door, { urgency: "continues" });
  const states = await statesOf([...all, urgent]);
  assert.deepEqual(states, ["has a turn", "waits", "refused", "waits"]);
});

Deno.test("while a turn waits for Twilio another request uses it, and it comes back at once", async () => {
  const door = createAdmission({ turns: 1, patienceMs: longMs });
  const [one, two, three] = [new Applied(door), new Applied(door), new Applied(door)];
  await settle();
  const text = Promise.withResolvers<string>();
  const away = one.turn?.away(() => text.promise);
  assert.deepEqual(await statesOf([two, three]), ["has a turn", "waits"]);
  text.resolve("sent");
  assert.equal(await away, "sent");
  // Two are at work for a moment; the next one waits until both have ended.
  two.turn?.end();
  assert.deepEqual(await statesOf([three]), ["waits"]);
  one.turn?.end();
  assert.deepEqual(await statesOf([three]), ["has a turn"]);
  // A turn that has ended belongs to nobody: background work frees nothing.
  await one.turn?.away(() => Promise.resolve());
  assert.deepEqual(await statesOf([new Applied(door)]), ["waits"]);
  three.turn?.end();
});

Deno.test("refusals are reported once a second, with their number", async () => {
  const told: number[] = [];
  const door = createAdmission({
    ...{ turns: 1, waitingLimit: 1, patienceMs: longMs },
    onRefused: (refused) => told.push(refused),
  });
  const all = Array.from({ length: 12 }, () => new Applied(door));
  await waitUntil(() => all.filter(({ state }) => state === "refused").length === 10);
  assert.deepEqual(told, [1]);
});
