/**
 * Callers who ask a running stack without pause, each on its own connection: their answers, with times.
 *
 * @module
 */

import { createConnection, type Socket } from "node:net";
import { readConfig } from "../../shared/config.ts";
import { withConnection } from "../../supabase/local/connection.ts";
import { storeFakeAccount } from "../../supabase/local/twilio/account.ts";
import { aClinic, aToolCall, type Clinic, type Said, saidIn } from "./clinic.ts";

/** A running stack, and the clinic to call there. */
export interface Line {
  readonly url: string;
  readonly secret: string;
  readonly clinic: Clinic;
}

/** Creates a clinic for thousands of calls: enough doctors, and limits that these callers never reach. */
export async function aLoadClinic(
  env: Readonly<Record<string, string>>,
  url: string,
  doctors = 10,
): Promise<Line> {
  return await withConnection(env["SUPABASE_DB_URL"] ?? "", async (sql) => {
    const clinic = await aClinic(sql, { providers: doctors });
    await sql`update public.organizations set sms_hourly_limit = 1000000 where id = ${clinic.id}`;
    await storeFakeAccount(sql, readConfig(env).credentialKeys, clinic);
    return { url, secret: env["VAPI_SECRETS"] ?? "", clinic };
  });
}

/** One answer to a tool call. */
export interface Heard {
  readonly tool: string;
  /** `error` if the answer is a sentence instead of a result. */
  readonly outcome: string;
  readonly ms: number;
}

/** The result of a rush. */
export interface Rush {
  readonly seconds: number;
  readonly heard: readonly Heard[];
  /** Calls that reached their last step, in which a wrong code was compared. */
  readonly completed: number;
  /** Calls that ended earlier, by the outcome that ended them. */
  readonly ended: ReadonlyMap<string, number>;
}

let phones = 0;
/** A new British mobile number for each call, from a range that no island shares. */
const nextPhone = () => `+447900${padded(phones++)}`;
const padded = (count: number) => String(count % 1_000_000).padStart(6, "0");

/** Lets callers make one call after another until the time is up; calls under way are finished. */
export async function rush(line: Line, callers: number, seconds: number): Promise<Rush> {
  const heard: Heard[] = [];
  const ended = new Map<string, number>();
  let completed = 0;
  const startedAt = performance.now();
  const until = startedAt + seconds * 1000;
  await Promise.all(Array.from({ length: callers }, async () => {
    const socket = await Connection.open(line.url);
    try {
      while (performance.now() < until) {
        const outcome = await playCall(line, socket, heard, until);
        if (performance.now() > until) break;
        if (outcome === "wrong_code") completed++;
        else ended.set(outcome, (ended.get(outcome) ?? 0) + 1);
      }
    } finally {
      socket.close();
    }
  }));
  return { seconds, heard, completed, ended };
}

/** One call: availability, hold, text, a wrong code. Returns the outcome that it ended with. */
async function playCall(
  { clinic, secret }: Line,
  connection: Connection,
  heard: Heard[],
  until: number,
): Promise<string> {
  const phone = nextPhone();
  const callId = crypto.randomUUID();
  const ask = async (tool: string, args: object): Promise<Said> => {
    for (;;) {
      const body = aToolCall({ tool, args, called: clinic.number, caller: phone, callId });
      const askedAt = performance.now();
      const said = await connection.post(tool, secret, body);
      heard.push({ tool, outcome: said.outcome, ms: performance.now() - askedAt });
      // As an agent that is told to retry, without a pause.
      if (said.outcome !== "busy" || performance.now() > until) return said;
    }
  };
  const day = new Date(Date.now() + (2 + Math.floor(Math.random() * 55)) * 86_400_000);
  const found = await ask("check_availability", {
    date: day.toISOString().slice(0, 10),
    serviceType: "consultation",
    timePreference: ["morning", "afternoon", "evening"][Math.floor(Math.random() * 3)],
  });
  const slots = found.slots ?? [];
  const slot = slots[Math.floor(Math.random() * slots.length)];
  if (!slot) return found.outcome;
  const held = await ask("hold_slot", { slotId: slot.slotId, patientName: "Ada Brown" });
  if (held.outcome !== "held") return held.outcome;
  const sent = await ask("send_otp", { holdId: held.holdId });
  if (sent.outcome !== "sent") return sent.outcome;
  return (await ask("verify_otp", { code: "000000" })).outcome;
}

/** A kept-alive connection. It uses less processor time than `fetch`, which would be measured too. */
class Connection {
  readonly #socket: Socket;
  #received = "";
  #waiting: PromiseWithResolvers<Said> | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding("utf8");
    socket.on("data", (part: string) => this.#read(part));
    socket.on("error", () => this.#fail());
    socket.on("close", () => this.#fail());
  }

  static open(url: string): Promise<Connection> {
    const { hostname, port } = new URL(url);
    return new Promise((resolve, reject) => {
      const socket = createConnection({ port: Number(port), host: hostname, noDelay: true });
      socket.once("connect", () => resolve(new Connection(socket)));
      socket.once("error", reject);
    });
  }

  post(tool: string, secret: string, body: string): Promise<Said> {
    this.#waiting = Promise.withResolvers();
    this.#socket.write(
      `POST /functions/v1/${tool.replaceAll("_", "-")} HTTP/1.1\r\nHost: 127.0.0.1\r\n` +
        `Content-Type: application/json\r\nX-Vapi-Secret: ${secret}\r\n` +
        `Content-Length: ${body.length}\r\n\r\n${body}`,
    );
    return this.#waiting.promise;
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(part: string): void {
    this.#received += part;
    const head = this.#received.indexOf("\r\n\r\n");
    if (head < 0) return;
    const length = Number(/content-length: (\d+)/i.exec(this.#received)?.[1]);
    const body = this.#received.slice(head + 4);
    if (new TextEncoder().encode(body).length < length) return;
    this.#received = "";
    this.#waiting?.resolve(saidIn(body));
  }

  #fail(): void {
    this.#waiting?.resolve({ success: false, outcome: "cut", message: "The connection was lost" });
  }
}
