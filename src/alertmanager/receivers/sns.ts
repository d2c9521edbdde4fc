import { quoteGo } from '../../model/labels.ts';
import { ConfigError } from '../fields/config-error.ts';
import { type Field, flag, readFields, secret, text, textMap, unsupported, type Values } from '../fields/field.ts';
import type { HttpConfig } from '../fields/http-config.ts';
import { secretToken } from '../fields/secret.ts';
import { AssumedRole, awsMessage } from './aws-role.ts';
import { type AwsKeys, awsUrl, signedHeaders } from './aws-signature.ts';
import { receiverKind } from './kind.ts';
import { expander, failed, type Notification, type Verdict, verdictOf } from './notification.ts';

const messageBytesMax = 256 << 10;
const phoneBytesMax = 1600;
const OWN = 'a tenant has credentials of its own: access_key and secret_key';

const SIGV4 = {
  region: text(),
  access_key: text(),
  secret_key: secret,
  profile: unsupported('profile', OWN),
  role_arn: text(),
  external_id: text(),
  session_name: text(),
  tags: textMap,
  use_fips_sts_endpoint: flag(),
  service_name: unsupported('service_name', 'the service is sns'),
};

const SESSION_NAME = /^[\w+=,.@-]{2,64}$/;
const tagNameBytesMax = 128;
const tagValueBytesMax = 256;

/** As Prometheus' sigv4 does. @throws ConfigError */
function checkSigv4({ access_key, secret_key, role_arn, external_id, session_name, tags }: Values<typeof SIGV4>): void {
  if ((access_key === '') !== (secret_key === '')) {
    throw new ConfigError(
      'must provide a AWS SigV4 Access key and Secret Key if credentials are specified in the SigV4 config',
    );
  }
  if (role_arn === '') {
    const given = Object.entries({ external_id, session_name, tags: tags.size > 0 ? 'some' : '' });
    for (const [name, value] of given) {
      if (value !== '') throw new ConfigError(`${name} can only be used with role_arn`);
    }
  }
  if (session_name !== '' && !SESSION_NAME.test(session_name)) {
    throw new ConfigError(`session_name must match ${SESSION_NAME.source} (2-64 alphanumeric and +=,.@- characters)`);
  }
  for (const [name, value] of tags) {
    if (name === '') throw new ConfigError('tag key must not be empty');
    if (Buffer.byteLength(name) > tagNameBytesMax) {
      throw new ConfigError(`tag key ${quoteGo(name)} exceeds maximum length of ${tagNameBytesMax}`);
    }
    if (Buffer.byteLength(value) > tagValueBytesMax) {
      throw new ConfigError(`tag value for key ${quoteGo(name)} exceeds maximum length of ${tagValueBytesMax}`);
    }
  }
}

const FIELDS = {
  api_url: text(),
  sigv4: {
    initial: undefined,
    read: (reading, node) => readFields(reading, node, 'sigv4.plain', SIGV4, checkSigv4),
  } as Field<Values<typeof SIGV4> | undefined>,
  topic_arn: text(),
  phone_number: text(),
  target_arn: text(),
  subject: text('{{ template "sns.default.subject" . }}'),
  message: text('{{ template "sns.default.message" . }}'),
  attributes: textMap,
  use_aws_http_client: flag(),
};

type Config = Values<typeof FIELDS> & {
  readonly region: string;
  /** Keys of the tenant, or of a role that they take on. */
  readonly keys: AwsKeys | AssumedRole;
  /** Requests without other credentials. */
  readonly plain: HttpConfig;
};

/** Messages of Amazon's SNS, signed with the tenant's own keys or those of a role of its own. */
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
    const own = { accessKey: sigv4.access_key, secretKey: sigv4.secret_key, sessionToken: '' };
    const plain = {
      ...values.http,
      authorization: undefined,
      basicAuth: undefined,
      oauth2: undefined,
      // a signature is of one address
      followsRedirects: false,
    };
    const { role_arn: arn, external_id, session_name, tags, use_fips_sts_endpoint, region } = sigv4;
    const role = { arn, externalId: external_id, sessionName: session_name, tags, isFips: use_fips_sts_endpoint };
    const keys = arn === '' ? own : new AssumedRole(role, own, region, plain);
    return { ...values, region, keys, plain };
  },
  async notify(config, notification): Promise<Verdict> {
    const expand = expander(notification);
    const endpoint = { service: 'sns', region: config.region };
    const given = config.api_url === '' ? awsUrl(endpoint) : expand(config.api_url);
    const target = URL.parse(given);
    if (target === null || !/^https?:$/.test(target.protocol))
      return failed('api_url is no address', { retries: false });
    // credentials in it would take the signature's place
    target.username = '';
    target.password = '';
    const body = String(paramsOf(config, notification, expand));
    const role = config.keys instanceof AssumedRole ? config.keys : undefined;
    const keys = config.keys instanceof AssumedRole ? await config.keys.keys(notification) : config.keys;
    if ('kind' in keys) return keys;
    const answer = await notification.http.send(
      {
        method: 'POST',
        url: target.href,
        headers: signedHeaders(keys, endpoint, target, body, notification.nowMs),
        body,
        config: config.plain,
      },
      notification.signal,
    );
    if (answer.status === 403) role?.forget();
    return verdictOf(answer, notification.nowMs, [], (of) => withoutKeys(awsMessage(of), keys));
  },
});

/** Keys of a role are no secrets of the configuration. */
function withoutKeys(shown: string, { secretKey, sessionToken }: AwsKeys): string {
  return [secretKey, sessionToken].reduce(
    (left, key) => (key === '' ? left : left.replaceAll(key, secretToken)),
    shown,
  );
}

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
