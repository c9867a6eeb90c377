/**
 * The stack, as the page asks it and hears of it.
 *
 * @module
 */
/// <reference lib="dom" />

import { useEffect, useState } from "preact/hooks";
import type { DatabaseState, Told } from "../events.ts";
import type { CallableClinic } from "../lines.ts";

/** A text, as JSON has it. */
export type Text = Omit<Told["text"], "createdAt"> & { readonly createdAt: string };

/** The state of the stack when the page opens. */
export interface Overview {
  readonly clinics: readonly CallableClinic[];
  /** Oldest first. */
  readonly texts: readonly Text[];
  /** The faults that wait for a text. */
  readonly faults: readonly { readonly kind: string | number }[];
  readonly database: DatabaseState;
  /** Lines of the log, oldest first. */
  readonly lines: readonly string[];
  /** The language model that answers calls; null if there is no key for one. */
  readonly model: string | null;
}

/** What the page hears. */
export interface Hearing {
  text(text: Text): void;
  line(line: string): void;
  changed(): void;
  database(state: DatabaseState): void;
  /** The connection to the stack is there, or not any more. */
  connected(isConnected: boolean): void;
}

/** The stack answered that it cannot do this; the message is a sentence for the person at the page. */
export class Refused extends Error {
  readonly status: number;

  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

/** @throws {Error} With a sentence for the person at the page. */
export async function get<Answer>(path: string): Promise<Answer> {
  return await read(fetch(path));
}

/** Between two attempts to read what could not be read, in milliseconds. */
const retryMs = 2000;

/**
 * Reads until it succeeds: a busy or stopped database is there again later, and nothing else would tell
 * the page to read once more.
 *
 * @returns What ends it.
 */
export function keepReading<Answer>(
  path: string,
  { found, failed }: {
    readonly found: (answer: Answer) => void;
    /** Hears the sentence for the person at the page. */
    readonly failed: (why: string) => void;
  },
): () => void {
  let isOver = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const attempt = () =>
    get<Answer>(path).then(
      (answer) => {
        if (!isOver) found(answer);
      },
      (thrown) => {
        if (isOver) return;
        failed(sentenceOf(thrown));
        timer = setTimeout(attempt, retryMs);
      },
    );
  attempt();
  return () => {
    isOver = true;
    clearTimeout(timer);
  };
}

/** @throws {Error} With a sentence for the person at the page. */
export async function post<Answer = void>(
  path: string,
  body: object = {},
  { keepalive = false } = {},
): Promise<Answer> {
  const headers = { "content-type": "application/json" };
  const request = { method: "POST", headers, body: JSON.stringify(body), keepalive };
  return await read(fetch(path, request));
}

/** Hangs up, also while the page is being left. */
export const hangUp = (callId: string): Promise<void> =>
  post(`/console/calls/${callId}/ended`, {}, { keepalive: true });

/** What a person asks for: whether it is under way, and why it last failed. */
export function useAttempt() {
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string>();
  const attempt = async (act: () => Promise<void>): Promise<void> => {
    setBusy(true);
    setProblem(undefined);
    await act().catch((thrown) => setProblem(sentenceOf(thrown)));
    setBusy(false);
  };
  return { isBusy, problem, setProblem, attempt };
}

/** Hangs up a call whose page is left or loaded again: nobody is on the line any more. */
export function useLine(callId: string | undefined): void {
  useEffect(() => {
    if (callId === undefined) return;
    const leave = () => void hangUp(callId).catch(() => {});
    addEventListener("pagehide", leave);
    return () => removeEventListener("pagehide", leave);
  }, [callId]);
}

/**
 * The texts to the phone of this window: to its number, and to numbers that its caller gave in a call.
 *
 * @param given As the caller wrote them.
 */
export function textsTo(
  texts: readonly Text[],
  caller: string,
  given: readonly string[],
): readonly Text[] {
  const endings = given.map((number) => number.replaceAll(/\D/g, "").replace(/^0+/, ""))
    .filter((digits) => digits.length >= fewestDigits);
  return texts.filter(({ to }) => to === caller || endings.some((digits) => to.endsWith(digits)));
}

/** Of a number without its country code. */
const fewestDigits = 6;

async function read<Answer>(asked: Promise<Response>): Promise<Answer> {
  const response = await asked.catch(() => {
    throw new Error("The stack does not answer. Is deno task start running?");
  });
  const text = await response.text();
  const answer = text === "" ? undefined : JSON.parse(text);
  if (response.ok) return answer;
  throw new Refused(answer?.message ?? `The stack answered ${response.status}`, response.status);
}

/** Hears what happens in the stack, until the returned function is called. */
export function listen(hearing: Hearing): () => void {
  const source = new EventSource("/console/events");
  const on = (name: string, hear: (data: string) => void) =>
    source.addEventListener(name, (event) => {
      if (event instanceof MessageEvent) hear(event.data);
    });
  on("text", (data) => hearing.text(JSON.parse(data)));
  on("line", (data) => hearing.line(JSON.parse(data)));
  on("database", (data) => hearing.database(JSON.parse(data)));
  on("changed", () => hearing.changed());
  source.onopen = () => hearing.connected(true);
  source.onerror = () => hearing.connected(false);
  return () => source.close();
}

/** What a thrown value says. */
export const sentenceOf = (thrown: unknown): string =>
  thrown instanceof Error ? thrown.message : String(thrown);
