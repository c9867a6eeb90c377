/**
 * Templates of texts: sentences with `{placeholders}`, and `[optional parts]`.
 *
 * An optional part is left out if one of its placeholders is blank, or if the text would get longer than
 * its limit with it; earlier parts come first. Square brackets are not in the basic alphabet of GSM-7,
 * so no text needs them for itself.
 *
 * @module
 */

/** What placeholders stand for, by name. */
export type TextValues = Readonly<Record<string, string>>;

interface Part {
  readonly text: string;
  readonly isOptional: boolean;
}

const partPattern = /\[([^\][]*)\]|[^\][]+/g;
const placeholder = /\{(\w+)\}/g;

function partsOf(template: string): Part[] {
  return [...template.matchAll(partPattern)].map(([whole, optional]) => ({
    text: optional ?? whole,
    isOptional: optional !== undefined,
  }));
}

const fill = (text: string, values: TextValues) =>
  text.replaceAll(placeholder, (_, name: string) => values[name] ?? "");

/** The names of the placeholders of a template. */
export function placeholdersOf(template: string): string[] {
  return [...template.matchAll(placeholder)].map(([, name = ""]) => name);
}

/**
 * Fills in a template.
 *
 * @param limit The most characters with which an optional part is still added.
 */
export function fillTemplate(template: string, values: TextValues, limit: number): string {
  const parts = partsOf(template);
  const filled = parts.map(({ text }) => fill(text, values));
  const isIn = parts.map(({ isOptional }) => !isOptional);
  const compose = () => filled.filter((_, index) => isIn[index]).join("");
  for (const [index, { text, isOptional }] of parts.entries()) {
    if (!isOptional || placeholdersOf(text).some((name) => !values[name])) continue;
    isIn[index] = true;
    if (compose().length > limit) isIn[index] = false;
  }
  return compose();
}
