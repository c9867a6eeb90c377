/**
 * An independent reader of iCalendar (RFC 5545), as strict as a feed's reader may be.
 *
 * @module
 */

import assert from "node:assert/strict";

/** A content line, without its parameters. */
export interface ContentLine {
  readonly name: string;
  /** As written: escapes are not removed. */
  readonly value: string;
}

/** The content lines of a calendar. A calendar that breaks a rule about lines fails the test. */
function readLines(text: string): ContentLine[] {
  assert.ok(text.endsWith("\r\n"), "the last line has no end");
  const physical = text.slice(0, -2).split("\r\n");
  for (const line of physical) {
    assert.doesNotMatch(line, /\p{Cc}/u, "a control character");
    assert.ok(new TextEncoder().encode(line).length <= 75, `a line is too long: ${line}`);
    assert.ok(line.isWellFormed(), "a character is cut in two");
  }
  return text.slice(0, -2).replace(/\r\n /g, "").split("\r\n").map((line) => {
    const [, name = "", value = ""] = /^([A-Z-]+)(?:;[^:]*)?:(.*)$/su.exec(line) ?? [];
    assert.notEqual(name, "", `not a content line: ${line}`);
    return { name, value };
  });
}

/** The events of a calendar by the value of their UID, each as its properties. */
export function readEvents(text: string): Map<string, ReadonlyMap<string, string>> {
  const events = new Map<string, Map<string, string>>();
  let open: Map<string, string> | undefined;
  for (const { name, value } of readLines(text)) {
    if (name === "BEGIN" && value === "VEVENT") open = new Map();
    else if (name === "END" && value === "VEVENT") {
      const uid = open?.get("UID") ?? "";
      assert.ok(uid !== "" && !events.has(uid), `UID ${uid}`);
      if (open) events.set(uid, open);
      open = undefined;
    } else if (open) {
      assert.ok(!open.has(name), `${name} twice`);
      open.set(name, value);
    }
  }
  return events;
}

/** Unescapes a value. */
export function unescape(value: string): string {
  assert.doesNotMatch(value.replace(/\\[\\;,nN]/g, ""), /[\\;,]/, "something is not escaped");
  return value.replace(/\\(.)/g, (_, character) => /n/i.test(character) ? "\n" : character);
}
