import type { Node } from 'yaml';
import { quoteGo } from '../../model/labels.ts';
import { ConfigError } from '../fields/config-error.ts';
import {
  duration,
  type Field,
  flag,
  noFile,
  optionalFlag,
  readFields,
  secret,
  secretUrl,
  text,
  url,
  type Values,
} from '../fields/field.ts';
import { type HttpConfig, noTls, plainHttp, readHttp, readTls } from '../fields/http-config.ts';
import type { Reading } from '../fields/reading.ts';

export interface HostPort {
  readonly host: string;
  readonly port: string;
}

export const hostPort: Field<HostPort | undefined> = {
  initial: undefined,
  read({ yaml }, node) {
    const given = yaml.string(node);
    if (given === '') return undefined;
    const parts = /^(?:\[([^\]]*)\]|([^:[\]]*)):([^:]*)$/.exec(given);
    if (parts === null) {
      const problem = given.includes(':') ? 'too many colons in address' : 'missing port in address';
      throw new ConfigError(`address ${given}: ${problem}`);
    }
    const [, bracketed, plain, port] = parts;
    if (port === '') throw new ConfigError(`address ${quoteGo(given)}: port cannot be empty`);
    return { host: bracketed ?? plain!, port: port! };
  },
};

function givenUrl(initial: string): Field<URL> {
  return { initial: new URL(initial), read: (reading, node) => url.read(reading, node) ?? new URL(initial) };
}

export const slackPostUrl = 'https://slack.com/api/chat.postMessage';

const FIELDS = {
  resolve_timeout: duration(5 * 60_000),
  http_config: { initial: plainHttp, read: readHttp } satisfies Field<HttpConfig>,
  jira_api_url: url,
  smtp_from: text(),
  smtp_hello: text('localhost'),
  smtp_smarthost: hostPort,
  smtp_auth_username: text(),
  smtp_auth_password: secret,
  smtp_auth_password_file: noFile('smtp_auth_password_file'),
  smtp_auth_secret: secret,
  smtp_auth_secret_file: noFile('smtp_auth_secret_file'),
  smtp_auth_identity: text(),
  smtp_require_tls: flag(true),
  smtp_tls_config: { initial: noTls, read: readTls } satisfies Field<typeof noTls>,
  smtp_force_implicit_tls: optionalFlag,
  slack_api_url: secretUrl,
  slack_api_url_file: noFile('slack_api_url_file'),
  slack_app_token: secret,
  slack_app_token_file: noFile('slack_app_token_file'),
  slack_app_url: givenUrl(slackPostUrl),
  pagerduty_url: givenUrl('https://events.pagerduty.com/v2/enqueue'),
  opsgenie_api_url: givenUrl('https://api.opsgenie.com/'),
  opsgenie_api_key: secret,
  opsgenie_api_key_file: noFile('opsgenie_api_key_file'),
  wechat_api_url: givenUrl('https://qyapi.weixin.qq.com/cgi-bin/'),
  wechat_api_secret: secret,
  wechat_api_secret_file: noFile('wechat_api_secret_file'),
  wechat_api_corp_id: text(),
  victorops_api_url: givenUrl('https://alert.victorops.com/integrations/generic/20131114/alert/'),
  victorops_api_key: secret,
  victorops_api_key_file: noFile('victorops_api_key_file'),
  telegram_api_url: givenUrl('https://api.telegram.org'),
  telegram_bot_token: secret,
  telegram_bot_token_file: noFile('telegram_bot_token_file'),
  webex_api_url: givenUrl('https://webexapis.com/v1/messages'),
  rocketchat_api_url: givenUrl('https://open.rocket.chat/'),
  rocketchat_token: secret,
  rocketchat_token_file: noFile('rocketchat_token_file'),
  rocketchat_token_id: secret,
  rocketchat_token_id_file: noFile('rocketchat_token_id_file'),
  mattermost_webhook_url: secretUrl,
  mattermost_webhook_url_file: noFile('mattermost_webhook_url_file'),
};

/** Settings that receivers have in common. */
export type GlobalConfig = Values<typeof FIELDS>;

/** @throws ConfigError */
export function readGlobal(reading: Reading, node: Node | null): GlobalConfig {
  return readFields(reading, node, 'config.plain', FIELDS);
}

export const defaultGlobal = Object.fromEntries(
  Object.entries(FIELDS).map(([name, { initial }]) => [name, initial]),
) as GlobalConfig;

/** @throws ConfigError */
export function checkGlobal({ slack_app_token: token, slack_api_url: url, slack_app_url: app }: GlobalConfig): void {
  if (token !== '' && url !== undefined && url.href !== app.href) {
    throw new ConfigError(
      'at most one of slack_app_token/slack_app_token_file & slack_api_url/slack_api_url_file must be configured',
    );
  }
}
