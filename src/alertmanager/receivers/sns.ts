import { createHash, createHmac } from 'node:crypto';
import { ConfigError } from '../fields/config-error.ts';
import { type Field, flag, readFields, secret, text, textMap, unsupported, type Values } from '../fields/field.ts';
import { receiverKind, type WithHttp } from './kind.ts';
import { type Answer, expander, failed, type Notification, type Verdict, verdictOf } from './notification.ts';

const messageBytesMax = 256 << 10;
const phoneBytesMax = 1600;
const OWN = 'a tenant has credentials of its own: access_key and secret_key';

const SIGV4 = {
  region: text(),
  access_key: text(),
  secret_key: secret,
  profile: unsupported('profile', OWN),
  role_arn: unsupported('role_arn', OWN),
  external_id: unsupported('external_id', OWN),
  session_name: unsupported('session_name', OWN),
  tags: unsupported('tags', OWN),
  use_fips_sts_endpoint: flag(),
  service_name: unsupported('service_name', OWN),
};

const FIELDS = {
  api_url: text(),
  sigv4: { initial: undefined, read: (reading, node) => readFields(reading, node, 'sigv4.plain', SIGV4) } as Field<
    Values<typeof SIGV4> | undefined
  >,
  topic_arn: text(),
  phone_number: text(),
  target_arn: text(),
  subject: text('{{ template "sns.default.subject" . }}'),
  message: text('{{ template "sns.default.message" . }}'),
  attributes: textMap,
  use_aws_http_client: flag(),
};

type Config = Values<typeof FIELDS> & WithHttp & { readonly keys: Values<typeof SIGV4> };

/** Messages of Amazon's SNS, signed with the tenant's own keys. */
export const sns = receiverKind({
  kind: 'sns',
  type: 'sns',
  sendsResolved: true,
  whenMissing: 'sns',
  fields: FIELDS,
  check({ topic_arn: topic, target_arn: target, phone_number: phone }) {
    if ([topic, target, phone].filter((each) => each !== '').length === 1) return;
    throw new ConfigError('must provide either a Target ARN, Topic ARN, or Phone Number for SNS config');
  },
  complete(values): Config {
    const { sigv4 } = values;
    if (sigv4 === undefined || sigv4.access_key === '' || sigv4.secret_key === '') {
      throw new ConfigError(`access_key and secret_key of sigv4 are wanted in SNS config: ${OWN}`);
    }
    if (!/^[a-z\d-]{1,50}$/.test(sigv4.region)) {
      throw new ConfigError('region not configured in sns.sigv4.region');
    }
    return { ...values, keys: sigv4 };
  },
  async notify(config, notification): Promise<Verdict> {
    const expand = expander(notification);
    const given = config.api_url === '' ? `https://sns.${config.keys.region}.amazonaws.com/` : expand(config.api_url);
    const target = URL.parse(given);
    if (target === null || !/^https?:$/.test(target.protocol))
      return failed('api_url is no address', { retries: false });
    const body = String(paramsOf(config, notification, expand));
    const headers = signed(config.keys, target, body, notification.nowMs);
    const answer = await notification.http.send(
      {
        method: 'POST',
        url: target.href,
        headers,
        body,
        config: { ...config.http, authorization: undefined, basicAuth: undefined },
      },
      notification.signal,
    );
    return verdictOf(answer, notification.nowMs, [], details);
  },
});

function paramsOf(config: Config, { groupHash }: Notification, expand: (template: string) => string): URLSearchParams {
  const params = new URLSearchParams({ Action: 'Publish', Version: '2010-03-31' });
  const topic = expand(config.topic_arn);
  if (topic !== '') params.set('TopicArn', topic);
  if (topic.endsWith('.fifo')) {
    params.set('MessageDeduplicationId', groupHash);
    params.set('MessageGroupId', groupHash);
  }
  if (config.phone_number !== '') params.set('PhoneNumber', expand(config.phone_number));
  if (config.target_arn !== '') params.set('TargetArn', expand(config.target_arn));
  const attributes = new Map([...config.attributes].map(([name, value]) => [expand(name), expand(value)]));
  const message = Buffer.from(expand(config.message));
  const bytesMax = config.phone_number === '' ? messageBytesMax : phoneBytesMax;
  if (message.length > bytesMax) attributes.set('truncated', 'true');
  // a character that is cut in two goes
  params.set(
    'Message',
    message
      .subarray(0, bytesMax)
      .toString()
      .replace(/\ufffd+$/, ''),
  );
  if (config.subject !== '') params.set('Subject', expand(config.subject));
  let index = 0;
  for (const [name, value] of attributes) {
    const entry = `MessageAttributes.entry.${++index}`;
    params.set(`${entry}.Name`, name);
    params.set(`${entry}.Value.DataType`, 'String');
    params.set(`${entry}.Value.StringValue`, value);
  }
  return params;
}

/** AWS' signature of version 4. */
export function signed(
  {
    region,
    access_key: key,
    secret_key: secretKey,
  }: Pick<Values<typeof SIGV4>, 'region' | 'access_key' | 'secret_key'>,
  { host, pathname }: URL,
  body: string,
  nowMs: number,
): Record<string, string> {
  const time = new Date(nowMs).toISOString().replace(/[-:]|\.\d{3}/g, '');
  const day = time.slice(0, 8);
  const type = 'application/x-www-form-urlencoded';
  const names = 'content-type;host;x-amz-date';
  const canonical = [
    'POST',
    pathname,
    '',
    `content-type:${type}`,
    `host:${host}`,
    `x-amz-date:${time}`,
    '',
    names,
    sha256(body),
  ];
  const scope = `${day}/${region}/sns/aws4_request`;
  const toSign = ['AWS4-HMAC-SHA256', time, scope, sha256(canonical.join('\n'))].join('\n');
  const hmac = (of: string | Buffer, text: string) => createHmac('sha256', of).update(text).digest();
  const signingKey = [region, 'sns', 'aws4_request'].reduce<Buffer>(hmac, hmac(`AWS4${secretKey}`, day));
  const signature = hmac(signingKey, toSign).toString('hex');
  const authorization = `AWS4-HMAC-SHA256 Credential=${key}/${scope}, SignedHeaders=${names}, Signature=${signature}`;
  return { 'content-type': type, 'x-amz-date': time, authorization };
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function details({ body }: Answer): string {
  return /<Message>([^<]*)<\/Message>/.exec(body)?.[1] ?? '';
}
