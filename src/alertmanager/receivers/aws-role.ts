import type { HttpConfig } from '../fields/http-config.ts';
import { type AwsKeys, awsUrl, signedHeaders } from './aws-signature.ts';
import { type Answer, failed, type Notification, type Verdict, verdictOf } from './notification.ts';

export interface AwsRole {
  readonly arn: string;
  /** Empty: none. */
  readonly externalId: string;
  /** Empty: the product's name. */
  readonly sessionName: string;
  readonly tags: ReadonlyMap<string, string>;
  /** Ask the endpoint that keeps to FIPS. */
  readonly isFips: boolean;
}

type Failure = Extract<Verdict, { readonly kind: 'failed' }>;

const LIFE_SECONDS = 900;
/** Keys that end so soon are asked for anew. */
const EARLY_MS = 60_000;

/** The keys of a role that a tenant's own keys may take on, asked for once until they end. */
export class AssumedRole {
  readonly #role: AwsRole;
  readonly #own: AwsKeys;
  readonly #region: string;
  readonly #http: HttpConfig;
  #kept: { readonly keys: AwsKeys; readonly untilMs: number } | undefined;

  constructor(role: AwsRole, own: AwsKeys, region: string, http: HttpConfig) {
    this.#role = role;
    this.#own = own;
    this.#region = region;
    this.#http = http;
  }

  /** @throws SendError */
  async keys({ http, nowMs, signal }: Pick<Notification, 'http' | 'nowMs' | 'signal'>): Promise<AwsKeys | Failure> {
    if (this.#kept !== undefined && nowMs < this.#kept.untilMs) return this.#kept.keys;
    const endpoint = { service: 'sts', region: this.#region };
    const url = awsUrl(endpoint, this.#role.isFips ? 'sts-fips' : 'sts');
    const body = paramsOf(this.#role).toString();
    const headers = signedHeaders(this.#own, endpoint, new URL(url), body, nowMs);
    const answer = await http.send({ method: 'POST', url, headers, body, config: this.#http }, signal);
    const verdict = verdictOf(answer, nowMs, [], awsMessage);
    if (verdict.kind === 'failed') return { ...verdict, text: `cannot assume the role: ${verdict.text}` };
    const [accessKey, secretKey, sessionToken] = ['AccessKeyId', 'SecretAccessKey', 'SessionToken'].map(
      (name) => new RegExp(`<${name}>([!-;=?-~]+)</${name}>`).exec(answer.body)?.[1],
    );
    if (accessKey === undefined || secretKey === undefined || sessionToken === undefined) {
      return failed('cannot assume the role: the answer has no keys', { retries: true }) as Failure;
    }
    const endMs = Date.parse(/<Expiration>([^<]+)<\/Expiration>/.exec(answer.body)?.[1] ?? '');
    const untilMs = (Number.isNaN(endMs) ? nowMs + LIFE_SECONDS * 1000 : endMs) - EARLY_MS;
    const keys = { accessKey, secretKey, sessionToken };
    this.#kept = { keys, untilMs };
    return keys;
  }

  /** Keys that were refused are not used again. */
  forget(): void {
    this.#kept = undefined;
  }
}

function paramsOf({ arn, externalId, sessionName, tags }: AwsRole): URLSearchParams {
  const params = new URLSearchParams({
    Action: 'AssumeRole',
    DurationSeconds: String(LIFE_SECONDS),
    RoleArn: arn,
    RoleSessionName: sessionName || 'pallium',
    Version: '2011-06-15',
  });
  if (externalId !== '') params.set('ExternalId', externalId);
  let index = 0;
  for (const [name, value] of tags) {
    params.set(`Tags.member.${++index}.Key`, name);
    params.set(`Tags.member.${index}.Value`, value);
  }
  return params;
}

/** The text of an answer that is an error. */
export function awsMessage({ body }: Answer): string {
  return /<Message>([^<]*)<\/Message>/.exec(body)?.[1] ?? '';
}
