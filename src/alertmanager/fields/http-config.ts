import type { Node } from 'yaml';
import { quoteGo } from '../../model/labels.ts';
import { ConfigError } from './config-error.ts';
import {
  type Field,
  flag,
  listOf,
  noFile,
  optional,
  parseUrl,
  readFields,
  secret,
  type Tree,
  text,
  textMap,
  texts,
  tree,
  unsupported,
  type Values,
} from './field.ts';
import type { Reading } from './reading.ts';

/** How requests of a receiver are made. */
export interface HttpConfig {
  readonly basicAuth: { readonly username: string; readonly password: string } | undefined;
  readonly authorization: { readonly type: string; readonly credentials: string } | undefined;
  readonly oauth2: OAuth2 | undefined;
  readonly tls: TlsConfig;
  readonly followsRedirects: boolean;
  readonly usesHttp2: boolean;
  readonly headers: ReadonlyMap<string, readonly string[]>;
}

/** Where an access token comes from. */
export interface OAuth2 {
  readonly clientId: string;
  readonly clientSecret: string;
  /** The client shows who it is by what it signs; undefined: by its secret. */
  readonly jwt: JwtGrant | undefined;
  readonly tokenUrl: string;
  readonly scopes: readonly string[];
  readonly params: ReadonlyMap<string, string>;
  readonly tls: TlsConfig;
}

/** Assertions of RFC 7523, 2.1. */
export interface JwtGrant {
  /** An RSA key in PEM. */
  readonly key: string;
  /** Empty: none. */
  readonly keyId: string;
  readonly algorithm: JwtAlgorithm;
  readonly issuer: string;
  readonly audience: string;
  /** Stand over those of the grant. */
  readonly claims: Readonly<Record<string, Tree>>;
}

export type JwtAlgorithm = (typeof JWT_ALGORITHMS)[number];
const JWT_ALGORITHMS = ['RS256', 'RS384', 'RS512'] as const;

export interface TlsConfig {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  readonly serverName: string;
  readonly skipsVerify: boolean;
  readonly minVersion: TlsVersion | undefined;
  readonly maxVersion: TlsVersion | undefined;
}

export type TlsVersion = 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3';

const TLS_VERSIONS: Readonly<Record<string, TlsVersion>> = {
  TLS10: 'TLSv1',
  TLS11: 'TLSv1.1',
  TLS12: 'TLSv1.2',
  TLS13: 'TLSv1.3',
};

const tlsVersion: Field<TlsVersion | undefined> = {
  initial: undefined,
  read({ yaml }, node) {
    const name = yaml.string(node);
    if (name === '') return undefined;
    const version = Object.hasOwn(TLS_VERSIONS, name) ? TLS_VERSIONS[name] : undefined;
    if (version === undefined) throw new ConfigError(`unknown TLS version: ${name}`);
    return version;
  },
};

export const noTls: TlsConfig = {
  ca: '',
  cert: '',
  key: '',
  serverName: '',
  skipsVerify: false,
  minVersion: undefined,
  maxVersion: undefined,
};

const REFS = 'there is no secret manager';

/** @throws ConfigError */
export function readTls(reading: Reading, node: Node | null): TlsConfig {
  const fields = {
    ca: text(),
    cert: text(),
    key: secret,
    ca_file: noFile('ca_file'),
    cert_file: noFile('cert_file'),
    key_file: noFile('key_file'),
    ca_ref: unsupported('ca_ref', REFS),
    cert_ref: unsupported('cert_ref', REFS),
    key_ref: unsupported('key_ref', REFS),
    server_name: text(),
    insecure_skip_verify: flag(),
    min_version: tlsVersion,
    max_version: tlsVersion,
  };
  const given = readFields(reading, node, 'config.plain', fields, ({ cert, key }) => {
    if (cert !== '' && key === '') {
      throw new ConfigError(
        'exactly one of key or key_file must be configured when a client certificate is configured',
      );
    }
    if (key !== '' && cert === '') {
      throw new ConfigError('exactly one of cert or cert_file must be configured when a client key is configured');
    }
  });
  return {
    ca: given.ca,
    cert: given.cert,
    key: given.key,
    serverName: given.server_name,
    skipsVerify: given.insecure_skip_verify,
    minVersion: given.min_version,
    maxVersion: given.max_version,
  };
}

export const plainHttp: HttpConfig = {
  basicAuth: undefined,
  authorization: undefined,
  oauth2: undefined,
  tls: noTls,
  followsRedirects: true,
  usesHttp2: true,
  headers: new Map(),
};

