import { connect, isIP, type Socket } from 'node:net';
import type { Readable } from 'node:stream';
import type { Transport } from 'nodemailer';
import type SMTPConnection from 'nodemailer/lib/smtp-connection';
import type { SMTPConnectionAuth, SMTPEnvelope } from 'nodemailer/lib/smtp-connection';
import { type Clock, timeout } from '../../lib/clock.ts';
import type { Firewall } from './firewall.ts';
import { tlsOptions } from './http-client.ts';
import type { Mail, MailServer } from './mail.ts';
import { type MailSender, SendError } from './notification.ts';

const connectTimeoutMs = 10_000;
/** Time that a server has to answer a goodbye. */
const QUIT_MS_MAX = 2_000;

/** Sends mail through the firewall. */
export class SmtpClient implements MailSender {
  readonly #firewall: Firewall;
  readonly #clock: Clock;

  constructor(options: { readonly firewall: Firewall; readonly clock: Clock }) {
    this.#firewall = options.firewall;
    this.#clock = options.clock;
  }

  async send(server: MailServer, mail: Mail, signal: AbortSignal): Promise<void> {
    const [{ createTransport }, { default: SMTPConnection }] = await Promise.all([
      import('nodemailer'),
      import('nodemailer/lib/smtp-connection'),
    ]);
    const address = await this.#firewall.addressOf(server.host);
    const socket = await dial(address, server.port, this.#clock, signal);
    const onAbort = () => socket.destroy(new Error('aborted'));
    signal.addEventListener('abort', onAbort, { once: true });
    const servername = server.tls.serverName || (isIP(server.host) > 0 ? undefined : server.host);
    const { auth, ...custom } = authOf(server);
    const connection = new SMTPConnection({
      host: server.host,
      port: server.port,
      name: server.hello,
      secure: server.isTls,
      requireTLS: server.requiresTls && !server.isTls,
      ignoreTLS: !server.requiresTls,
      tls: { ...tlsOptions(server.tls), ...(servername === undefined ? {} : { servername }) },
      connection: socket,
      ...custom,
    } as ConstructorParameters<typeof SMTPConnection>[0]);
    try {
      const transport = createTransport(
        {
          name: 'smtp',
          version: '1',
          send({ message }, done) {
            const envelope = message.getEnvelope();
            said(connection, { envelope, stream: message.createReadStream() }, auth).then(
              () => done(null, { envelope, messageId: message.messageId() }),
              (error: Error) => done(error),
            );
          },
        } satisfies Transport,
        { disableFileAccess: true, disableUrlAccess: true },
      );
      await transport.sendMail(messageOf(mail, this.#clock));
      await this.#quit(connection);
    } catch (thrown) {
      if (signal.aborted) throw new SendError('context deadline exceeded', 'contextDeadlineExceeded');
      throw sendErrorOf(thrown, server);
    } finally {
      signal.removeEventListener('abort', onAbort);
      connection.close();
      socket.destroy();
    }
  }

  /** Says goodbye; the mail is taken, whatever comes of it. */
  async #quit(connection: SMTPConnection): Promise<void> {
    const limit = timeout(this.#clock, QUIT_MS_MAX);
    const over = Promise.withResolvers<void>();
    limit.signal.addEventListener('abort', () => over.resolve(), { once: true });
    connection.on('error', over.resolve);
    connection.once('end', over.resolve);
    try {
      connection.quit();
      await over.promise;
    } finally {
      limit.cancel();
    }
  }
}

/** Says a mail over a connection. */
async function said(
  connection: SMTPConnection,
  { envelope, stream }: { readonly envelope: SMTPEnvelope; readonly stream: Readable },
  auth: SMTPConnectionAuth | undefined,
): Promise<void> {
  const over = Promise.withResolvers<void>();
  const step = (next: () => void) => (error?: Error | null) => (error ? over.reject(error) : next());
  connection.once('error', over.reject);
  connection.once('end', () => over.reject(new Error('Connection closed')));
  const send = () => connection.send(envelope, stream, step(over.resolve));
  const begin = () => (auth !== undefined && connection.allowsAuth ? connection.login(auth, step(send)) : send());
  connection.connect(step(begin));
  await over.promise;
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

interface Auth {
  readonly auth?: SMTPConnectionAuth;
  readonly customAuth?: Readonly<Record<string, (context: AuthContext) => Promise<void>>>;
}

function authOf({ username, password, secret, identity }: MailServer): Auth {
  if (username === '') return {};
  const authWith = (type: string, method: string | false, pass: string) => {
    return { type, user: username, credentials: { user: username, pass, options: undefined }, method };
  };
  if (password !== '' && identity !== '') {
    const text = Buffer.from(`${identity}\0${username}\0${password}`).toString('base64');
    return {
      auth: authWith('CUSTOM', PLAIN_WITH_IDENTITY, password),
      customAuth: {
        async [PLAIN_WITH_IDENTITY]({ sendCommand }: AuthContext) {
          const { status, response } = await sendCommand(`AUTH PLAIN ${text}`);
          if (status < 200 || status > 299) throw new Error(`invalid login: ${response}`);
        },
      },
    };
  }
  if (password === '' && secret !== '') return { auth: authWith('LOGIN', 'CRAM-MD5', secret) };
  return { auth: authWith('LOGIN', false, password) };
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
