import { readFileSync } from 'node:fs';

/** The kernel's clock tick, which Linux fixes for user space. */
const TICK_MS = 10;

/** CPU time that a process with all its threads has used. */
export function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

/** Memory of the process that is in RAM. */
export function rssBytes(pid: number): number {
  const [, kib] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))!;
  return Number(kib) * 1024;
}
