/** Sentences for callers: only one of them may promise a person. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

/** Names of the sentences that promise that a person takes over. */
function promises(source: string): string[] {
  const withoutComments = source.replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(/\/\/.*/g, "");
  return withoutComments.split(/^export const /m).slice(1).flatMap((sentence) =>
    /desk|connect you|pass you|put you through|transfer you/.test(sentence)
      ? [sentence.split(/\W/, 1)[0] ?? ""]
      : []
  );
}

Deno.test("one sentence hands a caller over, and only handOver() says it", () => {
  const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
  assert.deepEqual(promises(read("shared/sentences.ts")), [
    "nobodyPickedUp",
    "handOver",
    "messageLeft",
  ]);
  assert.match(read("shared/answers.ts"), /sentences\.handOver\[/);
  assert.deepEqual(promises('export const lost = "I will pass you on.";\n'), ["lost"]);
});
