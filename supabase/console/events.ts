/**
 * What happens in the local stack, told to its pages as server-sent events, and the last of it for a
 * page that opens later.
 *
 * @module
 */

import type { Trace } from "../../shared/tracing.ts";
import type { FakeMessage } from "../local/twilio/server.ts";

/** What a page is told, by the name of the event. */
export interface Told {
  /** A text that was accepted or whose delivery has changed. */
  readonly text: FakeMessage;
  /** A finished piece of work of a function. */
  readonly work: Trace;
  /** A line of the functions' log, redacted. */
  readonly line: string;
  /** Something may have been written to the database. */
  readonly changed: Record<string, never>;
  /** Whether the database answers. */
  readonly database: DatabaseState;
}

/** Whether the database answers; `why` for people if not. */
export interface DatabaseState {
  readonly isAway: boolean;
  readonly why?: string;
}

const workLimit = 500;
const lineLimit = 200;
/** Writes that come together are told once. */
const changedMs = 100;

/** Tells pages what happens. */
export class Events {
  readonly #pages = new Set<ReadableStreamDefaultController<Uint8Array>>();
  readonly #encoder = new TextEncoder();
  readonly #work: Trace[] = [];
  readonly #lines: string[] = [];
  #changed: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;

  /** Whether any page is open. */
  get isHeard(): boolean {
    return this.#pages.size > 0;
  }

  /** The last pieces of work, oldest first. */
  get work(): readonly Trace[] {
    return this.#work;
  }

  /** The last lines of the log, oldest first. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  /** The piece of work that answered a tool call. */
  workOf(toolCallId: string): Trace | undefined {
    return this.#work.findLast(({ root }) => root.attributes["toolCallId"] === toolCallId);
  }

  /** A function has finished something. */
  addWork(trace: Trace): void {
    keep(this.#work, trace, workLimit);
    this.tell("work", trace);
  }

  /** A function has logged a line. */
  addLine(line: string): void {
    keep(this.#lines, line, lineLimit);
    this.tell("line", line);
  }

  /** Something may have been written. */
  noteChange(): void {
    if (!this.isHeard) return;
    this.#changed ??= setTimeout(() => {
      this.#changed = undefined;
      this.tell("changed", {});
    }, changedMs);
  }

  /** Tells every open page. */
  tell<Name extends keyof Told>(name: Name, data: Told[Name]): void {
    if (!this.isHeard) return;
    const bytes = this.#encoder.encode(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
    for (const page of this.#pages) this.#send(page, bytes);
  }

  /** The stream of one page, which ends when the page is closed or this is. */
  open(): Response {
    if (this.#isClosed) return new Response(null, { status: 503 });
    let opened: ReadableStreamDefaultController<Uint8Array> | undefined;
    const stream = new ReadableStream<Uint8Array>({
      start: (page) => {
        opened = page;
        this.#pages.add(page);
        // The page asks again a second after the stack was stopped, and goes on where it is started.
        this.#send(page, this.#encoder.encode("retry: 1000\n\n"));
      },
      cancel: () => {
        if (opened) this.#pages.delete(opened);
      },
    });
    return new Response(stream, {
      headers: { "content-type": "text/event-stream", "cache-control": "no-store" },
    });
  }

  /** Ends every stream: a server waits for them before it stops. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#changed);
    for (const page of this.#pages) {
      try {
        page.close();
      } catch {
        // The page has gone.
      }
    }
    this.#pages.clear();
  }

  #send(page: ReadableStreamDefaultController<Uint8Array>, bytes: Uint8Array): void {
    try {
      page.enqueue(bytes);
    } catch {
      this.#pages.delete(page);
    }
  }
}

function keep<Item>(list: Item[], item: Item, limit: number): void {
  list.push(item);
  if (list.length > limit) list.shift();
}
