/** Settings that are too weak or contradict each other prevent the start, and all are named at once. */
import assert from "node:assert/strict";
import { readConfig, readCredentialConfig } from "../../shared/config.ts";

const keyOf = (id: string, byte: string) => `${id}:${btoa(byte.repeat(32))}`;

const sound = {
  SUPABASE_URL: "https://abc.supabase.co",
  SUPABASE_SERVICE_ROLE_KEY: "key",
  VAPI_SECRETS: "a-secret-of-vapi-s,another-of-vapi-s",
  OTP_PEPPERS: `${keyOf("v2", "p")},${keyOf("v1", "q")}`,
  CREDENTIAL_KEYS: keyOf("v1", "k"),
};

const wrong: readonly (readonly [Record<string, string>, RegExp])[] = [
  [{ OTP_PEPPERS: `${keyOf("v1", "p")},${keyOf("v1", "q")}` }, /OTP_PEPPERS has two keys named v1/],
  [
    { CREDENTIAL_KEYS: `${keyOf("k", "k")},${keyOf("k", "l")}` },
    /CREDENTIAL_KEYS has two keys named k/,
  ],
  [{ CREDENTIAL_KEYS: keyOf("v1", "\0") }, /CREDENTIAL_KEYS has a key of nothing but zeros, v1/],
  [{ CREDENTIAL_KEYS: keyOf("x", "p") }, /OTP_PEPPERS and CREDENTIAL_KEYS have a key in common/],
  [{ VAPI_SECRETS: "a-secret-of-vapi-s,short" }, /VAPI_SECRETS must have secrets of at least 16/],
  [{ VAPI_HMAC_SECRETS: "short" }, /VAPI_HMAC_SECRETS must have secrets of at least 16/],
  [{ VAPI_SECRETS: "a-secret-of-vapi-s,a-secret-of-vapi-s" }, /VAPI_SECRETS has the same secret/],
  [{ VAPI_SECRETS: " , ," }, /VAPI_SECRETS has only commas/],
  [{ VAPI_HMAC_SECRETS: "," }, /VAPI_HMAC_SECRETS has only commas/],
  [{ VAPI_SECRETS: "@sunrise-dental:short" }, /VAPI_SECRETS must have secrets of at least 16/],
  [
    { VAPI_SECRETS: "@a-secret-of-vapi-s" },
    /VAPI_SECRETS must bind a secret to an organization as @/,
  ],
  [{ VAPI_SECRETS: "@Sunrise:a-secret-of-vapi-s" }, /VAPI_SECRETS must bind a secret/],
  [{ VAPI_HMAC_SECRETS: "@:a-secret-of-vapi-s" }, /VAPI_HMAC_SECRETS must bind a secret/],
  [
    { VAPI_SECRETS: "@sunrise:a-secret-of-vapi-s,@sunrise:a-secret-of-vapi-s" },
    /VAPI_SECRETS has the same secret twice/,
  ],
  [
    { VAPI_SECRETS: "@sunrise:a-secret-of-vapi-s,a-secret-of-vapi-s" },
    /VAPI_SECRETS has a secret that is bound to an organization and opens all/,
  ],
  [
    { VAPI_SECRETS: "@sunrise:a-secret-of-vapi-s", VAPI_HMAC_SECRETS: "a-secret-of-vapi-s" },
    /VAPI_SECRETS and VAPI_HMAC_SECRETS bind the same secret differently/,
  ],
  [{ METRICS_TOKEN: "another-of-vapi-s" }, /METRICS_TOKEN is one of Vapi's secrets/],
  [{ OTP_PEPPERS: "," }, /OTP_PEPPERS must be id:base64/],
  [{ FUNCTIONS_PUBLIC_URL: "http://clinic.example.com" }, /FUNCTIONS_PUBLIC_URL must be https/],
  [{ TWILIO_API_BASE: "http://twilio.example.com" }, /TWILIO_API_BASE must be https/],
  [
    { OTEL_EXPORTER_OTLP_ENDPOINT: "collector:4318" },
    /OTEL_EXPORTER_OTLP_ENDPOINT must be an http/,
  ],
  [
    { OTEL_EXPORTER_OTLP_HEADERS: "authorization" },
    /OTEL_EXPORTER_OTLP_HEADERS must be name=value/,
  ],
  [{ OTEL_EXPORTER_OTLP_HEADERS: "a=%zz" }, /OTEL_EXPORTER_OTLP_HEADERS must be name=value/],
  [{ VAPI_HMAC_SIGNATURE_HEADER: "x signature" }, /VAPI_HMAC_SIGNATURE_HEADER must be the name/],
  [{ VAPI_HMAC_TIMESTAMP_HEADER: "x-täglich" }, /VAPI_HMAC_TIMESTAMP_HEADER must be the name/],
];

Deno.test("a setting that is too weak or contradicts another stops the start", () => {
  for (const [change, problem] of wrong) {
    assert.throws(() => readConfig({ ...sound, ...change }), problem);
  }
});

Deno.test("everything that is wrong is named at once, and no secret is repeated", () => {
  const all = Object.assign({}, ...wrong.slice(0, 1).map(([change]) => change), {
    CREDENTIAL_KEYS: keyOf("x", "p"),
    VAPI_SECRETS: "short",
    TWILIO_API_BASE: "http://twilio.example.com",
    VAPI_HMAC_SIGNATURE_HEADER: "x signature",
  });
  assert.throws(() => readConfig({ ...sound, ...all }), ({ message }: Error) => {
    for (
      const name of [
        "OTP_PEPPERS has two",
        "in common",
        "VAPI_SECRETS must",
        "TWILIO_API_BASE",
        "VAPI_HMAC_SIGNATURE_HEADER",
      ]
    ) assert.ok(message.includes(name), `${name}: ${message}`);
    assert.ok(!message.includes("short") && !message.includes(btoa("p".repeat(32))));
    return true;
  });
});

Deno.test("http is for this machine, and for a sandbox that is declared", () => {
  for (const host of ["localhost", "127.0.0.1:8000", "[::1]:8000"]) {
    const local = `http://${host}`;
    readConfig({ ...sound, FUNCTIONS_PUBLIC_URL: local, TWILIO_API_BASE: local });
  }
  for (const host of ["localhost.example.com", "127.0.0.1.example.com", "10.0.0.1"]) {
    assert.throws(() => readConfig({ ...sound, TWILIO_API_BASE: `http://${host}` }));
    assert.throws(() => readCredentialConfig({ ...sound, TWILIO_API_BASE: `http://${host}` }));
  }
  const sandbox = { TWILIO_API_BASE: "http://10.0.0.1", TWILIO_SANDBOX: "yes" };
  assert.equal(readConfig({ ...sound, ...sandbox }).twilioApiBase, "http://10.0.0.1");
  assert.equal(readCredentialConfig({ ...sound, ...sandbox }).twilioApiBase, "http://10.0.0.1");
});

Deno.test("a secret opens every organization, or those it is bound to", () => {
  const bound = "@sunrise-dental:first-secret-of-vapi, @2nd:first-secret-of-vapi";
  const config = readConfig({
    ...sound,
    VAPI_SECRETS: `${bound},second:secret@of-vapi`,
    VAPI_HMAC_SECRETS: "@0b8e4f9a-0000-4000-8000-000000000001: third:secret-of-vapi",
  });
  assert.deepEqual(config.vapiSecrets, [
    { secret: "first-secret-of-vapi", boundTo: ["sunrise-dental", "2nd"] },
    { secret: "second:secret@of-vapi", boundTo: undefined },
  ]);
  assert.deepEqual(config.hmac.secrets, [
    { secret: "third:secret-of-vapi", boundTo: ["0b8e4f9a-0000-4000-8000-000000000001"] },
  ]);
});

Deno.test("traces are sent where OpenTelemetry's variables say, and otherwise nowhere", () => {
  assert.equal(readConfig(sound).tracing, undefined);
  const told = {
    OTEL_EXPORTER_OTLP_ENDPOINT: "https://otlp.example.com/otlp/",
    OTEL_EXPORTER_OTLP_HEADERS: "Authorization=Basic%20a2V5PT0=, x-team = clinics",
  };
  assert.deepEqual(readConfig({ ...sound, ...told }).tracing, {
    url: "https://otlp.example.com/otlp/v1/traces",
    headers: { authorization: "Basic a2V5PT0=", "x-team": "clinics" },
    serviceName: "master-orchestrator",
  });
});
