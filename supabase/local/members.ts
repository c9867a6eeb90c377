/**
 * Members of the local clinics, so that somebody can sign in at once: one for each role.
 *
 * @module
 */

import { sha256 } from "../../shared/bytes.ts";
import type { Auth } from "./auth/server.ts";
import { withConnection } from "./connection.ts";

/** The password of all of them, which is no secret. */
export const localPassword = "local-desk-1";

const roles = ["owner", "manager", "desk", "viewer"] as const;

/** The address of a clinic's member in a role. */
export const localEmail = (role: (typeof roles)[number], slug: string): string =>
  `${role}@${slug}.test`;

/**
 * Makes the accounts that do not exist yet, and members of them. Existing accounts keep their password
 * and their role.
 *
 * @param dbUrl As the role postgres
 * @param secretKey The key of the admin endpoint
 */
export async function addMembers(
  dbUrl: string,
  auth: Auth,
  secretKey: string,
  slugs: readonly string[],
): Promise<void> {
  const wanted = slugs.flatMap((slug) =>
    roles.map((role) => ({ slug, role, email: localEmail(role, slug) }))
  );
  await withConnection(dbUrl, async (sql) => {
    const known = await sql<{ email: string }[]>`
      select email from auth.users where email = any (${wanted.map(({ email }) => email)})`;
    const missing = wanted.filter(({ email }) => !known.some((one) => one.email === email));
    const ids = await Promise.all(
      missing.map(({ email }) => createAccount(auth, secretKey, email)),
    );
    for (const [index, { slug, role }] of missing.entries()) {
      await sql`select public.set_member(id, ${ids[index] ?? null}, ${role})
        from public.organizations where slug = ${slug}`;
    }
  });
}

/** The same in every local database, so that a backup of one can be restored into another. */
function idOf(email: string): string {
  const hex = sha256(email);
  return hex.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*$/, "$1-$2-4$3-8$4-$5");
}

async function createAccount(auth: Auth, secretKey: string, email: string): Promise<string> {
  const response = await auth.fetch(
    new Request("http://127.0.0.1/auth/v1/admin/users", {
      method: "POST",
      headers: { authorization: `Bearer ${secretKey}`, "content-type": "application/json" },
      body: JSON.stringify({
        id: idOf(email),
        email,
        password: localPassword,
        email_confirm: true,
      }),
    }),
  );
  const { id, msg } = await response.json();
  if (typeof id === "string") return id;
  throw new Error(`Cannot make the account ${email}: ${msg}`);
}
