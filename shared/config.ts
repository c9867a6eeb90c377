/**
 * The environment, read and checked once; every other module gets its settings from here.
 *
 * @module
 */

import { z } from "zod";
import { type Bytes, fromBase64 } from "./bytes.ts";
import { Fault } from "./errors.ts";

/** A named key. Rotation keeps several; the first is used for new values. */
export interface NamedKey {
  readonly id: string;
  readonly bytes: Bytes;
}

/** A secret that Vapi sends or signs with, and the organizations whose calls it vouches for. */
export interface VapiSecret {
  readonly secret: string;
  /** Slugs or ids of organizations; undefined when it vouches for every call. */
  readonly boundTo: readonly string[] | undefined;
}

/** How Vapi signs requests, if an HMAC credential is configured there. */
export interface HmacSettings {
  readonly secrets: readonly VapiSecret[];
  readonly signatureHeader: string;
  readonly timestampHeader: string;
  /** Text before the signature, such as `sha256=`. */
  readonly prefix: string;
  readonly encoding: "hex" | "base64";
  /** What is signed: `{timestamp}.{body}` or `{body}`. */
  readonly payload: "{timestamp}.{body}" | "{body}";
}

/** All settings of the functions. */
export interface Config {
  /** Base of PostgREST, without a trailing slash. */
  readonly restUrl: string;
  readonly databaseKey: string;
  readonly vapiSecrets: readonly VapiSecret[];
  readonly hmac: HmacSettings;
  readonly otpPeppers: readonly [NamedKey, ...NamedKey[]];
  readonly credentialKeys: readonly [NamedKey, ...NamedKey[]];
  readonly twilioApiBase: string;
  /** Where Twilio reaches our functions, without a trailing slash. */
  readonly functionsPublicUrl: string;
  /** The token with which Prometheus reads the metrics; without one, nobody can. */
  readonly metricsToken: string | undefined;
  /** What the database's jobs show; without it, they cannot ask the functions for anything. */
  readonly jobsSecret: string | undefined;
  /** Where traces are sent; undefined when they are not. */
  readonly tracing: {
    /** Of the collector's OTLP endpoint for traces. */
    readonly url: string;
    /** Such as `authorization`. */
    readonly headers: Readonly<Record<string, string>>;
    /** Tells staging from production in the collector. */
    readonly serviceName: string;
  } | undefined;
  readonly logLevel: "debug" | "info" | "warning" | "error";
}

/** The shortest secret of Vapi and the shortest metrics token; anything shorter can be guessed. */
const shortestSecret = 16;

const secrets = z.string().transform((text, context): VapiSecret[] => {
  const entries = text.split(",").map((part) => part.trim()).filter((part) => part !== "")
    .map(readSecret);
  if (entries.length === 0) context.addIssue("has only commas");
  if (entries.some((entry) => entry === undefined)) {
    context.addIssue("must bind a secret to an organization as @slug:secret");
    return z.NEVER;
  }
  const read = entries.filter((entry) => entry !== undefined);
  if (read.some(({ secret }) => secret.length < shortestSecret)) {
    context.addIssue(`must have secrets of at least ${shortestSecret} characters`);
  }
  const said = read.map(({ slug, secret }) => JSON.stringify([slug, secret]));
  if (new Set(said).size < said.length) context.addIssue("has the same secret twice");
  return [...Map.groupBy(read, ({ secret }) => secret)].map(([secret, bindings]) => {
    const slugs = bindings.flatMap(({ slug }) => slug === undefined ? [] : [slug]);
    if (slugs.length > 0 && slugs.length < bindings.length) {
      context.addIssue("has a secret that is bound to an organization and opens all of them too");
    }
    return { secret, boundTo: slugs.length === 0 ? undefined : slugs };
  });
});

