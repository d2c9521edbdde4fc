import assert from 'node:assert/strict';
import type { Pallium } from './pallium.ts';
import { push, writeBody } from './remote-write.ts';

/** The metrics of a server that has answered, refused and flushed: all there are. */
export async function metricsOfWork(server: Pallium): Promise<string> {
  const body = writeBody([{ labels: { __name__: 'up' }, samples: [[Date.now(), 1]] }]);
  assert.equal((await push(`${server.url}/api/v1/push`, body)).status, 204);
  await fetch(`${server.url}/api/v1/push`, { method: 'POST', body: 'no snappy' }).then((answer) => answer.text());
  await fetch(`${server.url}/api/v1/query?query=up`).then((answer) => answer.text());
  await fetch(`${server.url}/ingester/flush?wait=true`, { method: 'POST' }).then((answer) => answer.text());
  const text = await fetch(`${server.url}/metrics`).then((answer) => answer.text());
  for (const name of ['pallium_compactor_', 'pallium_ingester_', 'pallium_request_', 'nodejs_', 'process_']) {
    assert.match(text, new RegExp(`^${name}`, 'm'));
  }
  return text;
}
