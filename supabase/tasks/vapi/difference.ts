/**
 * Compares what is at Vapi with what we want there.
 *
 * Vapi fills in defaults, so an object may have more than we ask for. A list must be equal item by
 * item.
 *
 * @module
 */

import type { Body, Resource } from "./account.ts";

/**
 * Lists the differences, one per line: `voice.voiceId: "a" -> "b"`.
 *
 * @param wanted Top-level fields as they would be sent.
 */
export function listDifferences(present: Resource, wanted: Body): string[] {
  return Object.entries(wanted).flatMap(([name, value]) => compare(name, present[name], value));
}

/** The top-level fields that must be sent, each as a whole. */
export function changedFields(present: Resource, wanted: Body): Body {
  return Object.fromEntries(
    Object.entries(wanted).filter(([name, value]) =>
      compare(name, present[name], value).length > 0
    ),
  );
}

function compare(place: string, present: unknown, wanted: unknown): string[] {
  if (Array.isArray(wanted)) {
    if (!Array.isArray(present) || present.length !== wanted.length) {
      return [describe(place, present, wanted)];
    }
    return wanted.flatMap((item, index) => compare(`${place}[${index}]`, present[index], item));
  }
  if (isRecord(wanted)) {
    if (!isRecord(present)) return [describe(place, present, wanted)];
    return Object.entries(wanted).flatMap(([name, value]) =>
      compare(`${place}.${name}`, present[name], value)
    );
  }
  return present === wanted ? [] : [describe(place, present, wanted)];
}

function describe(place: string, present: unknown, wanted: unknown): string {
  return `${place}: ${shorten(present)} -> ${shorten(wanted)}`;
}

function shorten(value: unknown): string {
  const text = value === undefined ? "(nothing)" : JSON.stringify(value);
  return text.length > 120 ? `${text.slice(0, 117)}...` : text;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