/** `secret`, or `@slug:secret`; undefined for an entry that starts with @ and is malformed. */
function readSecret(
  entry: string,
): { readonly slug: string | undefined; readonly secret: string } | undefined {
  if (!entry.startsWith("@")) return { slug: undefined, secret: entry };
  const [, slug, secret] = /^@([a-z0-9]+(?:-[a-z0-9]+)*): *(.+)$/.exec(entry) ?? [];
  return slug === undefined || secret === undefined ? undefined : { slug, secret };
}

const headerName = z.string().regex(
  /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/,
  "must be the name of a header, such as x-signature",
);

const url = z.url({ protocol: /^https?$/, error: "must be an http(s) URL" })
  .transform((text) => text.replace(/\/+$/, ""));

/** The format of https://opentelemetry.io/docs/specs/otel/protocol/exporter/: `name=value,name=value`. */
const headers = z.string().transform((text, context): Record<string, string> => {
  const entries = text.split(",").map((part) => readHeader(part.trim()));
  const read = entries.filter((entry) => entry !== undefined);
  if (read.length < entries.length) context.addIssue("must be name=value, comma separated");
  return Object.fromEntries(read);
});

function readHeader(entry: string): readonly [string, string] | undefined {
  const [, name, value] = /^([^=]+)=(.+)$/.exec(entry) ?? [];
  try {
    const [header] = new Headers([[name?.trim() ?? "", decodeURIComponent(value ?? "").trim()]]);
    return header;
  } catch {
    return undefined;
  }
}

const namedKeys = z.string().transform((text, context): [NamedKey, ...NamedKey[]] => {
  const keys = text.split(",").map((part) => readNamedKey(part.trim()));
  const [first, ...rest] = keys.filter((key) => key !== undefined);
  if (first === undefined || rest.length + 1 !== keys.length) {
    context.addIssue("must be id:base64 of 32 bytes, comma separated, the current key first");
    return z.NEVER;
  }
  const ids = keys.map((key) => key?.id);
  const twice = ids.find((id, index) => ids.indexOf(id) < index);
  if (twice !== undefined) context.addIssue(`has two keys named ${twice}`);
  const blank = keys.find((key) => key?.bytes.every((byte) => byte === 0));
  if (blank) context.addIssue(`has a key of nothing but zeros, ${blank.id}`);
  return [first, ...rest];
});

function readNamedKey(text: string): NamedKey | undefined {
  const match = /^([A-Za-z0-9_-]{1,32}):([A-Za-z0-9+/]{43}=)$/.exec(text);
  if (!match?.[1] || !match[2]) return undefined;
  return { id: match[1], bytes: fromBase64(match[2]) };
}

/** Whether nobody on the way can read what is sent there: it is https, or this machine. */
function isConfidential(address: string): boolean {
  const { protocol, hostname } = new URL(address);
  return protocol === "https:" || /^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname);
}

const apiKeys = z.string().transform((text, context): string => {
  try {
    const keys = z.record(z.string(), z.string().min(1)).parse(JSON.parse(text));
    const key = keys["default"] ?? Object.values(keys)[0];
    if (key !== undefined) return key;
  } catch {
    // Reported below, with all other problems of the environment.
  }
  context.addIssue('must be JSON such as {"default":"sb_secret_..."}');
  return z.NEVER;
});

