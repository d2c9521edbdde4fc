import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Clock, systemClock } from '../../lib/clock.ts';
import type { AppError } from '../../model/errors.ts';
import { defaultsOf } from '../config/section.ts';
import { createLogger } from '../observe/log.ts';
import { Gate } from './auth.ts';
import { type AuthConfig, authConfig } from './config.ts';
import { networkOf } from './login-brake.ts';

const base = defaultsOf(authConfig);
const FILE = { usersFile: 'conf/users.yaml' };

function gateOf(config: Partial<AuthConfig>, files: Readonly<Record<string, string>> | string = ''): Gate {
  const readText = (file: string) => {
    const text = typeof files === 'string' ? files : files[file];
    if (text === undefined) throw new Error(`ENOENT: no such file, open '${file}'`);
    return text;
  };
  return Gate.of({ ...base, ...config }, { readText, clock: systemClock });
}

const basic = (pair: string) => ({ authorization: `Basic ${Buffer.from(pair).toString('base64')}` });

test('what is configured by half is refused, with its name', () => {
  const refused: [RegExp, Partial<AuthConfig>, string?][] = [
    [/^-auth\.users-file conf\/users\.yaml: users: a list of at least 1/, FILE, 'users: []'],
    [/users is missing/, FILE, '{}'],
    [/a mapping is wanted/, FILE, ''],
    [/a mapping is wanted/, FILE, '# nobody yet\n'],
    [/users: a list/, FILE, 'users:'],
    [/users: a list/, FILE, 'users: {name: ann, password: x}'],
    [/user "ann" has neither password nor token/, FILE, 'users: [{name: ann, tenants: [team-a]}]'],
    [/unknown key "pasword"/, FILE, 'users: [{name: ann, pasword: x}]'],
    [/token: a text of at least 8/, FILE, 'users: [{name: ci, token: }]'],
    [/token: a text of at least 8/, FILE, 'users: [{name: ci, token: short}]'],
    [/password: a text/, FILE, 'users: [{name: ci, password: }]'],
    [/password: a text/, FILE, 'users: [{name: ci, password: ""}]'],
    [/password: a text/, FILE, 'users: [{name: ci, password: 12345}]'],
    [/password: a text/, FILE, 'users: [{name: ci, password: "", token: "0123456789"}]'],
    [/password_file: a text/, FILE, 'users: [{name: ci, password_file: }]'],
    [/token has blanks/, FILE, 'users: [{name: ci, token: "0123 456789"}]'],
    [/name: a text/, FILE, 'users: [{name: "", password: x}]'],
    [/name: a text/, FILE, 'users: [{name: , password: x}]'],
    [/name is missing/, FILE, 'users: [{password: x}]'],
    [/name has no colon/, FILE, 'users: [{name: "a:b", password: c}]'],
    [/two users "a"/, FILE, 'users: [{name: a, password: x, tenants: [t1]}, {name: a, password: x}]'],
    [/two users "a"/, { ...FILE, basicUser: 'a', basicPassword: 'x' }, 'users: [{name: a, password: y}]'],
    [/b has the token of another/, FILE, 'users: [{name: a, token: "0123456789"}, {name: b, token: "0123456789"}]'],
    [/unknown key "__proto__"/, FILE, 'users: [{name: a, password: x, __proto__: {tenants: [z]}}]'],
    [/unknown key "__proto__"/, FILE, '{users: [{name: a, password: x}], __proto__: {x: 1}}'],
    [/Map keys must be unique/, FILE, 'users: [{name: a, password: x}]\nusers: []'],
    [/tenants: a list of at least 1/, FILE, 'users: [{name: a, password: x, tenants: []}]'],
    [/tenants: a list/, FILE, 'users: [{name: a, password: x, tenants: }]'],
    [/tenants: a list/, FILE, 'users: [{name: a, password: x, tenants: t1}]'],
    [/tenants: \[0\]: a text/, FILE, 'users: [{name: a, password: x, tenants: [""]}]'],
    [/unsupported character '\/'/, FILE, 'users: [{name: a, password: x, tenants: [a/b]}]'],
    [/rights: a list of at least 1/, FILE, 'users: [{name: a, password: x, rights: []}]'],
    [/rights: \[0\]: one of read, write, edit, admin/, FILE, 'users: [{name: a, password: x, rights: [root]}]'],
    [/right admin/, FILE, 'users: [{name: a, password: x, tenants: [t], rights: [admin]}]'],
    [
      /may name t1, but -auth\.tenancy=single/,
      { ...FILE, tenancy: 'single' },
      'users: [{name: a, password: x, tenants: [t1]}]',
    ],
    [/^-auth\.basic-user is missing/, { basicPassword: 'secret' }],
    [/^-auth\.basic-password is missing/, { basicUser: 'admin' }],
    [/basic-user: a user's name has no colon/, { basicUser: 'a:b', basicPassword: 'x' }],
    [/both given/, { basicUser: 'a', basicPassword: 'x', basicPasswordFile: 'pw' }],
    [/^-auth\.basic-password-file pw: the file is empty/, { basicUser: 'a', basicPasswordFile: 'pw' }, '\n'],
    [/^-auth\.default-tenant is empty/, { defaultTenant: '' }],
    [/^-auth\.default-tenant: .*'\/'/, { defaultTenant: 'a/b' }],
  ];
  for (const [wanted, config, text] of refused) assert.throws(() => gateOf(config, text), { message: wanted }, text);
  assert.throws(() => gateOf(FILE, {}), /^Error: -auth\.users-file conf\/users\.yaml: ENOENT/);
  assert.throws(() => gateOf({ basicUser: 'a', basicPasswordFile: 'pw' }, {}), /-auth\.basic-password-file pw: ENOENT/);
});

test('passwords and tokens may stand in files beside the users file', () => {
  const gate = gateOf(
    { ...FILE, basicUser: 'root', basicPasswordFile: '/run/pw' },
    {
      'conf/users.yaml': 'users: [{name: a, password_file: a.pw}, {name: b, token_file: /run/b}]',
      [`${process.cwd()}/conf/a.pw`]: 'secret\n',
      '/run/b': '0123456789\r\n',
      '/run/pw': 'with blank ',
    },
  );
  assert.equal(gate.identify(basic('a:secret')).name, 'a');
  assert.equal(gate.identify({ authorization: 'Bearer 0123456789' }).name, 'b');
  assert.equal(gate.identify(basic('root:with blank ')).name, 'root');
  assert.throws(() => gate.identify(basic('a:secret\n')), /authentication required/);
});

test('rights: all of them without tenants, all but admin with some, or as written', () => {
  const gate = gateOf(
    FILE,
    'users: [{name: a, password: x}, {name: b, password: x, tenants: [t]}, {name: c, password: x, rights: [write]}]',
  );
  assert.deepEqual(gate.identify(basic('a:x')).rights, ['read', 'write', 'edit', 'admin']);
  assert.deepEqual(gate.identify(basic('b:x')).rights, ['read', 'write', 'edit']);
  assert.deepEqual(gate.identify(basic('c:x')).rights, ['write']);
});

test('single holds for everyone', () => {
  const gate = gateOf(
    { ...FILE, tenancy: 'single', defaultTenant: 'one' },
    'users: [{name: a, password: x}, {name: b, password: x, tenants: [one, two]}]',
  );
  for (const user of ['a', 'b']) {
    const identity = gate.identify(basic(`${user}:x`));
    assert.equal(gate.tenant({}, identity), 'one');
    assert.throws(() => gate.tenant({ 'x-scope-orgid': 'two' }, identity), /holds only one/);
  }
});

test('failed logins are slowed by address; who was right from there before is let in', () => {
  let nowMs = 0;
  const lines: string[] = [];
  const gate = Gate.of(
    { ...base, ...FILE },
    {
      readText: () => 'users: [{name: a, password: x}, {name: b, password: y}]',
      clock: { monotonicMs: () => nowMs } as Clock,
      log: createLogger({ level: 'info', format: 'logfmt' }, { write: (line) => lines.push(line) }),
    },
  );
  const status = (pair: string, address: string) => {
    try {
      gate.identify(basic(pair), address);
      return 200;
    } catch (thrown) {
      return (thrown as AppError).facts.http;
    }
  };
  assert.equal(status('a:x', '10.0.0.1'), 200);
  for (let i = 0; i < 20; i++) assert.equal(status(`a:guess${i}`, '10.0.0.1'), 401);
  assert.equal(status('a:guess', '::ffff:10.0.0.1'), 429);
  assert.equal(status('b:y', '10.0.0.1'), 429, 'a right one is not told from a wrong one');
  assert.equal(status('a:x', '10.0.0.1'), 200);
  assert.equal(status('b:y', '10.0.0.2'), 200);
  nowMs = 1_000;
  assert.equal(status('b:y', '10.0.0.1'), 200);
  assert.equal(status('a:guess', '10.0.0.1'), 401);
  assert.equal(status('a:guess', '10.0.0.1'), 429);
  assert.equal(lines.length, 1, 'one line for all of them');
  assert.match(lines[0]!, /level=warn msg="login failed" address=10\.0\.0\.1 user=a failures=1/);
  nowMs = 20_000;
  status('secret-in-the-wrong-place', '10.0.0.1');
  assert.match(lines[1]!, /failures=21/);
  assert.doesNotMatch(lines.join(), /guess|secret/);
});

test('the table of addresses is bounded', () => {
  const gate = gateOf(FILE, 'users: [{name: a, password: x}]');
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < 50_000; i++) {
    assert.throws(() => gate.identify(basic('a:no'), `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`));
  }
  global.gc?.();
  assert.ok(process.memoryUsage().heapUsed - before < 64 << 20);
});

test('an IPv6 client is known by its network', () => {
  assert.equal(networkOf('2001:db8:1:2:3:4:5:6'), '2001:db8:1:2::/64');
  assert.equal(networkOf('2001:db8::9'), '2001:db8:0:0::/64');
  assert.equal(networkOf('::1'), '0:0:0:0::/64');
  assert.equal(networkOf('::ffff:10.1.2.3'), '10.1.2.3');
  assert.equal(networkOf('10.1.2.3'), '10.1.2.3');
});
