import { readdirSync, readFileSync } from 'node:fs';

/** The kernel's clock tick, which Linux fixes for user space. */
const TICK_MS = 10;

/** CPU time that a process with all its threads has used. */
export function cpuMs(pid: number): number {
  return cpuMsIn(`/proc/${pid}/stat`);
}

/** CPU time of each thread that a process has now; several may have one name. */
export function threadCpuMs(pid: number): { readonly id: string; readonly name: string; readonly ms: number }[] {
  const tasks = `/proc/${pid}/task`;
  return readdirSync(tasks).flatMap((id) => {
    try {
      return [{ id, name: readFileSync(`${tasks}/${id}/comm`, 'utf8').trim(), ms: cpuMsIn(`${tasks}/${id}/stat`) }];
    } catch {
      // it ended since they were listed
      return [];
    }
  });
}

function cpuMsIn(file: string): number {
  const fields = readFileSync(file, 'utf8').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

/** Memory of the process that is in RAM. */
export function rssBytes(pid: number): number {
  const [, kib] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))!;
  return Number(kib) * 1024;
}