const BASIC_AUTH = {
  username: text(),
  username_file: noFile('username_file'),
  username_ref: unsupported('username_ref', REFS),
  password: secret,
  password_file: noFile('password_file'),
  password_ref: unsupported('password_ref', REFS),
};

const AUTHORIZATION = {
  type: text(),
  credentials: secret,
  credentials_file: noFile('credentials_file'),
  credentials_ref: unsupported('credentials_ref', REFS),
};

const PROXY = 'notifications go out directly';

const TLS: Field<TlsConfig> = { initial: noTls, read: readTls };
const CREDENTIALS_GRANT = 'client_credentials';
export const JWT_GRANT = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

const OAUTH2 = {
  client_id: text(),
  client_secret: secret,
  client_secret_file: noFile('client_secret_file'),
  client_secret_ref: unsupported('client_secret_ref', REFS),
  client_certificate_key_id: text(),
  client_certificate_key: secret,
  client_certificate_key_file: noFile('client_certificate_key_file'),
  client_certificate_key_ref: unsupported('client_certificate_key_ref', REFS),
  grant_type: text(),
  signature_algorithm: text(),
  iss: text(),
  audience: text(),
  claims: {
    initial: {},
    read(reading, node) {
      const given = tree.read(reading, node) ?? {};
      if (typeof given !== 'object' || Array.isArray(given)) throw new ConfigError('oauth2 claims must be a mapping');
      return given as Readonly<Record<string, Tree>>;
    },
  } satisfies Field<Readonly<Record<string, Tree>>>,
  scopes: texts,
  token_url: text(),
  endpoint_params: textMap,
  tls_config: TLS,
  proxy_url: unsupported('proxy_url', PROXY),
  no_proxy: unsupported('no_proxy', PROXY),
  proxy_from_environment: unsupported('proxy_from_environment', PROXY),
  proxy_connect_header: unsupported('proxy_connect_header', PROXY),
};

const FIELDS = {
  basic_auth: optional((reading, node) => readFields(reading, node, 'config.BasicAuth', BASIC_AUTH)),
  authorization: optional((reading, node) => readFields(reading, node, 'config.Authorization', AUTHORIZATION)),
  oauth2: optional((reading, node) => readFields(reading, node, 'config.plain', OAUTH2, checkOAuth2)),
  bearer_token: secret,
  bearer_token_file: noFile('bearer_token_file'),
  tls_config: TLS,
  follow_redirects: flag(true),
  enable_http2: flag(true),
  proxy_url: unsupported('proxy_url', PROXY),
  no_proxy: unsupported('no_proxy', PROXY),
  proxy_from_environment: unsupported('proxy_from_environment', PROXY),
  proxy_connect_header: unsupported('proxy_connect_header', PROXY),
  http_headers: { initial: new Map(), read: readHeaders } satisfies Field<ReadonlyMap<string, readonly string[]>>,
};

/** Headers that requests need for themselves, or that have a setting of their own. */
const RESERVED_HEADERS = new Set([
  'authorization',
  'host',
  'content-encoding',
  'content-length',
  'content-type',
  'user-agent',
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'www-authenticate',
  'accept-encoding',
  'x-prometheus-remote-write-version',
  'x-prometheus-remote-read-version',
  'x-prometheus-scrape-timeout-seconds',
  'transfer-encoding',
  'upgrade',
]);

const HEADER = {
  values: texts,
  secrets: listOf((reading, node) => secret.read(reading, node), 'config.Secret'),
  files: listOf((reading, node) => noFile('files').read(reading, node), 'string'),
};