const environment = z.object({
  SUPABASE_URL: url,
  POSTGREST_URL: url.optional(),
  SUPABASE_SECRET_KEYS: apiKeys.optional(),
  SUPABASE_SERVICE_ROLE_KEY: z.string().min(1).optional(),
  VAPI_SECRETS: secrets.default([]),
  VAPI_HMAC_SECRETS: secrets.default([]),
  VAPI_HMAC_SIGNATURE_HEADER: headerName.default("x-signature"),
  VAPI_HMAC_TIMESTAMP_HEADER: headerName.default("x-timestamp"),
  VAPI_HMAC_PREFIX: z.string().default(""),
  VAPI_HMAC_ENCODING: z.enum(["hex", "base64"]).default("hex"),
  VAPI_HMAC_PAYLOAD: z.enum(["{timestamp}.{body}", "{body}"]).default("{timestamp}.{body}"),
  OTP_PEPPERS: namedKeys,
  CREDENTIAL_KEYS: namedKeys,
  TWILIO_API_BASE: url.default("https://api.twilio.com"),
  TWILIO_SANDBOX: z.enum(["yes", "no"]).default("no"),
  FUNCTIONS_PUBLIC_URL: url.refine(isConfidential, "must be https, or an address of this machine")
    .optional(),
  METRICS_TOKEN: z.string()
    .min(shortestSecret, `must have at least ${shortestSecret} characters`).optional(),
  JOBS_SECRET: z.string()
    .min(shortestSecret, `must have at least ${shortestSecret} characters`).optional(),
  OTEL_EXPORTER_OTLP_ENDPOINT: url.optional(),
  OTEL_EXPORTER_OTLP_HEADERS: headers.default({}),
  OTEL_SERVICE_NAME: z.string().default("master-orchestrator"),
  LOG_LEVEL: z.enum(["debug", "info", "warning", "error"]).default("info"),
});

/** The names of all variables that `readConfig` reads, in the order of `.env.example`. */
export const variableNames: readonly string[] = Object.keys(environment.shape);

/** Variables by name; an empty value counts as not set. */
type Variables = Readonly<Record<string, string | undefined>>;

/** What a task needs to read and check the clinics' Twilio accounts. */
export interface CredentialConfig extends Pick<Config, "credentialKeys" | "twilioApiBase"> {
  /** Undefined where the settings do not say where the functions are. */
  readonly functionsPublicUrl: string | undefined;
}

/**
 * Reads what the operators' tasks need of the environment.
 *
 * @throws {Fault} `config_invalid`, naming every missing or malformed variable.
 */
export function readCredentialConfig(
  env: Variables,
): CredentialConfig {
  const wanted = environment.pick({
    CREDENTIAL_KEYS: true,
    TWILIO_API_BASE: true,
    TWILIO_SANDBOX: true,
  });
  const { values, problems } = readVariables(wanted, env);
  problems.push(...findOpenSandbox(env));
  if (!values || problems.length > 0) throw invalid(problems);
  const { FUNCTIONS_PUBLIC_URL, SUPABASE_URL } = env;
  return {
    credentialKeys: values.CREDENTIAL_KEYS,
    twilioApiBase: values.TWILIO_API_BASE,
    functionsPublicUrl: FUNCTIONS_PUBLIC_URL || (SUPABASE_URL && `${SUPABASE_URL}/functions/v1`),
  };
}

/**
 * Reads and checks the environment.
 *
 * @throws {Fault} `config_invalid`, naming every missing or malformed variable at once.
 */
export function readConfig(env: Variables): Config {
  const { values, problems } = readVariables(environment, env);
  if (!env["SUPABASE_SECRET_KEYS"] && !env["SUPABASE_SERVICE_ROLE_KEY"]) {
    problems.push("SUPABASE_SECRET_KEYS or SUPABASE_SERVICE_ROLE_KEY is missing");
  }
  if (!env["VAPI_SECRETS"] && !env["VAPI_HMAC_SECRETS"]) {
    problems.push("VAPI_SECRETS or VAPI_HMAC_SECRETS is missing");
  }
  problems.push(...findOpenSandbox(env), ...findSharedKeys(env), ...findSharedSecrets(env));
  if (!values || problems.length > 0) throw invalid(problems);
  return {
    restUrl: values.POSTGREST_URL ?? `${values.SUPABASE_URL}/rest/v1`,
    databaseKey: values.SUPABASE_SECRET_KEYS ?? values.SUPABASE_SERVICE_ROLE_KEY ?? "",
    vapiSecrets: values.VAPI_SECRETS,
    hmac: {
      secrets: values.VAPI_HMAC_SECRETS,
      signatureHeader: values.VAPI_HMAC_SIGNATURE_HEADER,
      timestampHeader: values.VAPI_HMAC_TIMESTAMP_HEADER,
      prefix: values.VAPI_HMAC_PREFIX,
      encoding: values.VAPI_HMAC_ENCODING,
      payload: values.VAPI_HMAC_PAYLOAD,
    },
    otpPeppers: values.OTP_PEPPERS,
    credentialKeys: values.CREDENTIAL_KEYS,
    twilioApiBase: values.TWILIO_API_BASE,
    functionsPublicUrl: values.FUNCTIONS_PUBLIC_URL ?? `${values.SUPABASE_URL}/functions/v1`,
    metricsToken: values.METRICS_TOKEN,
    jobsSecret: values.JOBS_SECRET,
    tracing: values.OTEL_EXPORTER_OTLP_ENDPOINT === undefined ? undefined : {
      url: `${values.OTEL_EXPORTER_OTLP_ENDPOINT}/v1/traces`,
      headers: values.OTEL_EXPORTER_OTLP_HEADERS,
      serviceName: values.OTEL_SERVICE_NAME,
    },
    logLevel: values.LOG_LEVEL,
  };
}

