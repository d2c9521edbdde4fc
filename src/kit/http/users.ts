import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';
import { checkTenant } from '../../model/tenant.ts';
import { aListOf, aRecordOf, aText, expected } from '../config/record.ts';
import type { AuthConfig } from './config.ts';

/** Rights of a user: to query, to send, to delete, and to have to do with the process itself. */
export const RIGHTS = ['read', 'write', 'edit', 'admin'] as const;
export type Right = (typeof RIGHTS)[number];

/** Who asks, once that is proven. */
export interface Identity {
  readonly name: string;
  /** The tenants it may name; undefined: any. */
  readonly tenants: readonly string[] | undefined;
  readonly rights: readonly Right[];
}

/** A user, and what it presents to prove itself: `basic …`, `bearer …`. */
export interface User extends Identity {
  readonly credentials: readonly string[];
}

interface UserEntry {
  readonly name: string;
  readonly password?: string;
  readonly password_file?: string;
  readonly token?: string;
  readonly token_file?: string;
  readonly tenants?: readonly string[];
  readonly rights?: readonly Right[];
}

const TOKEN_CHARS_MIN = 8;

const usersFile = aRecordOf({
  'users!': aListOf(
    aRecordOf({
      'name!': aText(1),
      password: aText(1),
      password_file: aText(1),
      token: aText(TOKEN_CHARS_MIN),
      token_file: aText(1),
      tenants: aListOf(aText(1), 1),
      rights: aListOf(
        expected(`one of ${RIGHTS.join(', ')}`, (value) => RIGHTS.includes(value as Right)),
        1,
      ),
    }),
    1,
  ),
});

/** Reads a file's text; throws where it cannot. */
export type ReadText = (file: string) => string;
export const readTextFile: ReadText = (file) => readFileSync(file, 'utf8');

/**
 * All users, from settings and file; none at all where authentication is not configured.
 * @throws what is configured by half, with the setting's name
 */
export function readUsers(config: AuthConfig, readText: ReadText): User[] {
  const users = [...settingsUser(config, readText), ...fileUsers(config, readText)];
  const names = new Set<string>();
  const credentials = new Set<string>();
  for (const user of users) {
    if (names.has(user.name)) throw new Error(`${source(config)}: there are two users ${JSON.stringify(user.name)}`);
    names.add(user.name);
    for (const one of user.credentials) {
      if (credentials.has(one)) throw new Error(`${source(config)}: ${user.name} has the token of another user`);
      credentials.add(one);
    }
    if (config.tenancy === 'single') checkSingle(config, user);
  }
  return users;
}

/** The user of `-auth.basic-user`. */
function settingsUser(config: AuthConfig, readText: ReadText): User[] {
  const { basicUser: name, basicPassword, basicPasswordFile } = config;
  if (basicPassword && basicPasswordFile) {
    throw new Error('-auth.basic-password and -auth.basic-password-file are both given; one is wanted');
  }
  const password = basicPasswordFile
    ? secretOf('-auth.basic-password-file', basicPasswordFile, readText)
    : basicPassword;
  if (name === '' && password === '') return [];
  if (name === '') throw new Error('-auth.basic-user is missing: there is a password, but no user that has it');
  if (password === '') {
    throw new Error('-auth.basic-password is missing: -auth.basic-user names a user that has none');
  }
  checkName('-auth.basic-user', name);
  return [{ name, tenants: undefined, rights: RIGHTS, credentials: [basic(name, password)] }];
}

function fileUsers({ usersFile: file }: AuthConfig, readText: ReadText): User[] {
  if (file === '') return [];
  const where = `-auth.users-file ${file}`;
  const content = yamlOf(where, file, readText);
  const wrong = usersFile(content);
  if (wrong !== undefined) throw new Error(`${where}: ${wrong}`);
  const { users } = content as { users: readonly UserEntry[] };
  return users.map((entry) =>
    userOf(`${where}: user ${JSON.stringify(entry.name)}`, entry, path.dirname(file), readText),
  );
}

function yamlOf(where: string, file: string, readText: ReadText): unknown {
  try {
    return parse(readText(file), { maxAliasCount: 0 });
  } catch (cause) {
    throw new Error(`${where}: ${(cause as Error).message}`, { cause });
  }
}

/** @param folder where files that are named without one lie: that of the users file */
function userOf(where: string, entry: UserEntry, folder: string, readText: ReadText): User {
  const { name, tenants, rights } = entry;
  checkName(where, name);
  for (const tenant of tenants ?? []) named(where, () => checkTenant(tenant));
  if (tenants !== undefined && rights?.includes('admin')) {
    throw new Error(`${where}: the right admin is one over the whole process, and not for a user with tenants`);
  }
  const secret = (key: 'password' | 'token') => {
    const [plain, inFile] = [entry[key], entry[`${key}_file`]];
    if (plain !== undefined && inFile !== undefined) {
      throw new Error(`${where}: ${key} and ${key}_file are both given; one is wanted`);
    }
    return inFile === undefined ? plain : secretOf(`${where}: ${key}_file`, path.resolve(folder, inFile), readText);
  };
  const [password, token] = [secret('password'), secret('token')];
  if (password === undefined && token === undefined) throw new Error(`${where} has neither password nor token`);
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token)) {
    throw new Error(`${where}: its token has blanks or other characters that no header can carry`);
  }
  if (token !== undefined && token.length < TOKEN_CHARS_MIN) {
    throw new Error(`${where}: a token of at least ${TOKEN_CHARS_MIN} characters is wanted`);
  }
  return {
    name,
    tenants,
    rights: rights ?? RIGHTS.filter((right) => right !== 'admin' || tenants === undefined),
    credentials: [
      ...(password === undefined ? [] : [basic(name, password)]),
      ...(token === undefined ? [] : [`bearer ${token}`]),
    ],
  };
}

/** A colon ends the name in what a client sends, so `a:b` with password `c` would be `a` with `b:c`. */
function checkName(where: string, name: string): void {
  if (name.includes(':')) throw new Error(`${where}: a user's name has no colon`);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what it looks for
  if (/[\x00-\x1f\x7f]/.test(name)) throw new Error(`${where}: a user's name has no control characters`);
}

function checkSingle({ defaultTenant, ...config }: AuthConfig, { name, tenants }: User): void {
  if (tenants === undefined || tenants.includes(defaultTenant)) return;
  throw new Error(
    `${source(config)}: ${name} may name ${tenants.join(', ')}, but -auth.tenancy=single serves ${defaultTenant} only`,
  );
}

/** A secret that stands alone in a file; a line break at its end is not part of it. */
function secretOf(where: string, file: string, readText: ReadText): string {
  const text = named(`${where} ${file}`, () => readText(file)).replace(/\r?\n$/, '');
  if (text === '') throw new Error(`${where} ${file}: the file is empty`);
  return text;
}

function named<T>(where: string, run: () => T): T {
  try {
    return run();
  } catch (cause) {
    throw new Error(`${where}: ${(cause as Error).message}`, { cause });
  }
}

function source({ usersFile: file }: Pick<AuthConfig, 'usersFile'>): string {
  return file === '' ? '-auth.basic-user' : `-auth.users-file ${file}`;
}

function basic(user: string, password: string): string {
  return `basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}
