// Run by Kubernetes before it ends an ingester (preStop). A pod that goes because its StatefulSet became smaller has others take its
// part of the ring first, and writes what it holds to the store; one that is only restarted does nothing of the kind, for it comes back
// with its data. Which of both it is the StatefulSet says, asked with the pod's service account (get statefulsets).
// A failure never holds the end up: what is not in the store then is in the log, in the volume.
import { readFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** An answer that asking again does not change. */
class RefusedError extends Error {}

const POLL_MS = 1_000;
const ANSWER_MS = 10_000;
const ANSWER_BYTES_MAX = 4 * 1024 * 1024;

const {
  POD_NAME = '',
  POD_NAMESPACE = 'default',
  KUBERNETES_SERVICE_HOST,
  KUBERNETES_SERVICE_PORT = '443',
  // where others are wanted: tests
  SERVICE_ACCOUNT_DIR = '/var/run/secrets/kubernetes.io/serviceaccount',
  KUBERNETES_SCHEME = 'https',
  PALLIUM_URL = 'http://127.0.0.1:9009',
  PALLIUM_TOKEN_FILE,
} = process.env;

try {
  if (await isScaledDown()) await drain();
} catch (error) {
  console.error(`pre-stop: ${error.message}`);
}

/** Whether the StatefulSet has no room for this pod any more: its number is not below `replicas`. */
async function isScaledDown() {
  const [, name, ordinal] = /^(.+)-(\d+)$/.exec(POD_NAME) ?? [];
  if (name === undefined) throw new Error(`POD_NAME is to be a name of a StatefulSet's pod: "${POD_NAME}"`);
  if (KUBERNETES_SERVICE_HOST === undefined) throw new Error('there is no KUBERNETES_SERVICE_HOST');
  const url = `${KUBERNETES_SCHEME}://${KUBERNETES_SERVICE_HOST}:${KUBERNETES_SERVICE_PORT}/apis/apps/v1/namespaces/${POD_NAMESPACE}/statefulsets/${name}`;
  const token = readFileSync(join(SERVICE_ACCOUNT_DIR, 'token'), 'utf8').trim();
  const ca = KUBERNETES_SCHEME === 'https' ? readFileSync(join(SERVICE_ACCOUNT_DIR, 'ca.crt')) : undefined;
  const { status, body } = await ask(url, { headers: { authorization: `Bearer ${token}` }, ca });
  if (status === 404) return true; // the StatefulSet itself is gone
  if (status !== 200) throw new Error(`the StatefulSet ${name} was not told: ${status} ${body.slice(0, 200)}`);
  const { metadata, spec } = JSON.parse(body);
  return metadata.deletionTimestamp !== undefined || Number(ordinal) >= (spec.replicas ?? 1);
}

/** Ends once all is in the store; Kubernetes ends it with its grace period. */
async function drain() {
  const headers =
    PALLIUM_TOKEN_FILE === undefined
      ? {}
      : { authorization: `Bearer ${readFileSync(PALLIUM_TOKEN_FILE, 'utf8').trim()}` };
  const url = `${PALLIUM_URL}/ingester/drain`;
  let asked = false;
  for (;;) {
    try {
      if (!asked) {
        const { status, body } = await ask(url, { method: 'POST', headers });
        if (status >= 400 && status < 500) throw new RefusedError(`draining was refused: ${status} ${body}`);
        asked = status < 300;
      } else {
        const { status, body } = await ask(url, { headers });
        if (status === 200 && JSON.parse(body).drained === true) return;
      }
    } catch (error) {
      if (error instanceof RefusedError) throw error;
      console.error(`pre-stop: ${error.message}`);
    }
    await sleep(POLL_MS);
  }
}

function ask(url, { method = 'GET', headers, ca }) {
  const request = url.startsWith('https:') ? httpsRequest : httpRequest;
  return new Promise((done, fail) => {
    const call = request(url, { method, headers, ca, timeout: ANSWER_MS }, (answer) => {
      let body = '';
      answer.setEncoding('utf8');
      answer.on('data', (part) => {
        body += part;
        if (body.length > ANSWER_BYTES_MAX) answer.destroy(new Error('the answer is too large'));
      });
      answer.on('end', () => done({ status: answer.statusCode, body }));
      answer.on('error', fail);
    });
    call.on('timeout', () => call.destroy(new Error(`no answer of ${url} in ${ANSWER_MS / 1000} s`)));
    call.on('error', fail);
    call.end();
  });
}
