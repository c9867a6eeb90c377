/**
 * A Twilio that keeps its messages: the Messages resource over HTTP, for the local stack and tests.
 *
 * Answers carry the field names and types of Twilio's API of 2010-04-01, so that the official SDK
 * talks to it. Faults can be ordered, to see what the functions make of them.
 *
 * @module
 */

/** One text as Twilio took it. */
export interface FakeMessage {
  readonly to: string;
  readonly from: string;
  readonly body: string;
  readonly status: string;
  readonly sid: string;
}

/** What can be ordered to go wrong: a Twilio error code, or how an answer is spoiled. */
export type FaultKind =
  | number
  | "http_500"
  | "timeout"
  | "empty"
  | "html"
  | "failed"
  | "no_sid";

/** A running fake. */
export interface FakeTwilio {
  /** For `TWILIO_API_BASE`. */
  readonly url: string;
  /** Texts taken, oldest first. */
  readonly messages: readonly FakeMessage[];
  /** How many POSTs arrived, refused ones included. */
  readonly postCount: number;
  /** Spoils the next answers. */
  addFault(kind: FaultKind, times?: number): void;
  /** Forgets messages and faults. */
  clear(): void;
  clearFaults(): void;
  stop(): Promise<void>;
}

const httpStatusOf: Readonly<Record<number, number>> = { 20003: 401, 20429: 429, 20500: 500 };

/** Whether a value names a fault that can be ordered. */
export function isFaultKind(value: unknown): value is FaultKind {
  return typeof value === "number" ||
    ["http_500", "timeout", "empty", "html", "failed", "no_sid"].includes(String(value));
}

/** Starts a fake on the loopback, on a free port unless one is given. */
export function startFakeTwilio(port = 0): FakeTwilio {
  const messages: FakeMessage[] = [];
  const faults: FaultKind[] = [];
  const silent = new AbortController();
  let postCount = 0;

  async function create(accountSid: string, request: Request): Promise<Response> {
    postCount++;
    const form = new URLSearchParams(await request.text());
    const fault = faults.shift();
    if (fault !== undefined) {
      const spoiled = await spoil(fault, silent.signal);
      if (spoiled) return spoiled;
    }
    const to = form.get("To") ?? "";
    const from = form.get("From") ?? form.get("MessagingServiceSid") ?? "";
    const body = form.get("Body") ?? "";
    if (!/^\+[1-9]\d{6,14}$/.test(to)) return refuse(21211);
    if (from === "") return refuse(21603);
    if (body === "") return refuse(21602);
    const sid = `SM${crypto.randomUUID().replaceAll("-", "")}`;
    messages.push({ to, from, body, status: "delivered", sid });
    return Response.json(describe(accountSid, { to, from, body, sid }, "queued"), { status: 201 });
  }

  const server = Deno.serve(
    { hostname: "127.0.0.1", port, onListen: () => {}, onError: () => new Response(null) },
    async (request) => {
      const path = new URL(request.url).pathname;
      const match =
        /^\/2010-04-01\/Accounts\/(AC[0-9a-zA-Z]{32})(?:\/Messages(?:\/(SM\w+))?)?\.json$/
          .exec(path);
      const [, accountSid = "", sid] = match ?? [];
      if (!match) return Response.json({ code: 20404, status: 404 }, { status: 404 });
      if (!isAuthorized(request, accountSid)) return refuse(20003);
      if (request.method === "POST") return await create(accountSid, request);
      const found = messages.find((message) => message.sid === sid);
      if (found) return Response.json(describe(accountSid, found, found.status));
      return path.includes("/Messages")
        ? Response.json({ messages: messages.map((sms) => describe(accountSid, sms, sms.status)) })
        : Response.json({ sid: accountSid, status: "active", friendly_name: "Local" });
    },
  );

  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    messages,
    get postCount() {
      return postCount;
    },
    addFault: (kind, times = 1) => faults.push(...Array.from({ length: times }, () => kind)),
    clear: () => {
      messages.length = 0;
      faults.length = 0;
    },
    clearFaults: () => void (faults.length = 0),
    stop: async () => {
      silent.abort();
      await server.shutdown();
    },
  };
}

/** A user name that is the account or an API key, and any password. */
function isAuthorized(request: Request, accountSid: string): boolean {
  const encoded = /^Basic (.+)$/.exec(request.headers.get("authorization") ?? "")?.[1];
  if (!encoded) return false;
  const [user = "", password = ""] = atob(encoded).split(":");
  return (user === accountSid || user.startsWith("SK")) && password !== "";
}

async function spoil(fault: FaultKind, silent: AbortSignal): Promise<Response | undefined> {
  switch (fault) {
    case "http_500":
      return Response.json({ code: 20500, status: 500, message: "Internal" }, { status: 500 });
    case "timeout":
      await new Promise((resolve) => silent.addEventListener("abort", resolve, { once: true }));
      return new Response(null, { status: 503 });
    case "empty":
      return new Response("", { status: 201 });
    case "html":
      return new Response("<html>gateway</html>", { status: 200 });
    case "failed":
      return Response.json({ sid: "SM0", status: "failed", error_code: 30007 }, { status: 201 });
    case "no_sid":
      return Response.json({ status: "queued" }, { status: 201 });
    default:
      return refuse(fault);
  }
}

function refuse(code: number): Response {
  const status = httpStatusOf[code] ?? 400;
  const more_info = `https://www.twilio.com/docs/errors/${code}`;
  return Response.json({ code, message: `Error ${code}`, more_info, status }, { status });
}

function describe(
  accountSid: string,
  sms: Pick<FakeMessage, "to" | "from" | "body" | "sid">,
  status: string,
) {
  const now = new Date().toUTCString().replace("GMT", "+0000");
  const uri = `/2010-04-01/Accounts/${accountSid}/Messages/${sms.sid}.json`;
  return {
    ...sms,
    account_sid: accountSid,
    api_version: "2010-04-01",
    date_created: now,
    date_sent: null,
    date_updated: now,
    direction: "outbound-api",
    error_code: null,
    error_message: null,
    messaging_service_sid: sms.from.startsWith("MG") ? sms.from : null,
    num_media: "0",
    num_segments: "1",
    price: null,
    price_unit: "USD",
    status,
    subresource_uris: { media: uri.replace(".json", "/Media.json") },
    uri,
  };
}
