import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../harness/ports.ts';
import { until } from '../harness/wait.ts';
import { MAILS, type MailVector, mailReceiver, RecordingSmtp } from './mails.ts';
import { EXTERNAL_URL, type PostedAlert } from './receivers.ts';

// Records the mail of a real Alertmanager 0.35, as `record-receivers.ts` does requests: `node test/alertmanager/record-mails.ts` writes
// test/conformance/data/mails.json.

const home = process.env.SERVICES_HOME ?? join(homedir(), '.cache/pallium-services');
const program = join(home, 'apps/alertmanager-newest-0.35.0/alertmanager');
const output = join(import.meta.dirname, '../conformance/data/mails.json');
const folder = mkdtempSync(join(tmpdir(), 'pallium-mails-'));
const smtp = await RecordingSmtp.listen();

async function settled(): Promise<string[]> {
  const isOver = () => smtp.sessions[0]?.at(-1)?.toUpperCase() === 'QUIT';
  await until('a mail', isOver, { timeoutMs: 6_000 }).catch(() => {});
  await sleep(700);
  return smtp.sessions.splice(0)[0] ?? [];
}

const vectors: MailVector[] = [];
try {
  for (const [name, { auth }] of Object.entries(MAILS)) {
    smtp.auth = auth;
    const config = join(folder, `${name}.yml`);
    const route = 'receiver: r, group_by: [alertname], group_wait: 1s, group_interval: 1s';
    writeFileSync(config, `route: { ${route} }\nreceivers: [${mailReceiver(name, smtp.address)}]\n`);
    const port = await freePort();
    const flags = [
      `--config.file=${config}`,
      `--storage.path=${join(folder, name)}`,
      `--web.listen-address=127.0.0.1:${port}`,
      `--web.external-url=${EXTERNAL_URL}`,
      '--web.route-prefix=/',
      '--cluster.listen-address=',
      '--log.level=warn',
    ];
    const process_ = spawn(program, flags, { stdio: ['ignore', 'inherit', 'inherit'] });
    try {
      const api = `http://127.0.0.1:${port}/api/v2/alerts`;
      await until('the Alertmanager', async () => (await fetch(api)).ok, { timeoutMs: 20_000 });
      const startsAt = new Date().toISOString();
      const alert = (instance: string, endsAt: string): PostedAlert => ({
        labels: { alertname: 'Down', instance, severity: 'page' },
        annotations: { summary: `<${instance}> is "down" & out` },
        startsAt,
        endsAt,
        generatorURL: 'http://prom/graph?g0.expr=up+%3D%3D+0&g0.tab=1',
      });
      const post = async (alerts: readonly PostedAlert[]) => {
        const headers = { 'content-type': 'application/json' };
        const { status } = await fetch(api, { method: 'POST', headers, body: JSON.stringify(alerts) });
        if (status !== 200) throw new Error(`alerts: ${status}`);
      };
      const firing = ['a', 'b'].map((instance) => alert(instance, '2099-01-01T00:00:00.000Z'));
      await post(firing);
      vectors.push({ name, alerts: firing, reason: 'first notification', dialogue: await settled() });
      const resolved = ['a', 'b'].map((instance) => alert(instance, new Date(Date.now() - 1000).toISOString()));
      await post(resolved);
      vectors.push({ name, alerts: resolved, reason: 'all alerts resolved', dialogue: await settled() });
      console.log(
        name,
        vectors.slice(-2).map(({ dialogue }) => dialogue.length),
      );
    } finally {
      process_.kill('SIGKILL');
    }
  }
  writeFileSync(output, `${JSON.stringify(vectors, undefined, 1)}\n`);
} finally {
  smtp.close();
  rmSync(folder, { recursive: true });
}
