import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

const HOME = process.env.SERVICES_HOME ?? join(homedir(), '.cache/pallium-services');
const PROMTOOL = join(HOME, 'apps/promtool-3.16.0/promtool');

/** Why promtool cannot be asked; false where it can. */
export const promtoolMissing = existsSync(PROMTOOL) ? false : 'promtool is missing (test/services/install-promtool)';

/** The problems that `promtool check metrics` has with an exposition, a line each; empty where it ends with 0. */
export function checkMetrics(text: string): string[] {
  const { status, stdout, stderr } = spawnSync(PROMTOOL, ['check', 'metrics'], { input: text, encoding: 'utf8' });
  const lines = `${stdout}${stderr}`.split('\n').filter((line) => line !== '');
  return status === 0 || lines.length > 0 ? lines : [`it ended with ${status}`];
}
