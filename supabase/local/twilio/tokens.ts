/**
 * The tokens of the fake's accounts: who may use it, and what signs its requests.
 *
 * @module
 */

/** Tokens by the SID of their account. */
export class Tokens {
  readonly #known = new Map<string, string>();
  /** Of accounts that may be unregistered, as last used. */
  readonly #seen = new Map<string, string>();

  /** Registers an account: other tokens are refused from now on. */
  register(accountSid: string, token: string): void {
    this.#known.set(accountSid, token);
  }

  /** The user of Basic auth, with the account's token, or an API key, whose secret may be anything. */
  findUser(accountSid: string, authorization = ""): string | undefined {
    const encoded = /^Basic ([A-Za-z0-9+/=]+)$/.exec(authorization)?.[1];
    const [user = "", password = ""] = atob(encoded ?? "").split(/:(.*)/s);
    if (password === "" || user !== accountSid && !user.startsWith("SK")) return undefined;
    if (user.startsWith("SK")) return user;
    this.#seen.set(accountSid, password);
    return (this.#known.get(accountSid) ?? password) === password ? user : undefined;
  }

  /** The token that signs an account's requests. */
  of(accountSid: string): string {
    return this.#known.get(accountSid) ?? this.#seen.get(accountSid) ?? "unknown";
  }
}
