import type { App } from './app.ts';

/** What of the process reads its files again while it runs. */
export type Reloadable = Pick<App, 'gate' | 'http' | 'admin' | 'limits' | 'log'>;

/**
 * Reads limits, users and certificates again. What is wrong keeps the state it had, and keeps nothing else from being read.
 * @returns what is wrong
 */
export async function reload({ gate, http, admin, limits, log }: Reloadable): Promise<string[]> {
  const problems: string[] = [];
  const parts: Readonly<Record<string, () => void | Promise<void>>> = {
    limits: () => limits.reload(),
    users: () => gate.reload(),
    certificates() {
      http.reload();
      admin?.reload();
    },
  };
  for (const [part, read] of Object.entries(parts)) {
    try {
      await read();
    } catch (thrown) {
      const { message } = thrown as Error;
      problems.push(message);
      log.error({ part, error: message }, 'could not be read again; it stays as it was');
    }
  }
  if (problems.length === 0) log.info('limits, users and certificates were read again');
  return problems;
}
