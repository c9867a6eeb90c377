/**
 * One request at the fake Twilio, and what can be done with its connection.
 *
 * It uses node:http, which gives access to the socket: resets and incomplete bodies are made there.
 *
 * @module
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import type { AnswerFaultKind, Fault } from "./faults.ts";
import { refusal, type Reply } from "./message.ts";

/** A request and its unwritten answer. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** Reads a form. */
export async function readForm({ request }: Exchange): Promise<URLSearchParams> {
  let text = "";
  for await (const part of request.setEncoding("utf8")) text += part;
  return new URLSearchParams(text);
}

/** Answers with JSON. */
export function reply({ response }: Exchange, { status, body, headers }: Reply): void {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(body));
}

/** Resets the connection: the client sees ECONNRESET. */
export function reset({ request }: Exchange): void {
  request.socket.resetAndDestroy();
}

/**
 * Spoils one answer.
 *
 * @param take Accepts the text; a kind that does not call it sends none.
 */
export async function spoil(
  exchange: Exchange,
  fault: Fault<AnswerFaultKind>,
  take: () => Promise<Reply>,
): Promise<void> {
  const { kind, ms, code } = fault;
  if (typeof kind === "number") return reply(exchange, refusal(kind));
  switch (kind) {
    case "rate_limited": {
      const headers = { "retry-after": String(Math.ceil((ms ?? 1000) / 1000)) };
      return reply(exchange, { ...refusal(20429), headers });
    }
    case "timeout":
      return;
    case "reset_before":
      return reset(exchange);
    case "html":
      return write(exchange, 200, "text/html", "<html><h1>Welcome to the proxy</h1></html>");
    case "failed":
      return reply(exchange, {
        status: 201,
        body: { sid: `SM${"0".repeat(32)}`, status: "failed", error_code: code ?? 30007 },
      });
    case "redirect": {
      const headers = { location: exchange.request.url ?? "/" };
      return reply(exchange, { status: 307, body: {}, headers });
    }
    case "lost_answer":
    case "slow":
    case "drip":
    case "flood":
    case "reset_after":
    case "half_body":
    case "cut_body":
    case "empty":
    case "wrong_json":
    case "no_sid": {
      const taken = await take();
      return taken.status === 201
        ? await spoilTaken(exchange, { ...fault, kind }, taken)
        : reply(exchange, taken);
    }
    default: {
      const status = Number(kind.slice("http_".length));
      return reply(exchange, refusal(20_000 + status, "", status));
    }
  }
}

type SpoilsTaken =
  | "lost_answer"
  | "slow"
  | "drip"
  | "flood"
  | "reset_after"
  | "half_body"
  | "cut_body"
  | "empty"
  | "wrong_json"
  | "no_sid";

async function spoilTaken(
  exchange: Exchange,
  { kind, ms }: Fault<SpoilsTaken>,
  taken: Reply,
): Promise<void> {
  const { response } = exchange;
  const text = JSON.stringify(taken.body);
  switch (kind) {
    case "lost_answer":
      return;
    case "slow":
      await pause(exchange, ms ?? 2000);
      return reply(exchange, taken);
    case "reset_after":
      return reset(exchange);
    case "empty":
      return write(exchange, 201, "application/json", "");
    case "wrong_json":
      return reply(exchange, { status: 201, body: [{ ok: true }] });
    case "no_sid":
      return reply(exchange, { status: 201, body: { ...Object(taken.body), sid: undefined } });
    case "half_body":
    case "cut_body":
      begin(response, text.length);
      await send(response, text.slice(0, 40));
      if (kind === "half_body") response.socket?.end();
      else response.socket?.resetAndDestroy();
      return;
    case "drip":
      begin(response, text.length);
      for (const char of text) {
        if (!await send(response, char)) return;
        await pause(exchange, ms ?? 100);
      }
      return void response.end();
    case "flood":
      begin(response);
      while (await send(response, " ".repeat(65_536)));
  }
}

function begin(response: ServerResponse, length?: number): void {
  const headers = { "content-type": "application/json" };
  response.writeHead(201, length ? { ...headers, "content-length": length } : headers);
}

function write({ response }: Exchange, status: number, type: string, text: string): void {
  response.writeHead(status, { "content-type": type });
  response.end(text);
}

/** Sends a part; false if the client has disconnected. */
function send(response: ServerResponse, part: string): Promise<boolean> {
  if (response.destroyed) return Promise.resolve(false);
  return new Promise((resolve) => {
    const close = () => resolve(false);
    response.once("close", close);
    response.write(part, (failed) => {
      response.off("close", close);
      resolve(!failed);
    });
  });
}

/** Waits, at most until the connection ends. */
function pause({ response }: Exchange, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      response.off("close", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    response.once("close", end);
  });
}
