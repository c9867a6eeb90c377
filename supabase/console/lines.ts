/**
 * The clinics that can be called on the page, and their lines.
 *
 * @module
 */

import { type Line, openLine } from "../tasks/talk/line.ts";
import type { SwitchedDatabase } from "./database.ts";
import { Refusal } from "./refusal.ts";
import { targetPrefix } from "./target.ts";

/** A clinic as the page offers it. */
export interface CallableClinic {
  readonly slug: string;
  readonly name: string;
  readonly number: string;
  readonly services: readonly string[];
  readonly doctors: readonly string[];
  readonly zone: string;
}

/** The lines of the clinics. The last known ones can be called while the database is away. */
export class Lines {
  readonly #database: SwitchedDatabase;
  readonly #url: string;
  #known = new Map<string, Line & { readonly zone: string }>();

  /** @param url The address of the stack. */
  constructor(database: SwitchedDatabase, url: string) {
    this.#database = database;
    this.#url = url;
  }

  /** Every clinic that has a number, by name. */
  async list(): Promise<CallableClinic[]> {
    await this.#refresh().catch((thrown) => {
      if (!(thrown instanceof Refusal)) throw thrown;
    });
    return [...this.#known].map(([slug, { profile, number, zone }]) => ({
      ...{ slug, number, zone },
      name: profile.name,
      services: profile.services.map(({ name }) => name),
      doctors: profile.doctors,
    }));
  }

  /** @throws {Refusal} When no clinic has this slug. */
  async open(slug: string): Promise<Line> {
    if (!this.#known.has(slug)) await this.#refresh();
    const line = this.#known.get(slug);
    if (line) return line;
    throw new Refusal(404, `There is no clinic ${slug}. Reload the page.`);
  }

  async #refresh(): Promise<void> {
    this.#known = await this.#database.ask(async (sql) => {
      const clinics = await sql<{ slug: string; zone: string }[]>`
        select o.slug, o.timezone as zone from public.organizations as o
        where o.slug not like ${`${targetPrefix}%`} and exists (
          select from public.org_channels as c where c.org_id = o.id and c.kind = 'called_number')
        order by o.name, o.slug limit 50`;
      return new Map(
        await Promise.all(
          clinics.map(async ({ slug, zone }) =>
            [slug, { ...await openLine(sql, slug, this.#url), zone }] as const
          ),
        ),
      );
    });
  }
}
