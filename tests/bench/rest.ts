// deno-lint-ignore-file no-console -- a bench prints
/**
 * Compares the REST gateway with pgbench: the same two functions, ten callers, rounds in turn, so that
 * other load on the machine affects both.
 *
 * @module
 */
import { execFileSync, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import postgres from "postgres";
import type { Running } from "../../supabase/tasks/task.ts";
import { type Cluster, startCluster } from "../rest/support/cluster.ts";
import { median } from "./median.ts";

const callers = 10;
// Many short rounds: on a shared machine, the speed is the same for both halves of most rounds.
const rounds = 15;
const seconds = 1;

const schema = `
  create schema if not exists extensions;
  create role anon nologin;
  create role authenticator login noinherit;
  grant anon to authenticator;
  create table public.claims (id bigint generated always as identity primary key, slot integer not null, at timestamptz not null default now());
  create function public.trivial(n integer) returns integer language sql volatile as $$ select n + 1 $$;
  create function public.claim(slot integer) returns bigint language plpgsql security definer set search_path = '' as $$
  declare v_id bigint;
  begin
    perform pg_catalog.pg_advisory_xact_lock(1, slot);
    insert into public.claims (slot) values (slot) returning id into v_id;
    return v_id;
  end $$;
  grant execute on all functions in schema public to anon;
`;

interface Case {
  readonly name: string;
  readonly sql: string;
  readonly body: () => string;
  /** The goal as a share of pgbench's rate. */
  readonly goal: number;
}

const cases: readonly Case[] = [
  {
    name: "trivial",
    sql: "\\set n random(1, 1000)\nselect trivial(:n);",
    body: () => `{"n":1}`,
    goal: 0.08,
  },
  {
    name: "claim",
    sql: "\\set slot random(1, 1000)\nselect claim(:slot);",
    body: () => `{"slot":${1 + Math.floor(Math.random() * 1000)}}`,
    goal: 0.25,
  },
];

function requestOf(port: number, name: string, body: string): string {
  return `POST /rpc/${name} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/json\r\n` +
    `Accept: */*\r\nContent-Profile: public\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}

/** One caller on one connection; resolves to the times of its requests in ms. */
function call(port: number, next: () => string, untilMs: number): Promise<number[]> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ port, host: "127.0.0.1", noDelay: true });
    const times: number[] = [];
    let sentAt = 0;
    let received = "";
    const send = () => {
      sentAt = performance.now();
      socket.write(next());
    };
    socket.on("connect", send);
    socket.on("error", reject);
    socket.setEncoding("latin1");
    socket.on("data", (chunk: string) => {
      received += chunk;
      const head = received.indexOf("\r\n\r\n");
      const length = /content-length: (\d+)/i.exec(received)?.[1];
      if (head < 0 || length === undefined || received.length < head + 4 + Number(length)) return;
      if (!received.startsWith("HTTP/1.1 200")) return reject(new Error(received));
      received = "";
      const now = performance.now();
      times.push(now - sentAt);
      if (now < untilMs) send();
      else (socket.end(), resolve(times));
    });
  });
}

/** Processor time of a process in ms, from Linux's clock ticks of 10 ms. */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

interface Gateway {
  readonly port: number;
  readonly pid: number;
  readonly stop: () => void;
}

async function startGateway(dbUrl: string): Promise<Gateway> {
  const main = new URL("../../supabase/local/rest/main.ts", import.meta.url).pathname;
  const args = ["run", "-A", "--unstable-no-legacy-abort", main, "--db", dbUrl, "--port", "0"];
  const child = spawn(Deno.execPath(), args, { stdio: ["ignore", "pipe", "inherit"] });
  const port = await new Promise<number>((resolve, reject) => {
    child.once("exit", () => reject(new Error("The gateway ended")));
    child.stdout.on("data", (text) => {
      const found = /:(\d+)\s/.exec(String(text))?.[1];
      if (found) resolve(Number(found));
    });
  });
  return { port, pid: child.pid ?? 0, stop: () => child.kill() };
}

/** @throws With instructions if PostgreSQL's pgbench is not on the PATH. */
function requirePgbench(): void {
  try {
    execFileSync("pgbench", ["--version"], { stdio: "ignore" });
  } catch {
    throw new Error("Cannot measure: pgbench is not on the PATH; install PostgreSQL's own tools");
  }
}

/** Prints requests per second of both, their ratio, latency and processor time. */
export async function benchRest(running: Running): Promise<void> {
  requirePgbench();
  const cluster = await running.start(startCluster({ durable: true }), ({ stop }) => stop());
  const folder = await running.start(
    mkdtemp(`${tmpdir()}/bench-rest-`),
    (made) => rm(made, { recursive: true, force: true }),
  );
  await prepareDatabase(cluster);
  const dbUrl = cluster.url("bench", "authenticator");
  const gateway = await running.start(startGateway(dbUrl), ({ stop }) => stop());
  for (const measured of cases) {
    const file = `${folder}/${measured.name}.sql`;
    await writeFile(file, measured.sql);
    const rows: Row[] = [];
    for (let round = 0; round < rounds; round++) {
      rows.push(await measure(gateway, measured, file, cluster.url("bench")));
    }
    report(measured, rows);
  }
}

async function prepareDatabase(cluster: Cluster): Promise<void> {
  const admin = postgres(cluster.url("postgres"), { max: 1, onnotice: () => {} });
  await admin.unsafe("create database bench");
  await admin.end();
  const db = postgres(cluster.url("bench"), { max: 1, onnotice: () => {} });
  await db.unsafe(schema);
  await db.end();
}

/** One round: requests per second of both, their ratio, processor time and median latency in ms. */
interface Row {
  readonly direct: number;
  readonly rest: number;
  readonly ratio: number;
  readonly cpu: number;
  readonly p50: number;
}

async function measure(
  gateway: Gateway,
  { name, body }: Case,
  file: string,
  dbUrl: string,
): Promise<Row> {
  const args = ["-n", "-M", "prepared", "-c", `${callers}`, "-j", "2", "-T", `${seconds}`];
  const { stdout } = await new Deno.Command("pgbench", {
    args: [...args, "-f", file, dbUrl],
    stderr: "null",
  }).output();
  const direct = Number(/tps = ([\d.]+)/.exec(new TextDecoder().decode(stdout))?.[1]);
  const before = cpuMs(gateway.pid);
  const until = performance.now() + seconds * 1000;
  const next = () => requestOf(gateway.port, name, body());
  const all = await Promise.all(
    Array.from({ length: callers }, () => call(gateway.port, next, until)),
  );
  const times = all.flat();
  const rest = times.length / seconds;
  const cpu = (cpuMs(gateway.pid) - before) / times.length;
  return { direct, rest, ratio: rest / direct, cpu, p50: median(times) };
}

function report({ name, goal }: Case, rows: readonly Row[]): void {
  const of = (key: keyof Row) => median(rows.map((row) => row[key]));
  const ratios = rows.map(({ ratio }) => ratio * 100).sort((a, b) => a - b);
  const range = `${ratios[0]?.toFixed(1)}-${ratios.at(-1)?.toFixed(1)}`;
  console.log(
    `${name}: rest ${of("rest").toFixed(0)}/s, pgbench ${of("direct").toFixed(0)}/s, ratio ` +
      `${(of("ratio") * 100).toFixed(1)} % (${range}, goal ${goal * 100} %), ` +
      `p50 ${of("p50").toFixed(2)} ms, CPU ${of("cpu").toFixed(3)} ms a request (goal 0.35)`,
  );
}
