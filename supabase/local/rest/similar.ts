/**
 * The hints of PostgREST's "Perhaps you meant": names are searched as its library (fuzzyset) does, by
 * shared pieces of three letters, otherwise of two, and then by edit distance.
 *
 * @module
 */

import { notImplemented } from "./errors.ts";

function gramsOf(name: string, size: number): Map<string, number> {
  const letters = [...name.toLowerCase()].filter((char) => /[\p{L}\p{N}\s,]/u.test(char)).join("");
  const framed = [...`-${letters}-`];
  const grams = new Map<string, number>();
  for (let at = 0; at + size <= framed.length; at++) {
    const gram = framed.slice(at, at + size).join("");
    grams.set(gram, (grams.get(gram) ?? 0) + 1);
  }
  return grams;
}

function cosine(a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): number {
  const norm = (grams: ReadonlyMap<string, number>) =>
    Math.sqrt([...grams.values()].reduce((sum, count) => sum + count ** 2, 0));
  const shared = [...a].reduce((sum, [gram, count]) => sum + count * (b.get(gram) ?? 0), 0);
  return shared / (norm(a) * norm(b));
}

/** 1 minus the edit distance divided by the longer length. */
function closeness(a: string, b: string): number {
  const [left, right] = [[...a], [...b]];
  let row = right.map((_, index) => index + 1);
  for (const [i, char] of left.entries()) {
    let corner = i;
    let previous = i + 1;
    row = row.map((above, j) => {
      const cost = Math.min(above + 1, previous + 1, corner + (char === right[j] ? 0 : 1));
      corner = above;
      previous = cost;
      return cost;
    });
  }
  const distance = row.at(-1) ?? left.length;
  return 1 - distance / Math.max(left.length, right.length, 1);
}

/** The name most similar to `wanted`, if the similarity is at least `least` (0 to 1). */
export function mostSimilar(wanted: string, names: Iterable<string>, least: number): string | null {
  const all = [...new Set(names)];
  const key = wanted.toLowerCase();
  const exact = all.find((name) => name.toLowerCase() === key);
  if (exact !== undefined) return exact;
  for (const size of [3, 2]) {
    const grams = gramsOf(key, size);
    const found = all
      .map((name) => ({ name, score: cosine(grams, gramsOf(name, size)) }))
      .filter(({ score }) => score > 0)
      .sort((a, b) => b.score - a.score)
      .slice(0, 50)
      .map(({ name }) => ({ name, score: closeness(key, name.toLowerCase()) }))
      .filter(({ score }) => score >= least)
      .sort((a, b) => b.score - a.score);
    const [best, next] = found;
    // Which of two PostgREST names depends on how its table hashes them.
    if (best && best.score === next?.score) throw notImplemented("A hint between equals");
    if (best) return best.name;
  }
  return null;
}
