import fs from 'node:fs';
import os from 'node:os';

/** CAP_SYS_NICE of Linux, which raises priorities: capabilities(7). */
const SYS_NICE_BIT = 23n;
/** The users of the first namespace: user_namespaces(7). */
const ALL_USERS = /^\s*0\s+0\s+4294967295\s*$/;

/** The priority of a thread among those that want to run. */
export interface Priority {
  /**
   * Puts the thread `steps` of niceness behind where it was at first; 0: back to there.
   *
   * @returns false where nothing was changed
   */
  lower(steps: number): boolean;
}

/**
 * The priority of the calling thread. On Linux each thread has its own; elsewhere nothing is changed, and neither is it where a thread
 * that came down could not come up again, as in most containers: it would stay behind for ever.
 */
export function threadPriority(): Priority {
  const thread = threadId();
  const first = thread === undefined || !mayRaisePriorities() ? undefined : os.getPriority(thread);
  return {
    lower(steps) {
      if (thread === undefined || first === undefined) return false;
      try {
        os.setPriority(thread, Math.min(os.constants.priority.PRIORITY_LOW, first + steps));
        return true;
      } catch {
        return false;
      }
    },
  };
}

function threadId(): number | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    // reads <process>/task/<thread>
    const id = Number(fs.readlinkSync('/proc/thread-self').split('/').at(-1));
    return Number.isSafeInteger(id) && id > 0 ? id : undefined;
  } catch {
    return undefined;
  }
}

/** Whether threads of this process can come after others, and before them again. */
function mayRaisePriorities(): boolean {
  if (process.platform !== 'linux') return false;
  try {
    return raisesPriorities(
      fs.readFileSync('/proc/thread-self/status', 'utf8'),
      fs.readFileSync('/proc/self/uid_map', 'utf8'),
    );
  } catch {
    return false;
  }
}

/**
 * Whether a thread may raise priorities, by its `/proc/<pid>/status` and `/proc/<pid>/uid_map`: the kernel asks for the capability in the
 * first user namespace, where all users are themselves, and not in one that a container has for itself.
 */
export function raisesPriorities(status: string, uidMap: string): boolean {
  if (!ALL_USERS.test(uidMap)) return false;
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1];
  return effective !== undefined && ((BigInt(`0x${effective}`) >> SYS_NICE_BIT) & 1n) === 1n;
}
