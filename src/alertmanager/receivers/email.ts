import { quoteGo } from '../../model/labels.ts';
import { ConfigError } from '../fields/config-error.ts';
import {
  flag,
  noFile,
  optional,
  optionalFlag,
  readFields,
  secret,
  text,
  textMap,
  type Values,
} from '../fields/field.ts';
import { canonicalHeader, readTls } from '../fields/http-config.ts';
import { type GlobalConfig, hostPort } from './global.ts';
import { receiverKind } from './kind.ts';
import type { MailServer } from './mail.ts';
import { expander, sent } from './notification.ts';

const THREADING = { enabled: flag(), thread_by_date: text() };

const FIELDS = {
  to: text(),
  from: text(),
  hello: text(),
  smarthost: hostPort,
  auth_username: text(),
  auth_password: secret,
  auth_password_file: noFile('auth_password_file'),
  auth_secret: secret,
  auth_secret_file: noFile('auth_secret_file'),
  auth_identity: text(),
  headers: textMap,
  html: text('{{ template "email.default.html" . }}'),
  text: text(),
  require_tls: optionalFlag,
  tls_config: optional(readTls),
  force_implicit_tls: optionalFlag,
  threading: optional((reading, node) => readFields(reading, node, 'email.ThreadingConfig', THREADING)),
};

type Given = Values<typeof FIELDS>;

/** Mail by SMTP. */
export const email = receiverKind({
  kind: 'email',
  type: 'email',
  sendsResolved: false,
  whenMissing: 'email',
  fields: FIELDS,
  check(values) {
    const headers = canonicalHeaders(values);
    if (values.to === '') throw new ConfigError('missing to address in email config');
    if (values.threading?.enabled !== true) return;
    for (const name of ['References', 'In-Reply-To']) {
      if (!headers.has(name)) continue;
      throw new ConfigError(`conflicting configuration: threading.enabled conflicts with custom ${name} header`);
    }
    if (!['none', 'daily'].includes(values.threading.thread_by_date)) {
      throw new ConfigError("threading.thread_by_date must be either 'none' or 'daily'");
    }
  },
  complete(values, global) {
    const headers = canonicalHeaders(values);
    const from = values.from === '' ? global.smtp_from : values.from;
    const server = serverOf(values, global);
    if (from === '') throw new ConfigError('no global SMTP from set');
    if (!headers.has('Subject')) headers.set('Subject', '{{ template "email.default.subject" . }}');
    if (!headers.has('To')) headers.set('To', values.to);
    if (!headers.has('From')) headers.set('From', from);
    return { ...values, from, headers, server };
  },
  async notify(config, notification) {
    const expand = expander(notification);
    const headers = new Map([...config.headers].map(([name, value]) => [name, expand(value)]));
    if (config.threading?.enabled === true) {
      const isDaily = config.threading.thread_by_date !== 'none';
      const day = isDaily ? new Date(notification.nowMs).toISOString().slice(0, 10) : '';
      const root = `<alert-${notification.groupHash.slice(0, 16)}-${day}@alertmanager>`;
      headers.set('References', root);
      headers.set('In-Reply-To', root);
    }
    const mail = {
      from: expand(config.from),
      to: expand(config.to),
      headers,
      text: expand(config.text),
      html: config.html === '' ? '' : notification.templates.html(config.html, notification.data),
    };
    await notification.mail.send(config.server, mail, notification.signal);
    return sent;
  },
});

/** @throws ConfigError */
function canonicalHeaders({ headers }: Given): Map<string, string> {
  const canonical = new Map<string, string>();
  for (const [given, value] of headers) {
    const name = canonicalHeader(given);
    if (canonical.has(name)) throw new ConfigError(`duplicate header ${quoteGo(name)} in email config`);
    if (!/^[\x21-\x39\x3b-\x7e]{1,256}$/.test(name))
      throw new ConfigError(`invalid header ${quoteGo(name)} in email config`);
    canonical.set(name, value);
  }
  return canonical;
}

/** @throws ConfigError */
function serverOf(values: Given, global: GlobalConfig): MailServer {
  const smarthost = values.smarthost ?? global.smtp_smarthost;
  if (smarthost === undefined) throw new ConfigError('no global SMTP smarthost set');
  const port = Number(smarthost.port);
  if (!/^\d{1,5}$/.test(smarthost.port) || port > 65_535 || port === 0) {
    throw new ConfigError(`invalid port ${quoteGo(smarthost.port)} of SMTP smarthost`);
  }
  return {
    host: smarthost.host,
    port,
    hello: values.hello || global.smtp_hello,
    username: values.auth_username || global.smtp_auth_username,
    password: values.auth_password || global.smtp_auth_password,
    secret: values.auth_secret || global.smtp_auth_secret,
    identity: values.auth_identity || global.smtp_auth_identity,
    requiresTls: values.require_tls ?? global.smtp_require_tls,
    isTls: values.force_implicit_tls ?? global.smtp_force_implicit_tls ?? port === 465,
    tls: values.tls_config ?? global.smtp_tls_config,
  };
}
