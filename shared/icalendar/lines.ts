/**
 * iCalendar (RFC 5545) as components with their properties.
 *
 * @module
 */

/** A content line. */
export interface Property {
  /** In capitals. */
  readonly name: string;
  /** By their names in capitals, without quotes. */
  readonly parameters: ReadonlyMap<string, string>;
  /** As written. */
  readonly value: string;
}

/** What is between `BEGIN` and `END`. */
export interface Component {
  readonly name: string;
  readonly properties: Property[];
  readonly components: Component[];
}

/** A calendar that cannot be used, and why. */
export class Unreadable extends Error {
  constructor(readonly reason: "not_a_calendar" | "time_unknown" | "too_much") {
    super(reason);
  }
}

const depthLimit = 8;

/**
 * Reads the components of a text. A part of a calendar is not one: what was cut off could be busy.
 *
 * @throws {Unreadable} When it is not a whole calendar.
 */
export function readComponents(bytes: Uint8Array): readonly Component[] {
  const root: Component = { name: "", properties: [], components: [] };
  const open = [root];
  for (const line of unfold(decode(bytes))) {
    const property = readProperty(line);
    const within = open.at(-1) ?? root;
    if (property.name === "BEGIN") {
      const name = property.value.trim().toUpperCase();
      if (open.length > depthLimit || open.length === 1 && name !== "VCALENDAR") {
        throw new Unreadable("not_a_calendar");
      }
      const begun: Component = { name, properties: [], components: [] };
      within.components.push(begun);
      open.push(begun);
    } else if (property.name === "END") {
      if (open.length === 1 || property.value.trim().toUpperCase() !== within.name) {
        throw new Unreadable("not_a_calendar");
      }
      open.pop();
    } else if (open.length === 1) throw new Unreadable("not_a_calendar");
    else within.properties.push(property);
  }
  if (open.length > 1 || root.components.length === 0) throw new Unreadable("not_a_calendar");
  return root.components;
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new Unreadable("not_a_calendar");
  }
}

/** Lines of their own; many programs end them without a carriage return. */
function unfold(text: string): string[] {
  return text.replace(/\r?\n[ \t]/g, "").split(/\r?\n/).filter((line) => line.trim() !== "");
}

const head = /^([\w-]+)((?:;[\w-]+=(?:"[^"]*"|[^";:,]*)(?:,(?:"[^"]*"|[^";:,]*))*)*):(.*)$/s;
const parameter = /;([\w-]+)=((?:"[^"]*"|[^";])*)/g;

function readProperty(line: string): Property {
  const [, name, given = "", value = ""] = head.exec(line) ?? [];
  // A line that breaks the rules has nothing that is looked for here, such as a title with line breaks.
  if (name === undefined) return { name: "", parameters: new Map(), value: "" };
  const parameters = Array.from(
    given.matchAll(parameter),
    ([, key = "", text = ""]) => [key.toUpperCase(), text.replaceAll('"', "")] as const,
  );
  return { name: name.toUpperCase(), parameters: new Map(parameters), value };
}

/** The first property with a name. */
export function findProperty({ properties }: Component, name: string): Property | undefined {
  return properties.find((property) => property.name === name);
}

/** The value of the first property with a name, in capitals; blank if there is none. */
export function wordOf(component: Component, name: string): string {
  return findProperty(component, name)?.value.trim().toUpperCase() ?? "";
}
