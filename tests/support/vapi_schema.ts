/**
 * Vapi's own description of its API, as a strict check.
 *
 * Vapi refuses unknown properties, which OpenAPI does not say, so every object that lists properties is
 * closed here. Known errors of the description are corrected: some arrays carry an enum that belongs to
 * their items, some enums are empty or typed as objects, status codes are typed as objects, patterns
 * include slashes, and a value can match both branches of a `oneOf` of a string and an enum.
 *
 * @module
 */

import { existsSync, readFileSync } from "node:fs";
import { Ajv2019 as Ajv } from "ajv/dist/2019.js";

type Json = Readonly<Record<string, unknown>>;

const file = new URL("../../../shared/vapi/openapi.json", import.meta.url);

/** Whether the description is available; it is not part of the repository. */
export const hasVapiSchema: boolean = existsSync(file);

/** Checks the bodies of requests to Vapi's API. */
export interface VapiSchema {
  /**
   * The errors in a request's body.
   *
   * @param path As in the description, such as `/tool/{id}`.
   * @returns One line per error, such as `/function/name must be string`; empty if the body is valid.
   */
  problemsOf(method: "post" | "patch", path: string, body: unknown): readonly string[];
  /** The same for a named schema, such as `ServerMessageResponseAssistantRequest`. */
  problemsIn(schema: string, value: unknown): readonly string[];
}

/** Reads the description; only if {@link hasVapiSchema}. */
export function readVapiSchema(): VapiSchema {
  const { paths, components } = JSON.parse(readFileSync(file, "utf8"));
  const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false });
  ajv.addSchema({ $id: "vapi", components: close(components) as Json });
  const compiled = new Map<string, ReturnType<typeof ajv.compile>>();
  const check = (schema: Json, value: unknown): readonly string[] => {
    const key = JSON.stringify(schema);
    const validate = compiled.get(key) ?? ajv.compile(schema);
    compiled.set(key, validate);
    if (validate(value)) return [];
    return (validate.errors ?? []).map(({ instancePath, message, params }) =>
      `${instancePath || "/"} ${message} ${JSON.stringify(params)}`
    );
  };
  return {
    problemsOf: (method, path, body) => {
      const { schema } = paths[path][method].requestBody.content["application/json"];
      return check(close(pick(schema, body, components.schemas)) as Json, body);
    },
    problemsIn: (name, value) => check({ $ref: `vapi#/components/schemas/${name}` }, value),
  };
}

/** The one of several schemas that fits a body's type or provider, for precise messages. */
function pick(schema: Json, body: unknown, schemas: Readonly<Record<string, Json>>): Json {
  const { oneOf } = schema as { oneOf?: { $ref: string }[] };
  const given = body as Json | null;
  const found = oneOf?.filter(({ $ref }) => {
    const properties = schemas[$ref.split("/").at(-1) ?? ""]?.["properties"] as Record<
      string,
      Json
    >;
    return ["type", "provider"].every((key) => {
      const allowed = properties?.[key]?.["enum"] as unknown[] | undefined;
      return allowed === undefined || given?.[key] === undefined || allowed.includes(given[key]);
    });
  });
  return found?.length === 1 && found[0] ? found[0] : schema;
}

function close(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(close);
  if (typeof node !== "object" || node === null) return node;
  const closed: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(node)) {
    // Property names may equal schema keywords.
    closed[key] = key === "properties" && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value as Json).map(([name, one]) => [name, close(one)]))
      : close(value);
  }
  return correct(closed);
}

function correct(schema: Record<string, unknown>): Record<string, unknown> {
  const { $ref, allOf, oneOf, pattern, type, nullable } = schema;
  if (typeof $ref === "string") schema["$ref"] = $ref.replace(/^#/, "vapi#");
  if (Array.isArray(allOf) && allOf.length === 1) {
    delete schema["allOf"];
    Object.assign(schema, allOf[0]);
  }
  if (Array.isArray(oneOf)) {
    delete schema["oneOf"];
    schema["anyOf"] = oneOf;
  }
  if (Array.isArray(schema["enum"])) {
    if (type === "array" || schema["enum"].length === 0) delete schema["enum"];
    if (type === "object") schema["type"] = "string";
  }
  if (nullable === true && typeof type === "string") schema["type"] = [type, "null"];
  if (typeof pattern === "string") schema["pattern"] = pattern.replace(/^\/(.*)\/u?$/, "$1");
  const { excludedStatusCodes } = (schema["properties"] ?? {}) as Record<string, Json>;
  if (excludedStatusCodes) {
    Object.assign(excludedStatusCodes, { items: { type: "number" } });
  }
  const isClosed = typeof schema["properties"] === "object" && type === "object" &&
    schema["additionalProperties"] === undefined;
  // The service accepts this, but the description lacks it.
  const { eotThreshold } = (schema["properties"] ?? {}) as Record<string, Json>;
  if (eotThreshold) {
    Object.assign(schema["properties"] as object, { eagerEotThreshold: eotThreshold });
  }
  return isClosed ? { ...schema, additionalProperties: false } : schema;
}
