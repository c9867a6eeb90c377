/**
 * Admission: how many requests an isolate works on at once, what waits, and what is refused.
 *
 * Without a limit, too many callers at once would mean that nobody is answered: each request would get
 * too small a share of the processor and the database to finish before its deadline, and all that
 * work would be wasted. So a fixed number of requests run at a time. The others wait for a short time,
 * which costs almost nothing. A request that waits too long is told `busy` and asked to try again.
 *
 * - The limit is fixed, not learned from response times. Response times also rise when one clinic's
 *   callers wait for one doctor's lock, and that should not slow down other clinics.
 * - The clinic with the fewest running requests goes first, so a rush at one clinic does not keep
 *   others waiting.
 * - A request that continues a call goes before one that begins a call. A booking takes four tool
 *   calls; if each could be refused at random, hardly any booking would be completed.
 * - The oldest request goes first, until it has waited for half of its patience. From then on there is
 *   more work than can be done, and the newest goes first (adaptive LIFO): it has most of its time
 *   left, and requests that are about to be refused do not delay all others.
 * - A request does not start when its caller has gone, or when its remaining time is shorter than
 *   recent requests have taken.
 *
 * @module
 */

import type { Budget } from "./deadline.ts";

const urgencies = ["continues", "begins", "unheard"] as const;
/**
 * Whether a request continues a call or begins one. `unheard` means that no caller waits for the
 * answer: it may wait in the queue as long as its time allows.
 */
export type Urgency = typeof urgencies[number];

/** A request that asks for a turn. */
export interface Applicant {
  /** The clinic that is called. Turns are shared fairly between clinics. */
  readonly clinic: string;
  readonly urgency: Urgency;
  readonly budget: Budget;
  /** Whether the caller has stopped waiting for the answer. */
  readonly hasGone: () => boolean;
}

/** The right to work on a request. */
export interface Turn {
  /** Runs work that only waits for another service, while another request uses the turn. */
  away<T>(work: () => Promise<T>): Promise<T>;
  /** Passes the turn to the next request. A second call does nothing. */
  end(): void;
}

/** Decides which requests an isolate works on. */
export interface Admission {
  /** Resolves with a turn when it is available, or with undefined when the request is refused. */
  enter(applicant: Applicant): Promise<Turn | undefined>;
}

/** How much an isolate takes on. */
export interface AdmissionOptions {
  /** How many requests have a turn at once. */
  readonly turns?: number;
  /** How many may wait at most. Beyond that, the last in order is refused at once. */
  readonly waitingLimit?: number;
  /** How long a caller waits for a turn, in milliseconds. */
  readonly patienceMs: number;
  /** Receives the number of requests refused since its last call, at most once a second. */
  readonly onRefused?: (refused: number) => void;
}

/** Keeps two processors and a pool of ten connections busy, with as many requests ready to follow. */
const defaultTurns = 20;
const defaultWaitingLimit = 1000;
/** How often waiting requests are checked, in milliseconds. */
const sweepMs = 25;
/** Weight of the newest turn in the average time that a turn takes. */
const newestShare = 0.1;

interface Waiting extends Applicant {
  readonly since: number;
  readonly decide: (turn: Turn | undefined) => void;
}

/** Creates the admission of an isolate. */
export function createAdmission(options: AdmissionOptions): Admission {
  return new Door(options);
}

class Door implements Admission {
  readonly #turns: number;
  readonly #waitingLimit: number;
  readonly #patienceMs: number;
  readonly #onRefused: (refused: number) => void;
  readonly #atWork = new Map<string, number>();
  #taken = 0;
  /** In the order of their arrival. */
  #waiting: Waiting[] = [];
  #latelyMs = 0;
  #isSweeping = false;
  #refused = 0;
  #toldAt = -Infinity;

  constructor(
    { turns = defaultTurns, waitingLimit = defaultWaitingLimit, patienceMs, onRefused = () => {} }:
      AdmissionOptions,
  ) {
    this.#turns = turns;
    this.#waitingLimit = waitingLimit;
    this.#patienceMs = patienceMs;
    this.#onRefused = onRefused;
  }

