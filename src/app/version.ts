import { readFileSync } from 'node:fs';

/** The version of the package that this file is in: two folders up in a checkout and in an installed package. */
export function readVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  return version;
}
