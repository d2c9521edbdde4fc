import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { systemClock } from '../../lib/clock.ts';
import { noTls } from '../fields/http-config.ts';
import { Firewall } from './firewall.ts';
import type { MailServer } from './mail.ts';
import { SendError } from './notification.ts';
import { SmtpClient } from './smtp-client.ts';

const servers: SMTPServer[] = [];
after(() => servers.map((server) => server.close(() => {})));

async function listen(options: SMTPServerOptions): Promise<{ readonly port: number; readonly received: string[] }> {
  const received: string[] = [];
  const server = new SMTPServer({
    ...options,
    onData(stream, session, callback) {
      const parts: Buffer[] = [];
      stream.on('data', (part: Buffer) => parts.push(part));
      stream.on('end', () => {
        const { mailFrom, rcptTo } = session.envelope;
        const from = mailFrom === false ? '' : mailFrom.address;
        received.push(`${from} > ${rcptTo.map(({ address }) => address).join()}\n${Buffer.concat(parts)}`);
        callback();
      });
    },
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  return { port: (server.server.address() as AddressInfo).port, received };
}

const mail = {
  from: 'a@x',
  to: 'b@y, c@z',
  headers: new Map([
    ['Subject', 'é is down'],
    ['From', 'a@x'],
    ['To', 'b@y, c@z'],
    ['X-Own', '1'],
  ]),
  text: 'plain',
  html: '<b>html</b>',
};

function serverAt(port: number, more: Partial<MailServer> = {}): MailServer {
  return {
    host: 'mail.test',
    port,
    hello: 'me.test',
    username: '',
    password: '',
    secret: '',
    identity: '',
    requiresTls: false,
    isTls: false,
    tls: { ...noTls, skipsVerify: true },
    ...more,
  };
}

const signal = new AbortController().signal;
const client = (blocksPrivate = false) =>
  new SmtpClient({
    firewall: new Firewall(
      () => ({ blocksPrivate, networks: [] }),
      async () => ['127.0.0.1'],
    ),
    clock: systemClock,
  });

test('mail goes out in both forms, with its headers', async () => {
  const { port, received } = await listen({ authOptional: true, disabledCommands: ['STARTTLS', 'AUTH'] });
  await client().send(serverAt(port), mail, signal);
  const [message] = received;
  assert.match(message!, /^a@x > b@y,c@z\n/);
  assert.match(message!, /^Subject: =\?UTF-8\?Q\?=C3=A9_is_down\?=/im);
  assert.match(message!, /^X-Own: 1\r$/m);
  assert.match(message!, /multipart\/alternative/);
  assert.match(message!, /<b>html<\/b>/);
});

test('with STARTTLS and a password; a server’s refusal says nothing of it', async () => {
  const { port, received } = await listen({
    onAuth({ username, password }, _, callback) {
      if (username === 'u' && password === 'topsecret') callback(null, { user: 'u' });
      else callback(new Error(`wrong: ${password}`));
    },
  });
  await client().send(serverAt(port, { requiresTls: true, username: 'u', password: 'topsecret' }), mail, signal);
  assert.equal(received.length, 1);
  await assert.rejects(
    client().send(serverAt(port, { requiresTls: true, username: 'u', password: 'othersecret' }), mail, signal),
    (thrown) => thrown instanceof SendError && thrown.reason === 'authError' && !thrown.message.includes('othersecret'),
  );
});

test('where TLS is required a server without it gets nothing; private addresses neither', async () => {
  const { port, received } = await listen({ authOptional: true, disabledCommands: ['STARTTLS', 'AUTH'] });
  await assert.rejects(client().send(serverAt(port, { requiresTls: true }), mail, signal), SendError);
  await assert.rejects(client(true).send(serverAt(port), mail, signal), /is private/);
  assert.deepEqual(received, []);
});
