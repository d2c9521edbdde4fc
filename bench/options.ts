import { parseArgs } from 'node:util';

/** `--name value` of the command line over defaults; lists are separated by commas. */
export function benchOptions<T extends Record<string, string>>(defaults: T): { [K in keyof T]: string } {
  const options = Object.fromEntries(
    Object.entries(defaults).map(([name, value]) => [name, { type: 'string' as const, default: value }]),
  );
  const { values } = parseArgs({ options, allowPositionals: false });
  return values as { [K in keyof T]: string };
}

export function list(text: string): string[] {
  return text.split(',').filter((each) => each !== '');
}
