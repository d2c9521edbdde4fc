import assert from 'node:assert/strict';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { systemClock } from '../../lib/clock.ts';
import { plainHttp } from '../fields/http-config.ts';
import { blockListOf, Firewall, type FirewallRules } from './firewall.ts';
import { HttpClient } from './http-client.ts';
import { type OutgoingRequest, SendError } from './notification.ts';

const signal = new AbortController().signal;
const strict = () => ({ blocksPrivate: true, networks: [] });
const open = () => ({ blocksPrivate: false, networks: [] });

test('addresses of the machine and its networks are refused in all their forms', async () => {
  const firewall = new Firewall(strict, async () => []);
  for (const address of [
    '127.0.0.1',
    '127.8.9.1',
    '10.1.2.3',
    '172.31.0.1',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '0.0.0.0',
    '224.0.0.1',
    '255.255.255.255',
    '[::1]',
    '[::]',
    '[fe80::1]',
    '[fd00:ec2::254]',
    '[ff02::1]',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
    '[::127.0.0.1]',
    '[64:ff9b::a9fe:a9fe]',
    '[2002:7f00:1::]',
  ]) {
    await assert.rejects(
      firewall.addressOf(address),
      /is private \(alertmanager_receivers_firewall_block_private_addresses\)/,
      address,
    );
  }
  for (const address of ['8.8.8.8', '[2606:4700::1111]', '172.32.0.1', '[::ffff:8.8.8.8]']) {
    assert.equal(await firewall.addressOf(address), address.replace(/[[\]]/g, ''));
  }
});

test('a name has the first address that is allowed, each time it is dialled', async () => {
  let addresses = ['8.8.8.8'];
  const firewall = new Firewall(strict, async () => addresses);
  assert.equal(await firewall.addressOf('name'), '8.8.8.8');
  addresses = ['127.0.0.1'];
  await assert.rejects(firewall.addressOf('name'), /127\.0\.0\.1 is private/);
  addresses = ['10.0.0.1', '9.9.9.9'];
  assert.equal(await firewall.addressOf('name'), '9.9.9.9');
  addresses = [];
  await assert.rejects(firewall.addressOf('name'), /no address of name is known/);
  const networks = new Firewall(
    () => ({ blocksPrivate: false, networks: ['8.8.0.0/16', '2001:db8::/32'] }),
    async () => [],
  );
  await assert.rejects(networks.addressOf('8.8.4.4'), /\(alertmanager_receivers_firewall_block_cidr_networks\)/);
  await assert.rejects(networks.addressOf('[::ffff:8.8.4.4]'), /block_cidr_networks/);
  assert.equal(await networks.addressOf('127.0.0.1'), '127.0.0.1');
  assert.throws(() => blockListOf(['8.8.8.8']), /is no network/);
  assert.throws(() => blockListOf(['8.8.8.8/33']), /is no network/);
});

const servers: Server[] = [];
after(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

async function listen(handle: (request: IncomingMessage, response: ServerResponse) => void): Promise<number> {
  const server = createServer(handle);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

function client(
  rules: () => FirewallRules = open,
  resolve: (host: string) => Promise<readonly string[]> = async () => ['127.0.0.1'],
) {
  return new HttpClient({ firewall: new Firewall(rules, resolve), clock: systemClock, userAgent: 'test' });
}

function request(url: string, more: Partial<OutgoingRequest> = {}): OutgoingRequest {
  const headers = { 'content-type': 'application/json' };
  return { method: 'POST', url, headers, body: '{}', config: { ...plainHttp, usesHttp2: false }, ...more };
}

test('redirects are followed, and none leads around the firewall', async () => {
  const seen: string[] = [];
  const target = await listen((incoming, response) => {
    seen.push(`${incoming.method} ${incoming.headers.host?.split(':')[0]} ${incoming.headers.authorization ?? 'none'}`);
    response.end('there');
  });
  const from = await listen((incoming, response) => {
    const status = Number(incoming.url!.slice(1));
    response.writeHead(status, { location: `http://other:${target}/` }).end();
  });
  const config = { ...plainHttp, usesHttp2: false, authorization: { type: 'Bearer', credentials: 'topsecret' } };
  for (const status of [302, 307]) {
    const answer = await client().send(request(`http://first:${from}/${status}`, { config }), signal);
    assert.equal(answer.body, 'there');
  }
  assert.deepEqual(seen, ['GET other none', 'POST other none'], 'without what only the first host may know');
  const once = { ...config, followsRedirects: false };
  assert.equal((await client().send(request(`http://first:${from}/302`, { config: once }), signal)).status, 302);
  // the name of the first address is allowed, that of the second is not
  const resolve = async (host: string) => (host === 'first' ? ['127.0.0.1'] : ['127.0.0.2']);
  const rules = () => ({ blocksPrivate: false, networks: ['127.0.0.2/32'] });
  await assert.rejects(client(rules, resolve).send(request(`http://first:${from}/302`, { config }), signal), SendError);
  await assert.rejects(client(strict).send(request(`http://first:${from}/302`), signal), /is private/);
});

test('another origin hears no header of a receiver that may be a credential', async () => {
  const seen: IncomingHttpHeaders[] = [];
  const target = await listen((incoming, response) => {
    seen.push(incoming.headers);
    response.end();
  });
  const from = await listen((incoming, response) => {
    seen.push(incoming.headers);
    response.writeHead(307, { location: `http://other:${target}/` }).end();
  });
  const secrets = { authorization: 'a', 'x-amz-security-token': 'b', 'x-auth-token': 'c', 'api-key': 'd' };
  const headers = { 'content-type': 'text/plain', ...secrets };
  await client().send(request(`http://first:${from}/`, { headers }), signal);
  for (const [name, value] of Object.entries(secrets)) {
    assert.deepEqual([seen[0]![name], seen[1]![name]], [value, undefined]);
  }
  assert.equal(seen[1]!['content-type'], 'text/plain');
});

test('a circle of redirects, an answer without end, silence: each is cut off', async () => {
  const circle = await listen((incoming, response) => {
    response.writeHead(302, { location: incoming.url! }).end();
  });
  await assert.rejects(client().send(request(`http://x:${circle}/`), signal), {
    message: 'stopped after 10 redirects',
  });
  let written = 0;
  const endless = await listen((_, response) => {
    const more = () => {
      while (!response.destroyed && response.write(Buffer.alloc(16_384, 'x'))) written += 16_384;
    };
    response.on('drain', more);
    more();
  });
  const { body } = await client().send(request(`http://x:${endless}/`), signal);
  assert.equal(body.length, 64 << 10);
  assert.ok(written < 64 << 20);
  const silent = await listen(() => {});
  await assert.rejects(client().send(request(`http://x:${silent}/`, { timeoutMs: 50 }), signal), {
    message: 'configured timeout reached (50 ms)',
  });
});

test('errors do not say the address', async () => {
  const closed = await listen(() => {});
  servers.pop()!.close();
  await assert.rejects(
    client().send(request(`http://user:topsecret@x:${closed}/topsecret?key=topsecret`), signal),
    (thrown) => thrown instanceof SendError && /ECONNREFUSED/.test(thrown.message) && !/topsecret/.test(thrown.message),
  );
});
