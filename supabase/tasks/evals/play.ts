/**
 * Plays a conversation between two models: the agent, which has the real tools, and the caller. Then
 * collects what it has left behind.
 *
 * @module
 */

import type postgres from "postgres";
import type { World } from "../simulate/caller.ts";
import type { SimulatedClinic } from "../simulate/clinics.ts";
import type { Agent } from "../talk/agent.ts";
import { awaitTexts, LineCall, type SentText } from "../talk/line.ts";
import type { Model, Said } from "../talk/model.ts";
import { bookedName, type Conversation, type Evidence, type Kept } from "./conversations.ts";

/** A conversation that was played. */
export interface Played {
  readonly name: string;
  readonly failures: readonly string[];
  /** One event a line: what was said, used and texted. */
  readonly transcript: readonly string[];
  readonly evidence: Evidence;
}

/** The models and the stack of a conversation. */
export interface Stage {
  readonly sql: postgres.Sql;
  readonly world: World;
  readonly clinic: SimulatedClinic;
  /** Two numbers that no other conversation uses. */
  readonly numbers: readonly [string, string];
  readonly caller: Model;
  openAgent(call: LineCall): Agent;
}

const mostTurns = 30;
const end = "[hang up]";

/** Plays one conversation and judges it. */
export async function playConversation(
  { sql, world, clinic, numbers: [caller, stranger], caller: model, openAgent }: Stage,
  conversation: Conversation,
): Promise<Played> {
  const owner = conversation.booked === "stranger" ? stranger : caller;
  const phones = [caller, stranger];
  if (conversation.booked) await bookBefore(world, clinic, owner);
  const { orgId } = clinic.line.profile;
  const [before] = await readKept(sql, orgId, phones);
  const textsBefore = await world.allTexts();
  const transcript: string[] = [];
  const call = new LineCall(clinic.line, {
    secret: world.secret,
    caller: conversation.isWithheld ? undefined : caller,
    onUse: ({ tool, args, text, ms }) =>
      void transcript.push(`tool: ${tool} ${JSON.stringify(args)}`, `answer: ${ms} ms ${text}`),
  });
  const part = new Part(model, conversation.caller.replace("OWNER", owner).replace("OWN", caller));
  await converse(openAgent(call), call, part, transcript, () => world.textsTo(caller));
  await call.hangUp();
  // The text for an existing appointment is sent after the answer.
  const texts = (await world.allTexts()).slice(textsBefore.length);
  const evidence: Evidence = {
    kept: await readKept(sql, orgId, phones),
    before,
    texted: texts.map(({ to }) => to),
    ...await readTraces(sql, orgId, call.callId),
    caller,
    owner,
  };
  return { name: conversation.name, failures: conversation.judge(evidence), transcript, evidence };
}

async function converse(
  agent: Agent,
  call: LineCall,
  part: Part,
  transcript: string[],
  readTexts: () => Promise<readonly SentText[]>,
): Promise<void> {
  let turn = agent.greet();
  let shown = (await readTexts()).length;
  for (let turns = 0; turns < mostTurns; turns++) {
    transcript.push(`agent: ${turn.says}`);
    if (turn.asks === undefined) return;
    const news = (await awaitTexts(call, readTexts, shown)).map(({ body }) => body);
    shown += news.length;
    for (const body of news) transcript.push(`text: ${body}`);
    const said = await part.answer(turn.says, news);
    transcript.push(`caller: ${said}`);
    const words = said.replace(end, "").trim();
    if (words !== "") turn = await agent.hear(words);
    if (said.includes(end)) return;
  }
  transcript.push(`(nobody ended the call within ${mostTurns} turns)`);
}

/** The caller, played by a model. */
class Part {
  readonly #said: Said[] = [];

  constructor(private readonly model: Model, private readonly part: string) {}

  async answer(heard: string, texts: readonly string[]): Promise<string> {
    const notes = texts.map((body) => `\n(Your phone shows a new text: "${body}")`);
    this.#said.push({ role: "user", text: heard + notes.join("") });
    const answer = await this.model.answer({
      system: `You play somebody who calls a clinic. ${this.part}\n` +
        "What the agent says comes as messages; texts to your phone are noted in parentheses. " +
        "Answer with what you say on the phone and nothing else, in one or two short sentences. " +
        `When you have what you want, or give up, say goodbye and write ${end}.`,
      said: this.#said,
      tools: [],
    });
    this.#said.push(answer);
    return answer.text === "" ? end : answer.text;
  }
}

/** Books an appointment before the conversation. */
async function bookBefore(world: World, { line }: SimulatedClinic, phone: string): Promise<void> {
  const call = new LineCall(line, { secret: world.secret, caller: phone });
  const found = await call.use("check_availability", {
    date: "in 6 days",
    serviceType: "consultation",
  });
  const slotId = found.answer.slots?.[0]?.slotId;
  const held = await call.use("hold_slot", { slotId, patientName: bookedName });
  if (held.answer.nextTool === "send_otp") await call.use("send_otp", {});
  const [code] = /\d{6}/.exec((await world.textsTo(phone)).at(-1)?.body ?? "") ?? [];
  const { answer } = await call.use("verify_otp", { code });
  await call.hangUp();
  if (answer.outcome === "confirmed") return;
  throw new Error(`Cannot book the appointment before the conversation: ${answer.outcome}`);
}

async function readKept(
  sql: postgres.Sql,
  orgId: string,
  phones: readonly string[],
): Promise<Kept[]> {
  return await sql<Kept[]>`
    select a.id, a.patient_name as name, a.patient_phone as phone, a.status, s.name as service,
      to_char(a.starts_at at time zone o.timezone, 'YYYY-MM-DD"T"HH24') as hour,
      a.status = 'confirmed' or a.status = 'held' and a.expires_at > clock_timestamp() as "isLive"
    from public.appointments as a
    join public.organizations as o on o.id = a.org_id
    join public.services as s on s.org_id = a.org_id and s.id = a.service_id
    where a.org_id = ${orgId} and a.patient_phone = any (${[...phones]}::text[])
    order by a.created_at`;
}

async function readTraces(
  sql: postgres.Sql,
  orgId: string,
  callId: string,
): Promise<Pick<Evidence, "audited" | "messages">> {
  const audits = await sql<{ outcome: string }[]>`
    select l.outcome from public.audit_logs as l
    where l.org_id = ${orgId} and l.call_id = ${callId} order by l.at`;
  const [count] = await sql<{ messages: number }[]>`
    select count(*)::int as messages from public.desk_messages as m
    where m.org_id = ${orgId} and m.call_id = ${callId}`;
  return { audited: audits.map(({ outcome }) => outcome), messages: count?.messages ?? 0 };
}
