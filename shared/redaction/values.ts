/**
 * Redacts JSON values: strings by what they contain and by their field's name, and whole values by the
 * name alone.
 *
 * @module
 */

/** Redacts a text and returns the part from the offset. */
export type RedactText = (text: string, from: number) => string;

/** Fields whose whole value is removed, whatever it is. */
const secretNames = new Set(
  `authorization cookie setcookie apikey signature password passcode otp pin mac arguments args
  transcript summary details detail nhsnumber ssn iban dob dateofbirth birthdate input`.split(
    /\s+/,
  ),
);
/** Fields whose plain values are removed. If the value is an object, each of its fields is checked. */
const personalNames = new Set(
  `to from caller called customer patient contact callback name firstname lastname fullname givenname
  familyname surname email mail address body ip ipaddress recipient`.split(/\s+/),
);
const secretEndings =
  /(?:phone|phonenumber|mobile|mobilenumber|telephone|msisdn|callernumber|patientname|contactname|customername|callername|secret|secretkey|databasekey|token|password|passcode|apikey|authorization|signature|cookie|emailaddress|useremail|patientemail)$/;
const passcode = /^\s*(?:\d[\s-]?){6}$/;
const depthLimit = 8;
/** Smaller integers are measurements and counts. */
const shortestNumber = 1e6;

/** Reads one value within a limit of length. */
export class ValueRedactor {
  #left: number;

  /**
   * @param redactText Redacts one text.
   * @param lengthLimit Characters of the result; the rest becomes `[CUT]`.
   */
  constructor(readonly redactText: RedactText, lengthLimit = Infinity) {
    this.#left = lengthLimit;
  }

  /** The value without personal data. Never throws. */
  redact(value: unknown, field = "", parents: readonly object[] = []): unknown {
    switch (typeof value) {
      case "string":
        return this.#redactString(value, field);
      case "number":
        return Number.isInteger(value) && Math.abs(value) >= shortestNumber
          ? this.#redactNumber(value, field)
          : value;
      case "bigint":
        return this.#redactString(String(value), field);
      case "function":
      case "symbol":
        return `[${typeof value}]`;
      case "object":
        return value === null ? null : this.#redactObject(value, field, parents);
      default:
        return value;
    }
  }

  /** The field's name counts as a label: `orderId` makes ten digits something else than a phone. */
  #redactString(value: string, field: string): string {
    if (this.#left <= 0) return "[CUT]";
    const kept = shorten(value, this.#left);
    this.#left -= kept.length;
    const label = field === "" ? "" : `"${field.slice(0, 64)}": "`;
    const redacted = this.redactText(label + kept, label.length);
    return kept.length < value.length ? `${redacted}[CUT]` : redacted;
  }

  #redactNumber(value: number, field: string): unknown {
    const text = String(value);
    const redacted = this.#redactString(text, field);
    return redacted === text ? value : redacted;
  }

  #redactObject(value: object, field: string, parents: readonly object[]): unknown {
    if (parents.includes(value)) return "[CIRCULAR]";
    if (parents.length >= depthLimit) return "[TOO DEEP]";
    const within = [...parents, value];
    try {
      if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
      if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
      if (Array.isArray(value)) return this.#redactItems(value, field, within);
      return this.#redactFields(value, within);
    } catch {
      // A proxy that throws must not lose the log line.
      return "[UNREADABLE]";
    }
  }

  #redactItems(items: readonly unknown[], field: string, parents: readonly object[]): unknown[] {
    const redacted: unknown[] = [];
    for (const item of this.#redactConversation(items)) {
      if (--this.#left <= 0) {
        redacted.push("[CUT]");
        break;
      }
      redacted.push(isPersonal(field, item) ? "[REDACTED]" : this.redact(item, field, parents));
    }
    return redacted;
  }

  /** Reads the messages of a conversation as one text, because one answers what another asks. */
  #redactConversation(items: readonly unknown[]): readonly unknown[] {
    const messages = items.slice(0, messageLimit).map(readMessage);
    const turns = messages.flatMap((message) => message ? `${message.role}: ${message.text}` : []);
    if (turns.length < 2 || turns.join("\n").length > this.#left) return items;
    // A redaction never crosses a line.
    const lines = this.redactText(turns.join("\n"), 0).split("\n");
    let line = 0;
    return items.map((item, index) => {
      const message = messages[index];
      if (message === undefined) return item;
      const { role, field, text } = message;
      const said = lines.slice(line, line += text.split("\n").length).join("\n");
      return { ...message.fields, [field]: said.slice(role.length + 2) };
    });
  }

  #redactFields(value: object, parents: readonly object[]): Record<string, unknown> {
    const redacted: [string, unknown][] = [];
    for (const name of fieldsOf(value)) {
      this.#left -= name.length + 1;
      if (this.#left <= 0) {
        redacted.push(["cut", "[CUT]"]);
        break;
      }
      redacted.push([this.redactText(name, 0), this.#redactField(value, name, parents)]);
    }
    return Object.fromEntries(redacted);
  }

  #redactField(value: object, name: string, parents: readonly object[]): unknown {
    try {
      const item: unknown = name === "type" && value instanceof Error
        ? value.name
        : Reflect.get(value, name);
      return isPersonal(name, item) ? "[REDACTED]" : this.redact(item, name, parents);
    } catch {
      return "[UNREADABLE]";
    }
  }
}

