/**
 * The local stack's console page: texts sent and recent appointments.
 *
 * @module
 */

import postgres from "postgres";
import type { FakeMessage } from "./twilio/server.ts";

/** Creates the page. Everything is escaped. */
export async function consolePage(
  dbUrl: string,
  messages: readonly FakeMessage[],
): Promise<Response> {
  const sql = postgres(dbUrl, { max: 1, onnotice: () => {} });
  try {
    const rows = await sql<Record<string, string>[]>`
      select o.name as clinic, to_char(a.starts_at at time zone o.timezone, 'Dy DD Mon HH24:MI')
        as start, p.name as doctor, a.status, coalesce('***' || right(a.patient_phone, 2), '') as phone
      from public.appointments as a
      join public.organizations as o on o.id = a.org_id
      join public.providers as p on p.org_id = a.org_id and p.id = a.provider_id
      order by a.created_at desc limit 50`;
    const texts = messages.toReversed().map(({ createdAt, to, body, status, errorCode }) => ({
      taken: createdAt.toISOString().slice(11, 19),
      to,
      body,
      delivery: errorCode === undefined ? status : `${status} (${errorCode})`,
    }));
    const html = `<!doctype html><html lang="en"><meta charset="utf-8">
<title>Master Orchestrator, local</title>
<style>body{font:16px system-ui;margin:2rem;max-width:60rem}table{border-collapse:collapse}
td,th{padding:.3rem .8rem;border-bottom:1px solid #ccc;text-align:left}</style>
<h1>Master Orchestrator, local</h1>
<p><a href="/health">health</a> <a href="/local/sms">texts as JSON</a>
<a href="/local/faults">faults</a></p>
<h2>Texts</h2>${table(texts)}<h2>Appointments</h2>${table(rows)}</html>`;
    return new Response(html, { headers: { "content-type": "text/html; charset=utf-8" } });
  } finally {
    await sql.end({ timeout: 2 });
  }
}

function table(rows: readonly Readonly<Record<string, string>>[]): string {
  const [first] = rows;
  if (!first) return "<p>None yet.</p>";
  const line = (cells: readonly string[], tag: string) =>
    `<tr>${cells.map((cell) => `<${tag}>${escape(cell)}</${tag}>`).join("")}</tr>`;
  const body = rows.map((row) => line(Object.values(row), "td")).join("");
  return `<table>${line(Object.keys(first), "th")}${body}</table>`;
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}
