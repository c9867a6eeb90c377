/**
 * JSON from outside, of which nothing is known but that it is text.
 *
 * @module
 */

/** Whether a value is a JSON object. */
export const isRecord = (item: unknown): item is Record<string, unknown> =>
  typeof item === "object" && item !== null && !Array.isArray(item);

/** The value that a text is the JSON of; undefined when it is none. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The object that a text is the JSON of, or null. */
export function parseRecord(text: string): Record<string, unknown> | null {
  const parsed = parseJson(text);
  return isRecord(parsed) ? parsed : null;
}
