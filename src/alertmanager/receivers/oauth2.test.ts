import assert from 'node:assert/strict';
import { generateKeyPairSync, verify } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { systemClock } from '../../lib/clock.ts';
import { type OAuth2, plainHttp } from '../fields/http-config.ts';
import { Firewall } from './firewall.ts';
import { HttpClient } from './http-client.ts';
import type { Answer } from './notification.ts';
import { AccessTokens } from './oauth2.ts';

const signal = new AbortController().signal;

const OAUTH2: OAuth2 = {
  clientId: 'me & you',
  clientSecret: 'top:secret',
  jwt: undefined,
  tokenUrl: 'http://tokens/token',
  scopes: ['a', 'b'],
  params: new Map([['audience', 'x']]),
  tls: plainHttp.tls,
};

function answer(status: number, body: object | string, type = 'application/json'): Answer {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return { status, headers: new Map([['content-type', type]]), body: text };
}

test('a token is asked for as Go does, kept until shortly before it ends, and asked for by parameters where a header is refused', async () => {
  let nowMs = 0;
  const asked: string[] = [];
  const answers: Answer[] = [];
  const tokens = new AccessTokens(
    async ({ method, url, headers, body }) => {
      const basic = headers?.authorization?.replace('Basic ', '') ?? '';
      asked.push([method, url, Buffer.from(basic, 'base64').toString(), body].join(' '));
      return answers.shift()!;
    },
    { monotonicMs: () => nowMs, nowMs: () => nowMs },
  );
  answers.push(answer(200, { access_token: 'one', token_type: 'bearer', expires_in: 60 }));
  assert.deepEqual(await tokens.of(OAUTH2, signal), { type: 'Bearer', text: 'one' });
  assert.deepEqual(asked.splice(0), [
    'POST http://tokens/token me+%26+you:top%3Asecret audience=x&grant_type=client_credentials&scope=a+b',
  ]);
  nowMs = 49_000;
  assert.equal((await tokens.of(OAUTH2, signal)).text, 'one');
  assert.deepEqual(asked, []);
  nowMs = 51_000;
  answers.push(answer(200, 'access_token=two&expires_in=60', 'text/plain; charset=utf-8'));
  const two = await tokens.of(OAUTH2, signal);
  assert.equal(two.text, 'two');
  tokens.forget(two);
  asked.splice(0);

  const other = { ...OAUTH2, tokenUrl: 'http://other/token' };
  answers.push(answer(401, { error: 'invalid_client' }), answer(200, { access_token: 'three' }));
  assert.equal((await tokens.of(other, signal)).text, 'three');
  assert.match(
    asked.at(-1)!,
    /^POST http:\/\/other\/token {2}audience=x&client_id=me\+%26\+you&client_secret=top%3Asecret/,
  );
  nowMs = 1e9;
  assert.equal((await tokens.of(other, signal)).text, 'three', 'the server does not say that it ends');

  for (const [wrong, text] of [
    [
      answer(400, { error: 'invalid_scope', error_description: 'top:secret' }),
      /^oauth2: cannot fetch token: status 400: invalid_scope$/,
    ],
    [answer(200, { error: 'x' }), /status 200: x$/],
    [answer(500, 'top:secret', 'text/html'), /status 500$/],
    [answer(200, {}), /missing access_token/],
    [answer(200, { access_token: 'a\r\nb' }), /missing access_token/],
    [answer(200, 'null'), /missing access_token/],
  ] as const) {
    answers.push(wrong);
    await assert.rejects(tokens.of(OAUTH2, signal), { message: text });
  }
});