function invalid(problems: readonly string[]): Fault {
  return new Fault("config_invalid", `Cannot start: ${problems.join("; ")}`);
}

function readVariables<Shape extends z.ZodRawShape>(wanted: z.ZodObject<Shape>, env: Variables) {
  const given = Object.keys(wanted.shape).map((name) => [name, env[name]])
    .filter(([, value]) => value);
  const { data: values, error } = wanted.safeParse(Object.fromEntries(given));
  return { values, problems: error?.issues.map(describeIssue) ?? [] };
}

// The checks below compare variables. They read the environment again, because zod compares variables
// only when each is valid, and a failed start must name every problem at once.

/** Over http, texts and the account's token could be read on the way. */
function findOpenSandbox({ TWILIO_API_BASE: base, TWILIO_SANDBOX: sandbox }: Variables): string[] {
  const isOpen = base && url.safeParse(base).success && !isConfidential(base) && sandbox !== "yes";
  return isOpen
    ? [
      "TWILIO_API_BASE must be https, or an address of this machine; TWILIO_SANDBOX=yes allows http",
    ]
    : [];
}

/** One leaked key must not open both the passcodes and the accounts. */
function findSharedKeys({ OTP_PEPPERS: peppers, CREDENTIAL_KEYS: keys }: Variables): string[] {
  const bytesOf = (text = "") =>
    text.split(",").map((part) => part.trim().replace(/^[^:]*:/, "")).filter(Boolean);
  const known = new Set(bytesOf(keys));
  return bytesOf(peppers).some((pepper) => known.has(pepper))
    ? ["OTP_PEPPERS and CREDENTIAL_KEYS have a key in common"]
    : [];
}

/** A secret in two variables must not open more through one than through the other. */
function findSharedSecrets(
  { VAPI_SECRETS: shown, VAPI_HMAC_SECRETS: signing, METRICS_TOKEN: token }: Variables,
): string[] {
  const read = (text = "") => secrets.safeParse(text).data ?? [];
  const [shownOnes, signingOnes] = [read(shown), read(signing)];
  const isLoose = shownOnes.some(({ secret, boundTo }) =>
    signingOnes.some((other) =>
      other.secret === secret && String(other.boundTo) !== String(boundTo)
    )
  );
  const isToken = [...shownOnes, ...signingOnes].some(({ secret }) => secret === token);
  return [
    ...isLoose ? ["VAPI_SECRETS and VAPI_HMAC_SECRETS bind the same secret differently"] : [],
    ...isToken ? ["METRICS_TOKEN is one of Vapi's secrets"] : [],
  ];
}

function describeIssue(issue: z.core.$ZodIssue): string {
  const name = issue.path.join(".");
  return issue.code === "invalid_type" && issue.input === undefined
    ? `${name} is missing`
    : `${name} ${issue.message}`;
}
