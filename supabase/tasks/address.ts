/**
 * Asks for the address of another system that the functions will reach.
 *
 * @module
 */

import { hostOf, loadPublicTest } from "../../shared/exchange.ts";
import { Stop } from "./task.ts";
import type { Terminal } from "./terminal.ts";

/**
 * Reads an address, which may be a secret: hidden at a terminal, else from standard input. The database
 * checks the rest of it.
 *
 * @throws {Stop} When nothing could ever be sent there.
 */
export async function askAddress(terminal: Terminal, whose: string): Promise<string> {
  const given = terminal.isTerminal
    ? await terminal.ask(`Address of ${whose} (not shown): `, { hidden: true })
    : await terminal.readAll();
  const address = given.trim();
  if (address === "") throw new Stop(2, "Nothing was stored: no address was given");
  if (!address.startsWith("https://")) return address;
  const url = URL.parse(address);
  if (url === null) throw new Stop(2, "Nothing was stored: this is not an address");
  const host = hostOf(url);
  const isNumber = /^[\d.]+$|:/.test(host);
  if (host === "localhost" || isNumber && !(await loadPublicTest())(host)) {
    throw new Stop(2, `Nothing was stored: ${host} is not an address of the public internet`);
  }
  return address;
}
