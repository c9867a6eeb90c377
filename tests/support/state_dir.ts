/**
 * Where the tests' database clusters keep their files.
 *
 * @module
 */

import { existsSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { defaultStateDir } from "../../supabase/local/postgres.ts";
import { findPostgres } from "../../supabase/local/postgres_binaries.ts";

const memory = "/dev/shm";
/** More than a full run needs; a machine with less memory keeps the files on its disk. */
const enoughBytes = 4 * 2 ** 30;

/**
 * A folder for a temporary cluster: in memory if there is enough of it. A database for each test means
 * 300 files each, and on a disk creating these takes longer than most tests.
 */
export function testStateDir(purpose: string): string {
  return hasMemory()
    ? join(memory, `master-orchestrator-tests-${Deno.uid()}`, purpose)
    : defaultStateDir(purpose);
}

function hasMemory(): boolean {
  if (Deno.build.os !== "linux" || !existsSync(memory)) return false;
  const { bavail, bsize } = statfsSync(memory);
  return Math.min(bavail * bsize, Deno.systemMemoryInfo().available) >= enoughBytes;
}

/** PostgreSQL's programs, which stay on disk. */
export async function testBinDir(): Promise<string> {
  return (await findPostgres(join(defaultStateDir("test"), ".."))).binDir;
}
