import type { AddressInfo } from 'node:net';
import { createServer, type Server, type Socket } from 'node:net';
import type { PostedAlert } from './receivers.ts';

// Mail of the recorder's real Alertmanager, and of ours, as a server without TLS sees it.

/** Fields of `email_configs` for each recorded mail, in the flow form of YAML. SMARTHOST stands for the server's address. */
export const MAILS: Readonly<Record<string, { readonly fields: string; readonly auth: string }>> = {
  plain: {
    fields: `to: 'b@example.com, C <c@example.com>', from: 'Alerts <a@example.com>', hello: me.example.com`,
    auth: '',
  },
  text: {
    fields: `to: b@example.com, from: a@example.com, send_resolved: true, headers: { Subject: 'Dürr: {{ .CommonLabels.alertname }}', X-Own: '{{ .Status }}' }, text: "{{ range .Alerts }}.{{ .Labels.instance }} = ü\\n{{ end }}", html: '<p>{{ .CommonLabels.alertname }} & {{ len .Alerts }}</p>'`,
    auth: '',
  },
  threading: {
    fields: `to: b@example.com, from: a@example.com, html: x, threading: { enabled: true, thread_by_date: none }`,
    auth: '',
  },
  'auth-plain': {
    fields: `to: b@example.com, from: a@example.com, html: x, auth_username: me, auth_password: SECRET, auth_identity: other`,
    auth: 'PLAIN',
  },
  'auth-login': {
    fields: `to: b@example.com, from: a@example.com, html: x, auth_username: me, auth_password: SECRET`,
    auth: 'LOGIN',
  },
  'auth-cram-md5': {
    fields: `to: b@example.com, from: a@example.com, html: x, auth_username: me, auth_secret: SECRET`,
    auth: 'CRAM-MD5',
  },
};

export interface MailVector {
  readonly name: string;
  readonly alerts: readonly PostedAlert[];
  readonly reason: string;
  /** Lines of the client, the message as one; none: nothing was sent. */
  readonly dialogue: readonly string[];
}

/** The configuration of a mail's receiver. */
export function mailReceiver(name: string, smarthost: string): string {
  const { fields } = MAILS[name]!;
  return `{ name: r, email_configs: [{ ${fields}, smarthost: '${smarthost}', require_tls: false }] }`;
}

/** A mail server that takes all, and keeps what each client said. */
export class RecordingSmtp {
  readonly #server: Server;
  readonly sessions: string[][] = [];
  /** The way to authenticate that it offers; empty: none. */
  auth = '';

  private constructor() {
    this.#server = createServer((socket) => this.#serve(socket));
  }

  static async listen(): Promise<RecordingSmtp> {
    const smtp = new RecordingSmtp();
    await new Promise<void>((done) => smtp.#server.listen(0, '127.0.0.1', done));
    return smtp;
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.close();
  }

  #serve(socket: Socket): void {
    const session: string[] = [];
    this.sessions.push(session);
    let text = '';
    /** Answers to lines that are no commands. */
    const expected: string[] = [];
    let isData = false;
    const say = (line: string) => socket.write(`${line}\r\n`);
    socket.on('error', () => {});
    say('220 mail.test');
    socket.on('data', (part) => {
      text += part.toString('latin1');
      for (;;) {
        const end = text.indexOf(isData ? '\r\n.\r\n' : '\r\n');
        if (end < 0) return;
        const line = Buffer.from(text.slice(0, end), 'latin1').toString();
        text = text.slice(end + (isData ? 5 : 2));
        session.push(line);
        if (isData) {
          isData = false;
          say('250 taken');
          continue;
        }
        const next = expected.shift();
        if (next !== undefined) {
          say(next);
          continue;
        }
        const command = line.split(' ')[0]!.toUpperCase();
        if (command === 'EHLO') say(this.auth === '' ? '250 mail.test' : `250-mail.test\r\n250 AUTH ${this.auth}`);
        else if (command === 'DATA') {
          isData = true;
          say('354 go on');
        } else if (command === 'QUIT') socket.end('221 bye\r\n');
        else if (/^AUTH LOGIN$/i.test(line)) {
          expected.push('334 UGFzc3dvcmQ6', '235 welcome');
          say('334 VXNlcm5hbWU6');
        } else if (/^AUTH CRAM-MD5$/i.test(line)) {
          expected.push('235 welcome');
          say(`334 ${Buffer.from('<1.2@mail.test>').toString('base64')}`);
        } else say(command === 'AUTH' ? '235 welcome' : '250 ok');
      }
    });
  }
}

/** A mail as it is compared: what is of the moment, and how it is encoded, is left out. */
export interface ReadMail {
  readonly commands: readonly string[];
  readonly headers: Readonly<Record<string, string>>;
  readonly parts: readonly (readonly [type: string, text: string])[];
}

const OF_THE_MOMENT = ['date', 'message-id', 'mime-version'];

export function readMail(dialogue: readonly string[]): ReadMail {
  const at = dialogue.findIndex((line) => line.toUpperCase() === 'DATA') + 1;
  // a dot at a line's start is doubled on the way
  const [headers, body] = entity(
    dialogue[at]!.replace(/^\./gm, (dot, offset: number, all: string) => (all[offset + 1] === '.' ? '' : dot)),
  );
  const shown = [...headers].filter(([name]) => !OF_THE_MOMENT.includes(name) && !name.startsWith('content-'));
  return {
    commands: dialogue.filter((_, i) => i !== at),
    headers: Object.fromEntries(shown.map(([name, value]) => [name, words(value)])),
    parts: partsOf(headers, body),
  };
}

function entity(text: string): [headers: Map<string, string>, body: string] {
  const end = text.indexOf('\r\n\r\n');
  const lines = text
    .slice(0, end)
    .replace(/\r\n[ \t]+/g, ' ')
    .split('\r\n');
  const headers = lines.map((line): [string, string] => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  });
  return [new Map(headers), text.slice(end + 4)];
}

function partsOf(headers: ReadonlyMap<string, string>, body: string): [string, string][] {
  const type = headers.get('content-type') ?? 'text/plain';
  const boundary = /boundary="?([^";]+)/.exec(type)?.[1];
  if (boundary !== undefined) {
    const inside = body.split(`--${boundary}`).slice(1, -1);
    return inside.flatMap((part) => partsOf(...entity(part.replace(/^\r\n/, '').replace(/\r\n$/, ''))));
  }
  const kind = `${type.split(';')[0]} ${/charset="?([\w-]+)/.exec(type)?.[1]?.toLowerCase() ?? ''}`;
  return [
    [
      kind,
      decoded(body, headers.get('content-transfer-encoding') ?? '7bit')
        .replaceAll('\r\n', '\n')
        .trimEnd(),
    ],
  ];
}

function decoded(body: string, encoding: string): string {
  if (encoding === 'base64') return Buffer.from(body, 'base64').toString();
  return encoding === 'quoted-printable' ? unquoted(body.replace(/=\r\n/g, '')) : body;
}

function unquoted(text: string): string {
  const bytes = text.replace(/=([0-9A-F]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1').toString();
}

/** A header's value with its encoded words read. */
function words(value: string): string {
  return value
    .replace(/\?=\s+=\?/g, '?==?')
    .replace(/=\?utf-8\?([qb])\?([^?]*)\?=/gi, (_, form: string, text: string) =>
      form.toLowerCase() === 'b' ? Buffer.from(text, 'base64').toString() : unquoted(text.replaceAll('_', ' ')),
    );
}
