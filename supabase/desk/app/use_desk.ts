/**
 * What the page shows of a clinic, read again every few seconds and after each action.
 *
 * @module
 */
/// <reference lib="dom" />

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import type { Attention, Client, Practice } from "./client.ts";
import type { Day, Moment } from "../../page/app/clinic_time.ts";
import type { Appointment, Clinic, Membership, Role } from "./rows.ts";
import type { Answer, StaffFunction } from "./words.ts";

/** How often the page reads again, and how old the doctors, services and hours may get. */
const pollMs = 3000;
const practiceMs = 60_000;

/** The days that are shown, both included. */
export interface Range {
  readonly first: Day;
  readonly last: Day;
}

/** What was read last. */
export interface Seen {
  readonly membership: Membership;
  readonly clinics: readonly Clinic[];
  readonly practice: Practice;
  readonly range: Range;
  readonly appointments: readonly Appointment[];
  readonly attention: Attention;
}

/** A clinic as a member works with it. */
export interface Desk extends Seen {
  readonly client: Client;
  readonly userId: string;
  readonly orgId: string;
  readonly role: Role;
  readonly zone: string;
  /** Asks a function for staff, then reads everything again. */
  act(
    name: StaffFunction,
    args: Readonly<Record<string, unknown>>,
    request?: string,
  ): Promise<Answer>;
}

/** Reading has begun, found no clinic, or has found one. */
export type Loaded =
  | { readonly kind: "loading" | "no_clinic" }
  | { readonly kind: "ready"; readonly desk: Desk };

/** A {@link Loaded} clinic, and since when the server has not answered, if it does not. */
export interface Reading {
  readonly loaded: Loaded;
  readonly staleSince: Moment | undefined;
}

/**
 * Reads a member's clinic for as long as the page shows it.
 *
 * @param chosen The clinic to show, if the account belongs to several
 * @param rangeOf The days to show, for the clinic's zone
 */
export function useDesk(
  client: Client,
  userId: string,
  chosen: string | undefined,
  rangeOf: (zone: string) => Range,
): Reading {
  const [seen, setSeen] = useState<Seen | "none" | undefined>();
  const [staleSince, setStaleSince] = useState<Moment>();
  const asked = useRef({ chosen, rangeOf });
  asked.current = { chosen, rangeOf };
  const [reader] = useState(() => new Reader(client, userId));

  const refresh = useCallback(async (renew = false) => {
    try {
      const result = await reader.read(asked.current.chosen, asked.current.rangeOf, renew);
      if (result === "overtaken") return;
      setSeen(result);
      setStaleSince(undefined);
    } catch {
      setStaleSince((since) => since ?? client.now());
    }
  }, []);

  const range = rangeKey(seen, rangeOf);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isOver = false;
    const poll = async () => {
      clearTimeout(timer);
      if (!document.hidden) await refresh();
      clearTimeout(timer);
      if (!isOver) timer = setTimeout(poll, pollMs);
    };
    const onVisible = () => void (!document.hidden && poll());
    document.addEventListener("visibilitychange", onVisible);
    void poll();
    return () => {
      isOver = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", onVisible);
    };
  }, [chosen, range]);

  if (seen === undefined) return { loaded: { kind: "loading" }, staleSince };
  if (seen === "none") return { loaded: { kind: "no_clinic" }, staleSince };
  const orgId = seen.membership.org_id;
  const desk: Desk = {
    ...seen,
    client,
    userId,
    orgId,
    role: seen.membership.role,
    zone: seen.practice.clinic.timezone,
    act: async (name, args, request) => {
      const answer = await client.ask(name, orgId, args, request);
      await refresh(true);
      return answer;
    },
  };
  return { loaded: { kind: "ready", desk }, staleSince };
}

function rangeKey(seen: Seen | "none" | undefined, rangeOf: (zone: string) => Range): string {
  if (seen === undefined || seen === "none") return "";
  const { first, last } = rangeOf(seen.practice.clinic.timezone);
  return `${first}/${last}`;
}

/** Reads, and knows which answer is the newest. */
class Reader {
  readonly #client: Client;
  readonly #userId: string;
  #latest = 0;
  #practice: { readonly value: Practice; readonly at: number } | undefined;

  constructor(client: Client, userId: string) {
    this.#client = client;
    this.#userId = userId;
  }

  /** @returns `overtaken` when a later reading has begun: its answer is newer */
  async read(
    chosen: string | undefined,
    rangeOf: (zone: string) => Range,
    renew: boolean,
  ): Promise<Seen | "none" | "overtaken"> {
    const mine = ++this.#latest;
    // A later reading that overtakes this one renews it too.
    if (renew) this.#practice = undefined;
    const client = this.#client;
    const memberships = await client.memberships(this.#userId);
    const wanted = memberships.find(({ org_id }) => org_id === chosen) ?? memberships[0];
    if (!wanted) return mine === this.#latest ? "none" : "overtaken";
    const known = this.#practice;
    const isFresh = known?.value.clinic.id === wanted.org_id &&
      performance.now() - known.at < practiceMs;
    const practice = isFresh ? known.value : await client.practice(wanted.org_id);
    const range = rangeOf(practice.clinic.timezone);
    const [appointments, attention, clinics] = await Promise.all([
      client.appointments(practice.clinic, range.first, range.last),
      client.attention(wanted.org_id, wanted.role),
      memberships.length > 1 ? client.clinics() : [practice.clinic],
    ]);
    if (mine !== this.#latest) return "overtaken";
    if (!isFresh) this.#practice = { value: practice, at: performance.now() };
    return { membership: wanted, clinics, practice, range, appointments, attention };
  }
}
