import { createPrivateKey, type KeyObject, randomUUID, sign } from 'node:crypto';
import { promisify } from 'node:util';
import type { JwtGrant, OAuth2 } from '../fields/http-config.ts';
import { SendError } from './notification.ts';

const LIFE_SECONDS = 600;
/** A longer key takes a core for seconds. */
const KEY_BITS_MAX = 8192;

const signed = promisify(sign);

/** A token by which a client shows who it is, as Prometheus' HTTP client makes it (RFC 7523, 3). @throws SendError */
export async function assertionOf(grant: JwtGrant, client: OAuth2, nowMs: number): Promise<string> {
  const { algorithm, keyId, issuer, audience, claims } = grant;
  const seconds = Math.floor(nowMs / 1000);
  const all = {
    aud: audience,
    exp: seconds + LIFE_SECONDS,
    iat: seconds,
    iss: issuer,
    jti: randomUUID(),
    ...(client.scopes.length > 0 && { scope: client.scopes.join(' ') }),
    sub: client.clientId,
    ...claims,
  };
  const header = { alg: algorithm, ...(keyId !== '' && { kid: keyId }), typ: 'JWT' };
  const text = [header, all].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  const signature = await signed(`sha${algorithm.slice(2)}`, Buffer.from(text), keyOf(grant));
  return `${text}.${signature.toString('base64url')}`;
}

function keyOf({ key }: JwtGrant): KeyObject {
  let parsed: KeyObject;
  try {
    parsed = createPrivateKey(key);
  } catch {
    // what OpenSSL says may repeat a part of it
    throw new SendError('oauth2: client_certificate_key is no private key in PEM', 'clientError');
  }
  const bits = parsed.asymmetricKeyDetails?.modulusLength;
  if (parsed.asymmetricKeyType !== 'rsa' || bits === undefined) {
    throw new SendError('oauth2: client_certificate_key is no RSA key', 'clientError');
  }
  if (bits > KEY_BITS_MAX) {
    throw new SendError(
      `oauth2: client_certificate_key has ${bits} bits: limit of ${KEY_BITS_MAX} exceeded`,
      'clientError',
    );
  }
  return parsed;
}
