/**
 * Admission: how many requests an isolate works on at once, what waits, and what is refused.
 *
 * Without it, too many callers at once means that nobody is answered: each gets a share of the
 * processor and the database that is too small to finish before its deadline, and all of that work is
 * thrown away. So a fixed number of requests has a turn, and the others wait at the door, where they
 * cost nothing, for a short time. What waits longer is told `busy` and asked to try again.
 *
 * - A fixed limit, not one that is learned from response times: those also rise when one clinic's
 *   callers wait for one doctor's lock, and that is no reason to serve other clinics less.
 * - The clinic with the fewest turns goes first, so a rush at one clinic does not keep others waiting.
 * - What continues a call goes before what begins one. A booking takes four tool calls: if each were
 *   refused by chance, hardly any would come to its end.
 * - The oldest goes first, as one expects. When the oldest has waited for half of its patience, more
 *   comes than can be answered: then the newest goes first (adaptive LIFO), because it has most of
 *   its time left, and those who are about to be refused anyway do not slow down everybody else.
 * - What cannot be finished in the time it has left, going by how long a turn takes lately, or whose
 *   caller has gone, is not begun.
 *
 * @module
 */

import type { Budget } from "./deadline.ts";

const urgencies = ["continues", "begins", "unheard"] as const;
/**
 * Whether a request continues a call, begins one, or nobody on the line hears the answer: then it
 * waits for as long as its time allows.
 */
export type Urgency = typeof urgencies[number];

/** What asks for a turn. */
export interface Applicant {
  /** Whom it calls; requests that call the same share its turns. */
  readonly clinic: string;
  readonly urgency: Urgency;
  readonly budget: Budget;
  /** Whether nobody waits for the answer any more. */
  readonly hasGone: () => boolean;
}

/** The right to work on a request. */
export interface Turn {
  /** Does something that only waits for others; meanwhile somebody else has the turn. */
  away<T>(work: () => Promise<T>): Promise<T>;
  /** Gives the turn to the next; a second time it does nothing. */
  end(): void;
}

/** The door of an isolate. */
export interface Admission {
  /** A turn, as soon as there is one; undefined when the request must be refused. */
  enter(applicant: Applicant): Promise<Turn | undefined>;
}

/** How much an isolate takes on. */
export interface AdmissionOptions {
  /** How many requests have a turn at once. */
  readonly turns?: number;
  /** How many wait at most; one more, and the last in order is refused at once. */
  readonly waitingLimit?: number;
  /** Milliseconds that a caller waits for a turn. */
  readonly patienceMs: number;
  /** Told when requests were refused, at most once a second: how many since the last time. */
  readonly onRefused?: (refused: number) => void;
}

/** Keeps two processors and a pool of ten connections busy, with as many again on their way. */
const defaultTurns = 20;
const defaultWaitingLimit = 1000;
/** How often those who wait are looked through, in milliseconds. */
const sweepMs = 25;
/** The share of the newest turn in how long one takes lately. */
const newestShare = 0.1;

interface Waiting extends Applicant {
  readonly since: number;
  readonly decide: (turn: Turn | undefined) => void;
}

/** Makes the door of an isolate. */
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
          // It is not asked to wait again: what it has done so far would be lost.
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
      if (!this.#canFinish(next)) this.#refuse(next);
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

  /** Who has a turn first; of two that arrived at once, the one that stands before. */
  #comparison(): (one: Waiting, other: Waiting) => number {
    const oldest = this.#waiting.find(({ urgency }) => urgency !== "unheard");
    const oldestMs = oldest === undefined ? 0 : performance.now() - oldest.since;
    const direction = oldestMs > this.#patienceMs / 2 ? -1 : 1;
    return (one, other) =>
      this.#turnsOf(one.clinic) - this.#turnsOf(other.clinic) ||
      urgencies.indexOf(one.urgency) - urgencies.indexOf(other.urgency) ||
      direction * (one.since - other.since);
  }

  #canFinish({ budget, hasGone }: Waiting): boolean {
    return budget.remainingMs() > this.#latelyMs && !hasGone();
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

  /** Refuses those whose time or patience has ended. */
  #sweep(): void {
    const lateSince = performance.now() - this.#patienceMs;
    const late = this.#waiting.filter((waiting) =>
      !this.#canFinish(waiting) || waiting.urgency !== "unheard" && waiting.since <= lateSince
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
