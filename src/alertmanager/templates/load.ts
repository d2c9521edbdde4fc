import { NotificationTemplates } from '../../template/alertmanager.ts';
import { defaultLimits } from '../../template/budget.ts';
import { TemplateError } from '../../template/parser.ts';
import { ConfigError } from '../fields/config-error.ts';
import { defaultTemplates } from './default.ts';
import { emailTemplates } from './email.ts';

/** One expansion: all tenants share a thread. */
const limits = { ...defaultLimits, stepsMax: 200_000, durationMsMax: 200, valueBytesMax: 8 << 20 };

/**
 * The built-in templates, and those of a tenant's files that its configuration names.
 * @param names with `*` for any part of a name
 * @throws ConfigError
 */
export function loadTemplates(
  files: ReadonlyMap<string, string>,
  names: readonly string[],
  nowMs: () => number,
): NotificationTemplates {
  let templates = NotificationTemplates.of(limits, nowMs)
    .with('default.tmpl', defaultTemplates)
    .with('email.tmpl', emailTemplates);
  for (const [file, text] of files) {
    if (!names.some((name) => matches(name, file))) continue;
    try {
      templates = templates.with(file, text);
    } catch (thrown) {
      throw thrown instanceof TemplateError ? new ConfigError(thrown.message) : thrown;
    }
  }
  return templates;
}

/** Only the last part of a path counts: there are no folders. */
function matches(pattern: string, file: string): boolean {
  const parts = pattern.slice(pattern.lastIndexOf('/') + 1).split('*');
  let at = 0;
  for (const [i, part] of parts.entries()) {
    const found = i === parts.length - 1 && i > 0 ? Math.max(at, file.length - part.length) : file.indexOf(part, at);
    if (found < 0 || !file.startsWith(part, found) || (i === 0 && found !== 0)) return false;
    at = found + part.length;
  }
  return at === file.length;
}
