import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { loadConfig } from '../../src/alertmanager/config/load.ts';
import { notificationData } from '../../src/alertmanager/receivers/data.ts';
import { Firewall } from '../../src/alertmanager/receivers/firewall.ts';
import { SmtpClient } from '../../src/alertmanager/receivers/smtp-client.ts';
import { loadTemplates } from '../../src/alertmanager/templates/load.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { MAILS, type MailVector, mailReceiver, RecordingSmtp, readMail } from '../alertmanager/mails.ts';
import { toldAlerts } from '../alertmanager/told-alerts.ts';

// Mail beside that of a real Alertmanager 0.35 (`node test/alertmanager/record-mails.ts`): what is said to the server, the headers, and
// the parts as a reader sees them. How a part is encoded, and that one part alone stands in a multipart there, is left out.

const vectors: readonly MailVector[] = JSON.parse(readFileSync(new URL('data/mails.json', import.meta.url), 'utf8'));

const GROUP_KEY = '{}:{alertname="Down"}';

const smtp = await RecordingSmtp.listen();
after(() => smtp.close());
const open = { blocksPrivate: false, networks: [] };
const client = new SmtpClient({
  firewall: new Firewall(
    () => open,
    async () => [],
  ),
  clock: systemClock,
});

for (const { name, alerts, reason, dialogue } of vectors) {
  const isResolved = reason === 'all alerts resolved';
  test(`mail, ${name}: what the Alertmanager says when alerts ${isResolved ? 'are resolved' : 'fire'}`, async () => {
    smtp.auth = MAILS[name]!.auth;
    const config = loadConfig(`route: { receiver: r }\nreceivers: [${mailReceiver(name, smtp.address)}]`);
    const [integration] = config.receivers.get('r')!.integrations;
    if (isResolved) assert.equal(integration!.sendsResolved, dialogue.length > 0);
    if (dialogue.length === 0) return;
    const { nowMs, given, about } = toldAlerts({ alerts, reason });
    smtp.sessions.splice(0);
    const verdict = await integration!.notify({
      groupKey: GROUP_KEY,
      groupHash: createHash('sha256').update(GROUP_KEY).digest('hex'),
      data: notificationData(about, given),
      templates: loadTemplates(new Map(), [], () => nowMs),
      http: { send: () => assert.fail('a request') },
      mail: client,
      memory: new Map(),
      nowMs,
      signal: new AbortController().signal,
    });
    assert.deepEqual(verdict, { kind: 'sent' });
    const [said] = smtp.sessions;
    assert.deepEqual(readMail(said!), readMail(dialogue));
  });
}

test('each mail is recorded twice', () => {
  assert.deepEqual(
    vectors.map(({ name }) => name),
    Object.keys(MAILS).flatMap((name) => [name, name]),
  );
});