const messageLimit = 2000;
const textFields = ["message", "content", "text"];

/** What somebody said, in the format of Vapi (`role`, `message`) or OpenAI (`role`, `content`). */
function readMessage(item: unknown) {
  if (typeof item !== "object" || item === null || !("role" in item)) return undefined;
  const fields = Object.fromEntries(Object.entries(item));
  const { role } = fields;
  const field = textFields.find((name) => typeof fields[name] === "string");
  const text = field === undefined ? undefined : fields[field];
  const isSpeaker = typeof role === "string" && /^[a-z_ ]{1,20}$/i.test(role);
  if (field === undefined || typeof text !== "string" || !isSpeaker) return undefined;
  return { role, field, text, fields };
}

/** Writes an error's name as its type, because the field `name` is a person's. */
function fieldsOf(value: object): string[] {
  if (!(value instanceof Error)) return Object.keys(value);
  const own = Object.keys(value).filter((name) => name !== "name");
  const hidden = ["message", "cause", "errors", "stack"].filter((name) => name in value);
  return [...new Set(["type", ...own, ...hidden])];
}

function isPersonal(field: string, value: unknown): boolean {
  if (value === null || value === undefined || typeof value === "boolean") return false;
  const name = field.replace(/[^\p{L}\p{N}]/gu, "").toLowerCase();
  if (name === "code") return passcode.test(String(value));
  const names = [name, name.replace(/s$/, "")];
  if (names.some((each) => secretNames.has(each) || secretEndings.test(each))) return true;
  return typeof value !== "object" && names.some((each) => personalNames.has(each));
}

const concealedLimit = 20;
const shortestConcealed = 3;
const longestConcealed = 200;

/** The texts in personal fields, to be removed wherever else they occur. */
export function personalTexts(value: unknown): string[] {
  return textsOf(value, "", 0)
    .map((text) => text.trim())
    .filter(({ length }) => length >= shortestConcealed && length <= longestConcealed)
    .slice(0, concealedLimit);
}

function textsOf(value: unknown, field: string, depth: number): string[] {
  if (typeof value === "string" || typeof value === "number") {
    return field === "code" || isPersonal(field, value) ? [String(value)] : [];
  }
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value) || depth > 3) {
    return [];
  }
  return Object.entries(value).slice(0, concealedLimit).flatMap(([name, item]) =>
    textsOf(item, Array.isArray(value) ? field : name, depth + 1)
  );
}

/**
 * Secrets with a fixed form: HTTP credentials, the headers of Vapi and Twilio, JSON web tokens, Supabase's
 * secret keys, signing secrets of webhooks, tokens of calendars, the login in an address
 * (`postgres://user:password@host`), and the query of any address.
 */
const credential =
  /\b(?:Bearer|Basic)\s+[\w.~+/=-]{8,}|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*|\bsb_secret_[\w-]+|\bwhsec_[\w+/=]+|(?<=\bx-(?:vapi-secret|twilio-signature)["']?\s{0,3}[:=]\s{0,3}["']?)[^\s"',]+|\bcal_[\w-]{64}|(?<=:\/\/)[^\s"'<>/?#]{1,200}@|(?<=https?:\/\/[^\s\"'<>?]{1,500}\?)[^\s\"'<>]+/gi;

/** A value behind a name: `JOBS_SECRET=...`, `"authToken":"..."`. A plain word is a remark, not a secret. */
const named =
  /((?:secret|password|signature|api[_-]?key|(?:auth|access|refresh|[_-])[_-]?token)s?\\?["']?\s{0,3}[:=]\s{0,3}\\?["']?)(?=[^\s"',]{0,200}[\d_+/=])[^\s"',]{8,}/gi;

/** Removes credentials from a text. */
export function withoutCredentials(text: string): string {
  return text.replace(credential, (found) => found.endsWith("@") ? "[REDACTED]@" : "[REDACTED]")
    .replace(named, "$1[REDACTED]");
}

/**
 * Creates a function that removes the given texts wherever they occur as separate words, in any case.
 *
 * The pattern is created when it is first needed. Most lines have none of the texts. If line and texts
 * are ASCII, a simple search shows that, twenty times faster than the pattern.
 */
export function concealing(texts: readonly string[]): (text: string) => string {
  if (texts.length === 0) return (text) => text;
  const plain = texts.every(isAscii) ? texts.map((text) => text.toLowerCase()) : undefined;
  let pattern: RegExp | undefined;
  return (text) => {
    if (plain && isAscii(text)) {
      const lower = text.toLowerCase();
      if (!plain.some((each) => lower.includes(each))) return text;
    }
    return text.replace(pattern ??= patternOf(texts), "[REDACTED]");
  };
}

// deno-lint-ignore no-control-regex -- all of ASCII
const isAscii = (text: string): boolean => /^[\x00-\x7f]*$/.test(text);

function patternOf(texts: readonly string[]): RegExp {
  const escaped = texts.map((text) => text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&"));
  return new RegExp(`(?<![\\p{L}\\p{N}])(?:${escaped.join("|")})(?![\\p{L}\\p{N}])`, "giu");
}

/** Cuts at a space, never inside of a number: half of a number can still identify somebody. */
function shorten(text: string, length: number): string {
  if (text.length <= length) return text;
  return text.slice(0, length).replace(/\S{0,200}$/, "").replace(/[\s\d+().-]{0,200}$/, "");
}