function readHeaders(reading: Reading, node: Node | null): ReadonlyMap<string, readonly string[]> {
  const headers = new Map<string, readonly string[]>();
  for (const [name, value] of reading.yaml.entries(node, 'config.Headers')) {
    const canonical = canonicalHeader(name);
    if (RESERVED_HEADERS.has(name.toLowerCase()))
      throw new ConfigError(`setting header ${quoteGo(canonical)} is not allowed`);
    if (!/^[!#$%&'*+.^_`|~\w-]{1,256}$/.test(name)) throw new ConfigError(`invalid header name ${quoteGo(name)}`);
    const { values, secrets } = readFields(reading, value, 'config.Header', HEADER);
    const all = [...values, ...secrets];
    if (all.some((each) => /[\r\n\0]/.test(each))) throw new ConfigError(`invalid value of header ${quoteGo(name)}`);
    headers.set(name, all);
  }
  return headers;
}

/** Each word of a header's name with a capital. */
export function canonicalHeader(name: string): string {
  return name.toLowerCase().replace(/(?:^|-)[a-z]/g, (start) => start.toUpperCase());
}

/** @throws ConfigError */
export function readHttp(reading: Reading, node: Node | null): HttpConfig {
  const given = readFields(reading, node, 'config.plain', FIELDS, checkHttp);
  const authorization =
    given.bearer_token !== ''
      ? { type: 'Bearer', credentials: given.bearer_token }
      : given.authorization && {
          type: given.authorization.type.trim() || 'Bearer',
          credentials: given.authorization.credentials,
        };
  return {
    basicAuth: given.basic_auth,
    authorization,
    oauth2: given.oauth2 && {
      clientId: given.oauth2.client_id,
      clientSecret: given.oauth2.client_secret,
      jwt: given.oauth2.grant_type === JWT_GRANT ? jwtOf(given.oauth2) : undefined,
      tokenUrl: given.oauth2.token_url,
      scopes: given.oauth2.scopes,
      params: given.oauth2.endpoint_params,
      tls: given.oauth2.tls_config,
    },
    tls: given.tls_config,
    followsRedirects: given.follow_redirects,
    usesHttp2: given.enable_http2,
    headers: given.http_headers,
  };
}

function jwtOf(given: Values<typeof OAUTH2>): JwtGrant {
  return {
    key: given.client_certificate_key,
    keyId: given.client_certificate_key_id,
    algorithm: JWT_ALGORITHMS.find((each) => each === given.signature_algorithm) ?? 'RS256',
    issuer: given.iss || given.client_id,
    audience: given.audience || given.token_url,
    claims: given.claims,
  };
}

function checkOAuth2(given: Values<typeof OAUTH2>): void {
  const { client_id, client_secret, client_certificate_key, grant_type, signature_algorithm, token_url } = given;
  if (client_id === '') throw new ConfigError('oauth2 client_id must be configured');
  if (token_url === '') throw new ConfigError('oauth2 token_url must be configured');
  if (grant_type === JWT_GRANT) {
    if (client_certificate_key === '') {
      throw new ConfigError(
        'one of oauth2 client_certificate_key, client_certificate_key_file & client_certificate_key_ref must be configured',
      );
    }
    if (signature_algorithm !== '' && !JWT_ALGORITHMS.some((each) => each === signature_algorithm)) {
      throw new ConfigError('valid signature algorithms are RS256, RS384 and RS512');
    }
  } else {
    if (grant_type !== '' && grant_type !== CREDENTIALS_GRANT) {
      const known = `grant types are ${CREDENTIALS_GRANT} and ${JWT_GRANT}`;
      throw new ConfigError(`setting grant_type ${quoteGo(grant_type)} is not supported: ${known}`);
    }
    if (client_secret === '') {
      throw new ConfigError('one of oauth2 client_secret, client_secret_file & client_secret_ref must be configured');
    }
    const { client_certificate_key_id, iss, audience, claims } = given;
    const own = { client_certificate_key, client_certificate_key_id, signature_algorithm, iss, audience, claims };
    for (const [name, value] of Object.entries(own)) {
      const isGiven = typeof value === 'string' ? value !== '' : Object.keys(value).length > 0;
      if (isGiven) throw new ConfigError(`setting ${name} is not supported: it belongs to grant_type ${JWT_GRANT}`);
    }
  }
  parseUrl(token_url);
}

function checkHttp({ basic_auth: basic, authorization, oauth2, bearer_token: bearer }: Values<typeof FIELDS>): void {
  const problem =
    (basic !== undefined || oauth2 !== undefined) && bearer !== ''
      ? 'at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured'
      : authorization !== undefined && bearer !== ''
        ? 'authorization is not compatible with bearer_token & bearer_token_file'
        : authorization?.type.trim().toLowerCase() === 'basic'
          ? 'authorization type cannot be set to "basic", use "basic_auth" instead'
          : [basic, authorization, oauth2].filter((each) => each !== undefined).length > 1
            ? 'at most one of basic_auth, oauth2 & authorization must be configured'
            : undefined;
  if (problem !== undefined) throw new ConfigError(problem);
}

export const httpConfig: Field<HttpConfig | undefined> = optional(readHttp);
