import fs from 'node:fs';
import os from 'node:os';

/** The priority of a thread among those that want to run: 0 is usual, 19 comes last. */
export interface Priority {
  /** False where the system did not allow it: to come down again takes a privilege. */
  set(nice: number): boolean;
}

/** The priority of the calling thread. On Linux each thread has its own; elsewhere nothing is changed. */
export function threadPriority(): Priority {
  const thread = threadId();
  return {
    set(nice) {
      if (thread === undefined) return false;
      try {
        os.setPriority(thread, nice);
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
