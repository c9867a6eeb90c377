/**
 * A Vapi account: its tools, assistants and phone numbers, with plain fetch.
 *
 * Vapi's SDK has 47 MB, and three resources with four requests each do not need it. The requests are
 * described in Vapi's API reference. When the service is busy (429) or fails (5xx, a broken
 * connection), requests are repeated. A creation that failed may have happened after all, so the caller
 * looks for the resource before it is repeated.
 *
 * @module
 */

import { z } from "zod";
import { Stop } from "../task.ts";

/** The kinds of resources, as they occur in paths. */
export type Kind = "tool" | "assistant" | "phone-number";

const resource = z.looseObject({ id: z.string(), createdAt: z.string() });
/** A resource as Vapi stores it. */
export type Resource = z.output<typeof resource>;
/** A body. Nested objects are sent whole, because Vapi replaces each top-level field. */
export type Body = Readonly<Record<string, unknown>>;

/** How to reach an account. */
export interface AccountOptions {
  readonly apiKey: string;
  /** `https://api.vapi.ai`, or a stand-in. */
  readonly apiBase: string;
}

/** An account that can be read and changed. Every method throws {@link Stop} when Vapi refuses. */
export interface VapiAccount {
  list(kind: Kind): Promise<Resource[]>;
  /** @param find Finds the resource in a list, if an earlier attempt created it after all. */
  create(kind: Kind, body: Body, find: (made: Resource) => boolean): Promise<Resource>;
  update(kind: Kind, id: string, body: Body): Promise<Resource>;
}

const attempts = 5;
const timeoutMs = 20_000;
const pageSize = 100;
const longestWaitMs = 30_000;

/** Opens an account. It sends no request yet. */
export function openAccount({ apiKey, apiBase }: AccountOptions): VapiAccount {
  /** Sends one request, without a second attempt. */
  const ask = async (method: string, path: string, body?: Body): Promise<Attempt> => {
    try {
      const response = await fetch(apiBase + path, {
        method,
        headers: { authorization: `Bearer ${apiKey}`, "content-type": "application/json" },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(timeoutMs),
      });
      const text = await response.text();
      return { status: response.status, text, waitMs: readWait(response.headers) };
    } catch (thrown) {
      const reason = thrown instanceof Error ? thrown.message : String(thrown);
      return { status: undefined, text: reason, waitMs: undefined };
    }
  };

  /** Repeats a request until Vapi answers. `recover` checks whether a failed one was carried out. */
  const insist = async (
    method: string,
    path: string,
    body?: Body,
    recover?: () => Promise<Resource | undefined>,
  ): Promise<unknown> => {
    for (let attempt = 1;; attempt++) {
      const answered = await ask(method, path, body);
      const { status, text, waitMs } = answered;
      if (status !== undefined && status < 300) return parse(text);
      const isPassing = status === undefined || status === 429 || status >= 500;
      if (!isPassing || attempt === attempts) throw refuse(method, path, answered);
      await new Promise((resolve) =>
        setTimeout(resolve, Math.min(waitMs ?? 250 * 2 ** attempt, longestWaitMs))
      );
      const made = status === 429 ? undefined : await recover?.();
      if (made) return made;
    }
  };

  const list = async (kind: Kind): Promise<Resource[]> => {
    const found: Resource[] = [];
    for (let before = "";;) {
      const asked = `/${kind}?limit=${pageSize}${before && `&createdAtLt=${before}`}`;
      const page = z.array(resource).parse(await insist("GET", asked));
      found.push(...page);
      const oldest = page.at(-1);
      if (page.length < pageSize || !oldest) return found;
      before = encodeURIComponent(oldest.createdAt);
    }
  };

  return {
    list,
    create: async (kind, body, find) => {
      const recover = async () => (await list(kind)).find(find);
      return resource.parse(await insist("POST", `/${kind}`, body, recover));
    },
    update: async (kind, id, body) => resource.parse(await insist("PATCH", `/${kind}/${id}`, body)),
  };
}

interface Attempt {
  /** Undefined when there was no answer. */
  readonly status: number | undefined;
  readonly text: string;
  readonly waitMs: number | undefined;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Stop(3, `Vapi answered something that is not JSON: ${text.slice(0, 200)}`);
  }
}

function readWait(headers: Headers): number | undefined {
  const seconds = headers.get("retry-after");
  return seconds !== null && /^\d{1,4}$/.test(seconds) ? Number(seconds) * 1000 : undefined;
}

function refuse(method: string, path: string, { status, text }: Attempt): Stop {
  if (status === undefined) return new Stop(3, `Vapi could not be reached: ${text}`);
  if (status === 401 || status === 403) {
    return new Stop(2, "Vapi refused the key: set VAPI_API_KEY to the private key of the account");
  }
  const [where = ""] = path.split("?");
  return new Stop(
    status < 500 && status !== 429 ? 1 : 3,
    `Vapi answered ${status} to ${method} ${where}: ${text.slice(0, 600)}`,
  );
}
