import { stringify } from 'yaml';
import { MASK, maskSecrets } from '../../lib/mask.ts';
import { commandLine } from './load.ts';
import { type ConfigOf, type Sections, type Setting, settingsInForce } from './section.ts';

/** The configuration as a file, secrets masked. `diff`: only what differs from the defaults. */
export function showConfig<S extends Sections>(
  sections: S,
  values: ConfigOf<S>,
  mode: 'all' | 'diff' | 'defaults',
): string {
  const tree: Record<string, unknown> = {};
  for (const { section, name, path, field } of settingsInForce(sections)) {
    const value =
      mode === 'defaults' ? field.default : (values as Record<string, Record<string, unknown>>)[section]?.[name];
    const shown = field.secret && value !== '' ? MASK : masked(field.print(value));
    if (mode === 'diff' && JSON.stringify(field.print(value)) === JSON.stringify(field.print(field.default))) continue;
    place(tree, path.split('.'), shown);
  }
  return Object.keys(tree).length === 0 ? '{}\n' : stringify(tree);
}

/** Every flag with its value as text, as `/api/v1/status/flags` lists them. */
export function showFlags<S extends Sections>(sections: S, values: ConfigOf<S>): Record<string, string> {
  const flags: Record<string, string> = {};
  for (const { section, name, flag, field } of settingsInForce(sections)) {
    if (flag === undefined) continue;
    const value = (values as Record<string, Record<string, unknown>>)[section]?.[name];
    flags[flag] = field.secret && value !== '' ? MASK : printed(masked(field.print(value)));
  }
  return Object.fromEntries(Object.entries(flags).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The text that `--help` prints. */
export function showHelp(sections: Sections, command: string): string {
  const lines = [
    `Usage: ${command} [flags]`,
    '',
    'Flags may have one dash or two, and stand as -flag=value or -flag value.',
    '',
  ];
  for (const [key, one] of Object.entries({ command: commandLine, ...sections })) {
    lines.push(`${one.help}:`);
    for (const setting of settingsInForce({ [key]: one })) {
      if (setting.flag === undefined) continue;
      const value = printed(setting.field.print(setting.field.default));
      lines.push(`  -${setting.flag} <${setting.field.kind}>${value === '' ? '' : `  (default ${value})`}`);
      lines.push(`        ${setting.field.help}`);
    }
    lines.push('');
  }
  return lines.join('\n');
}

/** The reference page, in Markdown. */
export function showReference(sections: Sections): string {
  const lines = [
    '# Configuration',
    '',
    'Every setting, with its key in the file of `-config.file`, its flag, and its default. This page is written by',
    '`node tools/write-reference.mjs` from the declarations in the code.',
    '',
    'Durations are written as in Prometheus (`1h30m`, `15s`, `100ms`), sizes as `512KiB`, `3GiB` or a number of bytes.',
    'Flags override the file. Unknown keys and flags are refused.',
    '',
  ];
  for (const [key, one] of Object.entries({ command: commandLine, ...sections })) {
    lines.push(`## ${one.help}`, '', '| key | flag | default | |', '|---|---|---|---|');
    for (const setting of settingsInForce({ [key]: one })) lines.push(referenceRow(setting, key === 'command'));
    lines.push('');
  }
  return lines.join('\n');
}

function referenceRow({ path, flag, field }: Setting, onlyFlag: boolean): string {
  const value = printed(field.print(field.default));
  const cells = [
    onlyFlag ? '' : `\`${path}\``,
    flag === undefined ? '' : `\`-${flag}\``,
    value === '' ? '' : `\`${value}\``,
    `${field.help} *(${field.kind.replaceAll('|', ' \\| ')})*`,
  ];
  return `| ${cells.join(' | ')} |`;
}

/** Addresses may carry a password or a token. */
export function masked(value: unknown): unknown {
  if (typeof value === 'string') return maskSecrets(value);
  if (Array.isArray(value)) return value.map(masked);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, masked(one)]));
}

function printed(value: unknown): string {
  if (Array.isArray(value)) return value.map((one) => (typeof one === 'object' ? JSON.stringify(one) : one)).join(',');
  if (typeof value === 'object' && value !== null) return Object.keys(value).length === 0 ? '' : JSON.stringify(value);
  return String(value);
}

function place(tree: Record<string, unknown>, path: string[], value: unknown): void {
  let at = tree;
  for (const part of path.slice(0, -1)) {
    at[part] ??= {};
    at = at[part] as Record<string, unknown>;
  }
  at[path.at(-1)!] = value;
}
