/**
 * The difference between two versions of a clinic, in the words of its file.
 *
 * @module
 */

import type { ClinicDocument } from "./document.ts";
import { listEntries } from "./file.ts";

/** Keys that identify an item of a list. */
const names = ["id", "question", "from", "until"];

/**
 * Lists the differences, one per line:
 *
 * ```txt
 * ~ name: Sunrise Dental -> Sunrise
 * + doctors.ben-okafor.off: 2026-08-03 to 2026-08-14
 * - closed: 2026-12-25
 * ```
 */
export function listDifferences(before: ClinicDocument, after: ClinicDocument): string[] {
  const [old, now] = [flatten(before), flatten(after)];
  const lines: string[] = [];
  for (const key of new Set([...old.keys(), ...now.keys()])) {
    const gone = old.get(key)?.filter((text) => !now.get(key)?.includes(text)) ?? [];
    const come = now.get(key)?.filter((text) => !old.get(key)?.includes(text)) ?? [];
    if (gone.length === 1 && come.length === 1) lines.push(`~ ${key}: ${gone[0]} -> ${come[0]}`);
    else {
      lines.push(...gone.map((text) => `- ${key}: ${text}`));
      lines.push(...come.map((text) => `+ ${key}: ${text}`));
    }
  }
  return lines;
}

/** Every scalar of a clinic's file by its place. A list of scalars has several. */
function flatten(clinic: ClinicDocument): Map<string, string[]> {
  const found = new Map<string, string[]>();
  const visit = (place: string, value: unknown): void => {
    if (Array.isArray(value)) {
      for (const item of value) visit(isRecord(item) ? `${place}.${nameOf(item)}` : place, item);
    } else if (isRecord(value)) {
      for (const [key, inner] of Object.entries(value)) visit(`${place}.${key}`, inner);
    } else found.set(place, [...found.get(place) ?? [], String(value)]);
  };
  for (const [key, value] of Object.entries(listEntries(clinic))) visit(key, value);
  return found;
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function nameOf(item: Readonly<Record<string, unknown>>): string {
  const [name = "always"] = names.flatMap((key) => key in item ? [String(item[key])] : []);
  return name;
}
