/**
 * Tool definitions for Vapi, made from each tool's own description and schema.
 *
 * Source: Vapi's CreateFunctionToolDTO. Vapi takes a subset of JSON Schema. What a zod schema says
 * beyond it (bounds, alternatives, defaults) is left out, because the tool checks its arguments anyway.
 *
 * @module
 */

import { z } from "zod";
import * as sentences from "../sentences.ts";
import type { Tool } from "../tool.ts";

/** The arguments of a tool for the language model, in the subset of JSON Schema that Vapi takes. */
export interface ParameterSchema {
  readonly type: string;
  readonly description?: string;
  readonly enum?: readonly string[];
  readonly pattern?: string;
  readonly format?: string;
  readonly items?: ParameterSchema;
  readonly properties?: Readonly<Record<string, ParameterSchema>>;
  readonly required?: readonly string[];
}

/** A function tool in Vapi's format. */
export interface VapiTool {
  readonly type: "function";
  readonly async: false;
  readonly function: {
    readonly name: string;
    readonly description: string;
    readonly strict: false;
    readonly parameters: ParameterSchema;
  };
  readonly parameters: readonly { readonly key: string; readonly value: string }[];
  readonly messages: readonly Readonly<Record<string, unknown>>[];
  readonly server: VapiServer;
}

/** Where Vapi sends requests, and the credential it uses. */
export interface VapiServer {
  readonly url: string;
  readonly timeoutSeconds: number;
  readonly credentialId?: string;
}

/** The address of the functions, and the credential of the Vapi account that signs the requests. */
export interface FunctionsAddress {
  /** `https://PROJECT.supabase.co/functions/v1`, without a trailing slash. */
  readonly functionsUrl: string;
  /** If undefined, Vapi picks one of the account's credentials. */
  readonly credentialId?: string | undefined;
}

/**
 * Vapi adds these after the model has written its arguments, so a model can neither see nor set them.
 * They are compared with the envelope and used for nothing else.
 */
const staticParameters = [
  { key: "call_id", value: "{{ call.id }}" },
  { key: "caller_number", value: "{{ customer.number }}" },
  { key: "called_number", value: "{{ phoneNumber.number }}" },
];

/** Vapi's timeout; our own budget is 7 seconds. */
const timeoutSeconds = 9;

/** Defines a tool. Its function has the same name with hyphens. */
export function defineForVapi(
  { name, description, input }: Tool,
  { functionsUrl, credentialId }: FunctionsAddress,
): VapiTool {
  return {
    type: "function",
    async: false,
    function: { name, description, strict: false, parameters: describeArguments(input) },
    parameters: staticParameters,
    messages: [
      // Without this, Vapi says a random filler.
      { type: "request-start", content: sentences.oneMoment, blocking: false },
      {
        type: "request-response-delayed",
        content: sentences.momentLonger,
        timingMilliseconds: 3500,
      },
      {
        type: "request-failed",
        role: "system",
        content: "The booking system did not answer. Apologize in one sentence, call the tool " +
          "once more, and if it fails again offer the front desk.",
      },
    ],
    server: {
      url: `${functionsUrl}/${name.replaceAll("_", "-")}`,
      timeoutSeconds,
      ...(credentialId === undefined ? {} : { credentialId }),
    },
  };
}

/** Describes the arguments of a zod schema in Vapi's subset of JSON Schema. */
export function describeArguments(input: z.ZodType): ParameterSchema {
  const taken = z.toJSONSchema(input, { io: "input", unrepresentable: "any" });
  // Where the input accepts anything, as for numbers given as text, the output has the type.
  const made = z.toJSONSchema(input, { io: "output", unrepresentable: "any" });
  return reduce(taken, made);
}

type JsonSchema = z.core.JSONSchema.JSONSchema;

function reduce(taken: JsonSchema, made: JsonSchema = {}): ParameterSchema {
  const schema = { ...made, ...firstOf(taken) };
  const { type, description, pattern, items, properties, required } = schema;
  const format = ["date-time", "date", "time", "email", "uuid"]
    .find((known) => known === schema.format);
  return {
    type: typeof type === "string" ? type.replace("integer", "number") : "string",
    ...(description ?? taken.description ? { description: description ?? taken.description } : {}),
    ...(Array.isArray(schema.enum) ? { enum: schema.enum.map(String) } : {}),
    ...(format ? { format } : pattern ? { pattern } : {}),
    ...(items && typeof items === "object" && !Array.isArray(items)
      ? { items: reduce(items) }
      : {}),
    ...(properties
      ? { properties: mapProperties(properties, made.properties), required: required ?? [] }
      : {}),
  };
}

/** Of text or number, chooses text: a model writes either, and text keeps leading zeros. */
function firstOf(schema: JsonSchema): JsonSchema {
  const alternatives = (schema.anyOf ?? schema.oneOf ?? []).filter(isSchema);
  const chosen = alternatives.find(({ type }) => type === "string") ?? alternatives[0];
  return chosen ? { ...schema, ...chosen } : schema;
}

function mapProperties(
  taken: NonNullable<JsonSchema["properties"]>,
  made: JsonSchema["properties"] = {},
): Record<string, ParameterSchema> {
  return Object.fromEntries(
    Object.entries(taken).map(([name, schema]) => {
      const alike = made[name];
      return [name, reduce(isSchema(schema) ? schema : {}, isSchema(alike) ? alike : {})];
    }),
  );
}

function isSchema(schema: unknown): schema is JsonSchema {
  return typeof schema === "object" && schema !== null;
}
