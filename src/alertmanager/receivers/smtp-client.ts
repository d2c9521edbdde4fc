import { connect, isIP, type Socket } from 'node:net';
import type { Clock } from '../../lib/clock.ts';
import type { Firewall } from './firewall.ts';
import { tlsOptions } from './http-client.ts';
import type { Mail, MailServer } from './mail.ts';
import { type MailSender, SendError } from './notification.ts';

const connectTimeoutMs = 10_000;

/** Sends mail through the firewall. */
export class SmtpClient implements MailSender {
  readonly #firewall: Firewall;
  readonly #clock: Clock;

  constructor(options: { readonly firewall: Firewall; readonly clock: Clock }) {
    this.#firewall = options.firewall;
    this.#clock = options.clock;
  }

  async send(server: MailServer, mail: Mail, signal: AbortSignal): Promise<void> {
    const { createTransport } = await import('nodemailer');
    const address = await this.#firewall.addressOf(server.host);
    const socket = await dial(address, server.port, this.#clock, signal);
    const onAbort = () => socket.destroy(new Error('aborted'));
    signal.addEventListener('abort', onAbort, { once: true });
    const servername = server.tls.serverName || (isIP(server.host) > 0 ? undefined : server.host);
    const transport = createTransport({
      host: server.host,
      port: server.port,
      name: server.hello,
      secure: server.isTls,
      requireTLS: server.requiresTls && !server.isTls,
      ignoreTLS: !server.requiresTls,
      tls: { ...tlsOptions(server.tls), ...(servername === undefined ? {} : { servername }) },
      connection: socket,
      disableFileAccess: true,
      disableUrlAccess: true,
      ...authOf(server),
    } as Parameters<typeof createTransport>[0]);
    try {
      await transport.sendMail(messageOf(mail, this.#clock));
    } catch (thrown) {
      if (signal.aborted) throw new SendError('context deadline exceeded', 'contextDeadlineExceeded');
      throw sendErrorOf(thrown, server);
    } finally {
      signal.removeEventListener('abort', onAbort);
      transport.close();
      socket.destroy();
    }
  }
}

async function dial(host: string, port: number, clock: Clock, signal: AbortSignal): Promise<Socket> {
  const socket = connect({ host, port });
  const stop = new AbortController();
  try {
    await Promise.race([
      new Promise<void>((resolve, reject) => {
        socket.once('connect', resolve);
        socket.once('error', reject);
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      }),
      clock.sleep(connectTimeoutMs, stop.signal).then(() => Promise.reject(new Error('timeout'))),
    ]);
    socket.removeAllListeners('error');
    return socket;
  } catch (thrown) {
    socket.destroy();
    const { code } = thrown as { code?: unknown };
    throw new SendError(`establish connection to server: ${String(code ?? 'timeout')}`);
  } finally {
    stop.abort();
  }
}

const PLAIN_WITH_IDENTITY = 'PLAIN-WITH-IDENTITY';

interface AuthContext {
  sendCommand(command: string): Promise<{ readonly status: number; readonly response: string }>;
}

function authOf({ username, password, secret, identity }: MailServer): object {
  if (username === '') return {};
  if (password !== '' && identity !== '') {
    const text = Buffer.from(`${identity}\0${username}\0${password}`).toString('base64');
    return {
      auth: { type: 'custom', method: PLAIN_WITH_IDENTITY, user: username, pass: password },
      customAuth: {
        async [PLAIN_WITH_IDENTITY]({ sendCommand }: AuthContext) {
          const { status, response } = await sendCommand(`AUTH PLAIN ${text}`);
          if (status < 200 || status > 299) throw new Error(`invalid login: ${response}`);
        },
      },
    };
  }
  if (password === '' && secret !== '') return { auth: { user: username, pass: secret }, authMethod: 'CRAM-MD5' };
  return { auth: { user: username, pass: password } };
}

function messageOf({ from, to, headers, text, html }: Mail, clock: Clock): object {
  const own = new Map(headers);
  const take = (name: string) => {
    const value = own.get(name);
    own.delete(name);
    return value;
  };
  const [headerFrom, headerTo, subject, messageId] = ['From', 'To', 'Subject', 'Message-Id'].map(take);
  return {
    envelope: { from, to },
    from: headerFrom,
    to: headerTo,
    subject,
    ...(messageId === undefined ? {} : { messageId }),
    date: new Date(clock.nowMs()),
    headers: [...own].map(([key, value]) => ({ key, value })),
    ...(text === '' ? {} : { text }),
    ...(html === '' ? {} : { html }),
  };
}

/** A server's answer is shown, but not what was sent. */
function sendErrorOf(thrown: unknown, { username, password, secret, identity }: MailServer): SendError {
  const { code, response } = thrown as { code?: unknown; response?: unknown };
  let text = `${String(code ?? 'failed')}${typeof response === 'string' ? `: ${response.slice(0, 1000)}` : ''}`;
  const sent = [identity, ''].map((each) => `${each}\0${username}\0${password}`);
  const encoded = [password, ...sent].map((each) => Buffer.from(each).toString('base64'));
  const hidden = password === '' ? [secret] : [password, secret, ...encoded];
  for (const each of hidden) if (each !== '') text = text.replaceAll(each, '<secret>');
  return new SendError(`send mail: ${text}`, code === 'EAUTH' ? 'authError' : 'other');
}
