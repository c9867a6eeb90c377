/** Staff sign in with supabase-js's own client, and their tokens allow what their role allows. */
import assert from "node:assert/strict";
import { createClient } from "@supabase/supabase-js";
import { createAuth } from "../../supabase/local/auth/server.ts";
import { createGateway } from "../../supabase/local/rest/gateway.ts";
import { aClinic, aDay } from "../support/clinic.ts";
import { type TestDatabase, testWithDatabase as test } from "../support/database.ts";

const secret = "test-jwt-secret-of-more-than-32-characters";
const keys = { publishableKey: "sb_publishable_test", secretKey: "sb_secret_test" };
const password = "correct-horse-1";

/** A stack of `/auth/v1` and `/rest/v1` on one database, with clients for it. */
async function withClients(
  database: TestDatabase,
  work: (open: (key?: string) => ReturnType<typeof openClient>) => Promise<void>,
): Promise<void> {
  const auth = await createAuth({
    dbUrl: database.url("supabase_admin"),
    basePath: "/auth/v1",
    issuer: "http://127.0.0.1/auth/v1",
    secret,
    ...keys,
  });
  const rest = await createGateway({
    dbUrl: database.url("authenticator"),
    basePath: "/rest/v1",
    jwtSecret: secret,
    ...keys,
  });
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) =>
      new URL(request.url).pathname.startsWith("/auth/")
        ? auth.fetch(request)
        : rest.fetch(request),
  );
  try {
    await work((key = keys.publishableKey) =>
      openClient(`http://127.0.0.1:${server.addr.port}`, key)
    );
  } finally {
    await server.shutdown();
    await rest.close();
    await auth.close();
  }
}

const openClient = (url: string, key: string) =>
  createClient(url, key, { auth: { persistSession: false, autoRefreshToken: false } });

test("a member signs in, books, and sees nothing after the end of the membership", async (database) => {
  const { sql } = database;
  const clinic = await aClinic(sql);
  await withClients(database, async (open) => {
    const admin = open(keys.secretKey);
    const email = "Ada@Clinic.test";
    const made = await admin.auth.admin.createUser({ email, password, email_confirm: true });
    assert.equal(made.error, null);
    const userId = made.data.user?.id ?? "";
    assert.equal((await admin.auth.admin.listUsers()).data.users[0]?.email, "ada@clinic.test");

    const staff = open();
    const wrong = await staff.auth.signInWithPassword({ email, password: "another" });
    assert.equal(wrong.error?.code, "invalid_credentials");
    const signed = await staff.auth.signInWithPassword({ email, password });
    assert.equal(signed.error, null);
    assert.equal((await staff.auth.getUser()).data.user?.id, userId);

    const book = async (time: string) =>
      (await staff.rpc("staff_book", {
        p_org: clinic.id,
        p_request: crypto.randomUUID(),
        p_slot_id: `consultation/${aDay()}T${time}`,
        p_patient_name: "Grace Brown",
      })).data?.outcome;
    const see = async () => (await staff.from("appointments").select("patient_name")).data;
    assert.equal(await book("09:00"), "unknown_clinic");
    await sql`select public.set_member(${clinic.id}, ${userId}, 'desk')`;
    assert.equal(await book("09:00"), "booked");
    assert.deepEqual(await see(), [{ patient_name: "Grace Brown" }]);
    assert.deepEqual((await staff.from("audit_logs").select()).data, [], "not for the desk");
    assert.equal((await staff.from("org_credentials").select()).error?.code, "42501");
    const forged = await staff.auth.updateUser({ data: { role: "owner", org_role: "owner" } });
    assert.equal(forged.error, null);
    await staff.auth.refreshSession();
    assert.deepEqual((await staff.from("audit_logs").select()).data, []);

    await sql`select public.set_member(${clinic.id}, ${userId}, null)`;
    assert.deepEqual(await see(), [], "the token is still good, the membership is not");
    assert.equal(await book("10:00"), "unknown_clinic");
    assert.equal((await staff.auth.signOut()).error, null);
    assert.equal((await admin.auth.admin.deleteUser(userId)).error, null);
    assert.equal(
      (await open().auth.signInWithPassword({ email, password })).error?.code,
      "invalid_credentials",
    );
  });
});

test("a refresh token that is reused late revokes its session's tokens", async (database) => {
  await withClients(database, async (open) => {
    const email = "ada@clinic.test";
    await open(keys.secretKey).auth.admin.createUser({ email, password, email_confirm: true });
    const staff = open();
    const tokens: string[] = [];
    tokens.push(
      (await staff.auth.signInWithPassword({ email, password })).data.session?.refresh_token ??
        "",
    );
    for (let n = 0; n < 2; n++) {
      tokens.push((await staff.auth.refreshSession()).data.session?.refresh_token ?? "");
    }
    assert.equal(new Set(tokens).size, 3, "each use makes another one");
    await database
      .admin`update auth.refresh_tokens set updated_at = updated_at - interval '11 seconds'`;
    const use = async (token = "") =>
      (await open().auth.refreshSession({ refresh_token: token })).error?.code;
    assert.equal(await use(tokens[0]), "refresh_token_already_used");
    await database
      .admin`update auth.refresh_tokens set updated_at = updated_at - interval '11 seconds'`;
    assert.equal(await use(tokens[2]), "refresh_token_already_used");
    assert.equal(await use("000000000000"), "refresh_token_not_found");
  });
});

test("passwords are kept as salted hashes, out of reach of the API's roles", async (database) => {
  await withClients(database, async (open) => {
    const admin = open(keys.secretKey);
    for (const email of ["ada@clinic.test", "ben@clinic.test"]) {
      await admin.auth.admin.createUser({ email, password, email_confirm: true });
    }
    const kept = await database.admin`select salt, hash, encode(hash, 'escape') as text
      from auth.local_passwords`;
    assert.equal(kept.length, 2);
    assert.notDeepEqual(kept[0]?.["hash"], kept[1]?.["hash"], "one password, two hashes");
    for (const { text } of kept) assert.ok(!text.includes(password));
    const [readers] = await database.admin`select count(*)::int as n
      from pg_class as c, unnest('{anon,authenticated,service_role,postgres}'::name[]) as r (role)
      where c.relnamespace = 'auth'::regnamespace and c.relkind = 'r' and c.relname <> 'users'
        and has_table_privilege(r.role, c.oid, 'select, insert, update, delete')`;
    assert.equal(readers?.["n"], 0);
  });
});