  enter(applicant: Applicant): Promise<Turn | undefined> {
    if (this.#taken < this.#turns) return Promise.resolve(this.#begin(applicant.clinic));
    return new Promise((decide) => {
      this.#waiting.push({ ...applicant, since: performance.now(), decide });
      if (this.#waiting.length > this.#waitingLimit) this.#refuse(this.#inOrder().at(-1));
      this.#sweepLater();
    });
  }

  #begin(clinic: string): Turn {
    const startedAt = performance.now();
    let awayMs = 0;
    let isEnded = false;
    this.#take(clinic);
    return {
      away: async (work) => {
        if (isEnded) return await work();
        const leftAt = performance.now();
        this.#give(clinic);
        try {
          return await work();
        } finally {
          // Take the turn back without waiting: a refusal now would waste what is done.
          this.#take(clinic);
          awayMs += performance.now() - leftAt;
        }
      },
      end: () => {
        if (isEnded) return;
        isEnded = true;
        const tookMs = performance.now() - startedAt - awayMs;
        this.#latelyMs += newestShare * (tookMs - this.#latelyMs);
        this.#give(clinic);
      },
    };
  }

  #take(clinic: string): void {
    this.#taken++;
    this.#atWork.set(clinic, this.#turnsOf(clinic) + 1);
  }

  #give(clinic: string): void {
    this.#taken--;
    const left = this.#turnsOf(clinic) - 1;
    if (left > 0) this.#atWork.set(clinic, left);
    else this.#atWork.delete(clinic);
    while (this.#taken < this.#turns && this.#waiting.length > 0) {
      const next = this.#next();
      if (!this.#canFinish(next, performance.now())) this.#refuse(next);
      else {
        this.#remove(next);
        next.decide(this.#begin(next.clinic));
      }
    }
  }

  #turnsOf(clinic: string): number {
    return this.#atWork.get(clinic) ?? 0;
  }

  #next(): Waiting {
    const compare = this.#comparison();
    return this.#waiting.reduce((best, other) => compare(other, best) < 0 ? other : best);
  }

  #inOrder(): Waiting[] {
    return this.#waiting.toSorted(this.#comparison());
  }

  /** Compares two requests: negative when the first goes before the second, 0 to keep their order. */
  #comparison(): (one: Waiting, other: Waiting) => number {
    const oldest = this.#waiting.find(({ urgency }) => urgency !== "unheard");
    const oldestMs = oldest === undefined ? 0 : performance.now() - oldest.since;
    const direction = oldestMs > this.#patienceMs / 2 ? -1 : 1;
    return (one, other) =>
      this.#turnsOf(one.clinic) - this.#turnsOf(other.clinic) ||
      urgencies.indexOf(one.urgency) - urgencies.indexOf(other.urgency) ||
      direction * (one.since - other.since);
  }

  #canFinish({ budget, hasGone }: Waiting, now: number): boolean {
    return budget.remainingMs(now) > this.#latelyMs && !hasGone();
  }

  #refuse(waiting: Waiting | undefined): void {
    if (!waiting) return;
    this.#remove(waiting);
    waiting.decide(undefined);
    this.#refused++;
    const now = performance.now();
    if (now - this.#toldAt < 1000) return;
    this.#toldAt = now;
    this.#onRefused(this.#refused);
    this.#refused = 0;
  }

  #remove(waiting: Waiting): void {
    this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
  }

  /** Refuses requests whose time or patience has run out. */
  #sweep(): void {
    // The clock is read once: with a thousand waiting, reading it cost more than all the rest.
    const now = performance.now();
    const lateSince = now - this.#patienceMs;
    const late = this.#waiting.filter((waiting) =>
      !this.#canFinish(waiting, now) || waiting.urgency !== "unheard" && waiting.since <= lateSince
    );
    for (const waiting of late) this.#refuse(waiting);
  }

  #sweepLater(): void {
    if (this.#isSweeping) return;
    this.#isSweeping = true;
    setTimeout(() => {
      this.#isSweeping = false;
      this.#sweep();
      if (this.#waiting.length > 0) this.#sweepLater();
    }, Math.min(sweepMs, this.#patienceMs));
  }
}
