import { createHash, createHmac } from 'node:crypto';

/** Keys that requests to AWS are signed with. */
export interface AwsKeys {
  readonly accessKey: string;
  readonly secretKey: string;
  /** Comes with keys that end; empty: these do not. */
  readonly sessionToken: string;
}

export interface AwsEndpoint {
  readonly service: string;
  readonly region: string;
}

/** The address of a service in a region. @param host its name there, where that is another one */
export function awsUrl({ service, region }: AwsEndpoint, host = service): string {
  return `https://${host}.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}/`;
}

/** Headers of a form that is posted, with AWS' signature of version 4. */
export function signedHeaders(
  { accessKey, secretKey, sessionToken }: AwsKeys,
  { service, region }: AwsEndpoint,
  { host, pathname }: URL,
  body: string,
  nowMs: number,
): Record<string, string> {
  const time = new Date(nowMs).toISOString().replace(/[-:]|\.\d{3}/g, '');
  const day = time.slice(0, 8);
  const sent = {
    'content-type': 'application/x-www-form-urlencoded',
    'x-amz-date': time,
    ...(sessionToken === '' ? {} : { 'x-amz-security-token': sessionToken }),
  };
  // ascending by name
  const { 'content-type': type, ...own } = sent;
  const headers = Object.entries({ 'content-type': type, host, ...own });
  const names = headers.map(([name]) => name).join(';');
  const canonical = ['POST', pathname, '', ...headers.map((header) => header.join(':')), '', names, sha256(body)];
  const scope = `${day}/${region}/${service}/aws4_request`;
  const toSign = ['AWS4-HMAC-SHA256', time, scope, sha256(canonical.join('\n'))].join('\n');
  const hmac = (of: string | Buffer, text: string) => createHmac('sha256', of).update(text).digest();
  const signingKey = [region, service, 'aws4_request'].reduce<Buffer>(hmac, hmac(`AWS4${secretKey}`, day));
  const signature = hmac(signingKey, toSign).toString('hex');
  const authorization = `AWS4-HMAC-SHA256 Credential=${accessKey}/${scope}, SignedHeaders=${names}, Signature=${signature}`;
  return { ...sent, authorization };
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
