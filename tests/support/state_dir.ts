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
/** A full run needs a part of it; a machine with less keeps the files on its disk. */
const enoughBytes = 4 * 2 ** 30;

/**
 * The folder of a cluster that need not last: in memory where there is plenty. A database of one's
 * own for each test is 300 files, and on a disk making these takes longer than most tests.
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

/** PostgreSQL's programs, which stay on the disk. */
export async function testBinDir(): Promise<string> {
  return (await findPostgres(join(defaultStateDir("test"), ".."))).binDir;
}
