// deno-lint-ignore-file no-console -- the bench reads what this program prints
/**
 * One cold start of a function, as a separate program: imports it, sends it one request twice and
 * prints the times as JSON. Arguments: the function, the URL of the stack, the request's body.
 *
 * @module
 */

const [name = "", url = "", body = ""] = Deno.args;
const isTwilio = name === "twilio";
const module = isTwilio ? await import("twilio") : await import(`../../functions/${name}/index.ts`);
const importedAt = Date.now();
const answeredAt: number[] = [];
const heard: string[] = [];
for (let round = 0; round < 2 && !isTwilio; round++) {
  const response = await module.default.fetch(
    new Request(`${url}/functions/v1/${name}`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        "x-vapi-secret": Deno.env.get("VAPI_SECRETS") ?? "",
      },
      body: body.replaceAll("ROUND", `${crypto.randomUUID()}`),
    }),
  );
  heard.push(await response.text());
  answeredAt.push(Date.now());
}
console.log(JSON.stringify({ importedAt, answeredAt, heard }));
Deno.exit(0);
