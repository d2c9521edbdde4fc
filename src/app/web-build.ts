import { readdirSync, readFileSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';

/** The files of the pages, as `web/build.mjs` made them. */
export interface WebBuild {
  /** `index.html`, with addresses relative to the folder. */
  readonly indexHtml: string;
  /** A file by its path below the folder, as it is or compressed; undefined where there is none. */
  read(name: string, encodings: readonly Encoding[]): Promise<WebFile | undefined>;
}

export interface WebFile {
  readonly bytes: Uint8Array;
  readonly contentType: string;
  readonly encoding: Encoding | undefined;
  /** Its name changes with what is in it. */
  readonly hashed: boolean;
}

export type Encoding = 'br' | 'gzip';
const SUFFIXES: Readonly<Record<Encoding, string>> = { br: '.br', gzip: '.gz' };

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
  '.json': 'application/json',
};

const INDEX = 'index.html';

/** Folders in which builds lie: seen from a checkout's sources, and from a build of them. */
const PLACES = ['../../dist/web', '../../../web'].map((place) => path.join(import.meta.dirname, place));

/** The newest build there is; undefined where none was made. It stays the same for as long as the process runs. */
export function findWebBuild(places: readonly string[] = PLACES): WebBuild | undefined {
  const folders = places
    .flatMap((place) => namesIn(place).map((name) => path.join(place, name)))
    .filter((folder) => !path.basename(folder).startsWith('.') && isFile(path.join(folder, INDEX)))
    .sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
  return folders[0] === undefined ? undefined : buildIn(folders[0]);
}

function buildIn(folder: string): WebBuild {
  const files = new Set(
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)).replaceAll(path.sep, '/')),
  );
  return {
    indexHtml: readFileSync(path.join(folder, INDEX), 'utf8'),
    async read(name, encodings) {
      const contentType = CONTENT_TYPES[path.extname(name)];
      if (contentType === undefined || !files.has(name)) return undefined;
      const encoding = encodings.find((each) => files.has(name + SUFFIXES[each]));
      const bytes = await readFile(path.join(folder, name + (encoding === undefined ? '' : SUFFIXES[encoding])));
      return { bytes, contentType, encoding, hashed: name.startsWith('assets/') };
    },
  };
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function isFile(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false })?.isFile() ?? false;
}
