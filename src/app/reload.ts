import { settingsOf } from '../kit/config/section.ts';
import type { App } from './app.ts';
import { sections } from './config.ts';

/** Parts of the process that read their files again while it runs. */
export type Reloadable = Pick<App, 'config' | 'readConfig' | 'gate' | 'http' | 'admin' | 'limits' | 'parts' | 'log'>;

/**
 * Reads limits, users, certificates and the fallback of the Alertmanager again. What is wrong keeps the state it had, and keeps nothing else from being read.
 * @returns what is wrong
 */
export async function reload(app: Reloadable): Promise<string[]> {
  const { gate, http, admin, limits, parts: made, log } = app;
  const problems: string[] = [];
  const parts: Readonly<Record<string, () => void | Promise<void>>> = {
    configuration: () => reloadDefaults(app),
    limits: () => limits.reload(),
    users: () => gate.reload(),
    fallback: () => made.alertmanager?.reload(),
    async certificates() {
      // threads that listen are told of users here, whatever is wrong with certificates
      await http.reload();
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

/** Takes the section `limits` from the configuration as it is now, and says which other settings wait for the next start. */
function reloadDefaults({ config, readConfig, limits, log }: Reloadable): void {
  if (readConfig === undefined) return;
  const now = readConfig();
  limits.setDefaults(now.limits);
  const waiting = settingsOf(sections).filter(({ section, name, field }) => {
    const [before, after] = [config, now].map((from) => (from as ValuesBySection)[section]![name]);
    return section !== 'limits' && JSON.stringify(field.print(before)) !== JSON.stringify(field.print(after));
  });
  if (waiting.length === 0) return;
  log.warn(
    { settings: waiting.map(({ path }) => path).join(',') },
    'settings have changed that are read at start only',
  );
}

type ValuesBySection = Readonly<Record<string, Readonly<Record<string, unknown>>>>;