test('a client may show who it is by an assertion that it signs', async () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  const jwt = {
    key: privateKey,
    keyId: 'one',
    algorithm: 'RS384',
    issuer: 'who',
    audience: 'http://tokens/',
    claims: { iss: 'other', own: [1] },
  } as const;
  const forms: URLSearchParams[] = [];
  const clock = { monotonicMs: () => 0, nowMs: () => 1_700_000_000_500 };
  const tokens = new AccessTokens(async ({ headers, body }) => {
    assert.equal(headers?.authorization, undefined);
    forms.push(new URLSearchParams(body));
    return answer(200, { access_token: `token ${forms.length}`, expires_in: 3600 });
  }, clock);
  const config: OAuth2 = { ...OAUTH2, clientSecret: '', jwt };
  assert.equal((await tokens.of(config, signal)).text, 'token 1');
  assert.equal((await tokens.of(config, signal)).text, 'token 1', 'it is kept');
  const { assertion, ...form } = Object.fromEntries(forms[0]!);
  assert.deepEqual(form, {
    grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
    scope: 'a b',
    audience: 'x',
  });
  const parts = assertion!.split('.');
  const [header, claims] = parts.slice(0, 2).map((part) => JSON.parse(Buffer.from(part, 'base64url').toString()));
  assert.deepEqual(header, { alg: 'RS384', kid: 'one', typ: 'JWT' });
  const { jti, ...told } = claims;
  assert.match(jti, /^[\da-f-]{36}$/);
  const times = { iat: 1_700_000_000, exp: 1_700_000_600 };
  assert.deepEqual(told, { aud: 'http://tokens/', ...times, iss: 'other', own: [1], scope: 'a b', sub: 'me & you' });
  const text = Buffer.from(parts.slice(0, 2).join('.'));
  assert.ok(verify('sha384', text, publicKey, Buffer.from(parts[2]!, 'base64url')));

  const again = { ...config, jwt: { ...jwt, claims: {} }, params: new Map([['grant_type', 'jwt']]) };
  assert.equal((await tokens.of(again, signal)).text, 'token 2', 'another assertion, another token');
  assert.equal(forms[1]!.get('grant_type'), 'jwt');
  const { privateKey: curve } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  for (const [wrong, message] of [
    [{ ...config, params: new Map([['assertion', 'x']]) }, 'oauth2: cannot overwrite parameter "assertion"'],
    [{ ...config, jwt: { ...jwt, key: 'x' } }, 'oauth2: client_certificate_key is no private key in PEM'],
    [{ ...config, jwt: { ...jwt, key: curve } }, 'oauth2: client_certificate_key is no RSA key'],
  ] as const) {
    await assert.rejects(tokens.of(wrong, signal), { message });
  }
});

test('notifications carry the token, go through the firewall, and answers that repeat it show it to nobody', async () => {
  const seen: string[] = [];
  let grants = 0;
  const server = createServer((request, response) => {
    seen.push(`${request.url} ${request.headers.authorization?.split(' ')[0]}`);
    if (request.url === '/token') {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ access_token: `token-${++grants}`, expires_in: 3600 }));
    } else if (request.url === '/moved') {
      response.writeHead(307, { location: '/token' }).end();
    } else {
      response.writeHead(grants === 1 ? 401 : 200);
      response.end(`you sent ${request.headers.authorization}`);
    }
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  after(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = (blocksPrivate: boolean) =>
    new HttpClient({
      firewall: new Firewall(
        () => ({ blocksPrivate, networks: [] }),
        async () => [],
      ),
      clock: systemClock,
      userAgent: 'x',
    });
  const post = (own: HttpClient, tokenUrl = `${url}/token`) =>
    own.send(
      { method: 'POST', url: `${url}/hook`, body: '{}', config: { ...plainHttp, oauth2: { ...OAUTH2, tokenUrl } } },
      signal,
    );
  const own = client(false);
  // one that is refused is not used again
  assert.deepEqual([(await post(own)).status, (await post(own)).body], [401, 'you sent Bearer <secret>']);
  await post(own);
  assert.deepEqual(seen.splice(0), ['/token Basic', '/hook Bearer', '/token Basic', '/hook Bearer', '/hook Bearer']);
  await assert.rejects(post(client(true)), /is private/);
  await assert.rejects(post(client(false), `${url}/moved`), /cannot fetch token: status 307/);
  assert.deepEqual(new Set(seen), new Set(['/moved Basic', '/moved undefined']), 'credentials follow no redirect');
});
