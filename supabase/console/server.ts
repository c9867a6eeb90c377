/**
 * The console: the page at `/` of the local stack, and what it asks under `/console/`.
 *
 * It is for this machine only, like the stack, whose visitors `visitors.ts` checks first. Whatever
 * changes something also needs the page's own `Origin`, and a body that a form cannot send.
 *
 * @module
 */

import { z } from "zod";
import { type FakeTwilio, type FaultKind, readFaultOrder } from "../local/twilio/server.ts";
import { findModel } from "../tasks/talk/model.ts";
import { attack, attackNames } from "./attacks.ts";
import { readBook } from "./book.ts";
import { SwitchedDatabase } from "./database.ts";
import type { Events } from "./events.ts";
import { readFigures } from "./figures.ts";
import { Lines } from "./lines.ts";
import { PhoneCalls } from "./phone_calls.ts";
import { Refusal } from "./refusal.ts";
import { rush } from "./rush.ts";

/** What the console works with. */
export interface ConsoleParts {
  /** The address of the stack. */
  readonly url: string;
  /** As the role postgres. */
  readonly dbUrl: string;
  /** Signs the requests of the calls. */
  readonly secret: string;
  readonly twilio: FakeTwilio;
  readonly events: Events;
  /** Stores a Twilio account for every clinic that has none. */
  readonly provision: () => Promise<void>;
  /** Has the key of a language model, or none. */
  readonly env: Readonly<Record<string, string>>;
}

/** A running console. */
export interface Console {
  readonly database: SwitchedDatabase;
  /** Answers a request for a path under `/console/`. */
  fetch(request: Request): Promise<Response>;
  close(): Promise<void>;
}

const phone = z.string().regex(/^\+[1-9]\d{6,14}$/, "needs a country code, as +447700900123");
const caller = z.object({
  clinic: z.string().max(80),
  /** Null when it is withheld. */
  caller: phone.nullable(),
});
const calling = caller.extend({
  /** Lets the scripted agent answer, also where there is a model's key. */
  isScripted: z.boolean().default(false),
});
const saying = z.object({ said: z.string().trim().min(1, "is blank").max(500) });
const switching = z.object({ isAway: z.boolean() });
const holding = caller.extend({
  slotId: z.string().max(200),
  patientName: z.string().trim().min(1).max(120),
});
const rushing = z.object({ clinic: z.string().max(80), slotId: z.string().max(200) });
const callersOfRush = 200;
const day = z.iso.date().optional().catch(undefined);
const spoiling = z.object({
  kinds: z.array(z.custom<FaultKind>((kind) => readFaultOrder({ kind }).ok, "is unknown")).max(2),
});
const spoiledTexts = 1000;
const attacking = z.object({ name: z.enum(attackNames) });
const nothing = z.object({});

/** Opens the console. Nothing is connected yet. */
export function openConsole(
  { url, dbUrl, secret, twilio, events, provision, env }: ConsoleParts,
): Console {
  const database = new SwitchedDatabase(dbUrl, events);
  const lines = new Lines(database, url);
  const calls = new PhoneCalls({ lines, events, secret, env });

  async function answer(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const { method } = request;
    const [, , what = "", id = "", then] = pathname.split("/");
    if (method === "POST") refuseForeign(request);
    switch (`${method} ${what}`) {
      case "GET events":
        return events.open();
      case "GET overview":
        return Response.json({
          clinics: await lines.list(),
          texts: twilio.messages.slice(-50),
          faults: [...new Map(twilio.faults.map((fault) => [fault.kind, fault])).values()],
          database: database.state,
          lines: events.lines,
          model: findModel(env, undefined, undefined)?.name ?? null,
        });
      case "POST calls": {
        if (id === "") {
          const { clinic, caller: from, isScripted } = await read(request, calling);
          const asked = { clinic, caller: from ?? undefined };
          return Response.json(await calls.start(asked, isScripted));
        }
        if (then === "said") {
          return Response.json(await calls.hear(id, (await read(request, saying)).said));
        }
        await read(request, nothing);
        await calls.hangUp(id);
        return new Response(null, { status: 204 });
      }
      case "GET book":
        return Response.json(await readBook(database, id, day.parse(then)));
      case "GET figures":
        return Response.json(await readFigures(database));
      case "POST holds": {
        const { clinic, caller: from, ...args } = await read(request, holding);
        const asked = { clinic, caller: from ?? undefined };
        return Response.json(await calls.useOnce(asked, "hold_slot", args));
      }
      case "POST rush": {
        const asked = { ...await read(request, rushing), callers: callersOfRush };
        return Response.json(await rush({ lines, database, secret }, asked));
      }
      case "POST faults": {
        const { kinds } = await read(request, spoiling);
        twilio.clearFaults();
        for (const kind of kinds) twilio.addFault(kind, { times: spoiledTexts });
        return new Response(null, { status: 204 });
      }
      case "POST attacks": {
        const { name } = await read(request, attacking);
        return Response.json(await attack({ database, twilio, url, secret, provision }, name));
      }
      case "POST database":
        database.switch((await read(request, switching)).isAway);
        return new Response(null, { status: 204 });
      default:
        throw new Refusal(404, `Nothing at ${method} ${pathname}`);
    }
  }

  return {
    database,
    fetch: async (request) => {
      try {
        return await answer(request);
      } catch (thrown) {
        const status = thrown instanceof Refusal ? thrown.status : 500;
        const message = thrown instanceof Error ? thrown.message : String(thrown);
        return Response.json({ message }, { status });
      }
    },
    close: () => {
      events.close();
      return database.close();
    },
  };
}

/** Only a page of this address sends this: another one's is refused before, and a form has another type. */
function refuseForeign({ headers }: Request): void {
  if (headers.get("origin") !== `http://${headers.get("host")}`) {
    throw new Refusal(403, "Only the console's own page may do this");
  }
  if (headers.get("content-type") !== "application/json") {
    throw new Refusal(415, "Send JSON");
  }
}

async function read<Schema extends z.ZodType>(
  request: Request,
  schema: Schema,
): Promise<z.output<Schema>> {
  const given = schema.safeParse(await request.json().catch(() => undefined));
  if (given.success) return given.data;
  const problems = given.error.issues.map(({ path, message }) => `${path.join(".")} ${message}`);
  throw new Refusal(400, `Cannot do this: ${problems.join("; ").trim()}`);
}
