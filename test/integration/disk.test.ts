import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Load } from '../harness/acknowledged.ts';
import { corrupt, logSegments } from '../harness/log-files.ts';
import { Pallium, tempFolder } from '../harness/pallium.ts';
import { push, writeBody } from '../harness/remote-write.ts';
import { until } from '../harness/wait.ts';

const START_MS = Math.floor(Date.now() / 60_000) * 60_000 - 600_000;

/** A file system of its own that is soon full; undefined where that is not allowed. */
function smallDisk(mebibytes: number): string | undefined {
  const folder = tempFolder('disk');
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'tmpfs', folder], { stdio: 'ignore' });
    return folder;
  } catch {
    rmSync(folder, { recursive: true });
    return undefined;
  }
}

test('a full disk refuses writes, loses nothing that was acknowledged, and goes on when there is room', async (t) => {
  const disk = smallDisk(64);
  if (disk === undefined) return t.skip('mounting a file system is not allowed here');
  const dataDir = join(disk, 'data');
  const ballast = join(disk, 'ballast');
  const logFile = `${dataDir}.log`;
  try {
    await using server = await Pallium.start({ dataDir, flags: ['-ingester.shards=1'] });
    const refused: string[] = [];
    const load = new Load({
      url: () => server.url,
      lanes: 2,
      seriesPerLane: 20,
      startMs: START_MS,
      stepMs: 1000,
      pauseMs: 10,
      lateMs: 0,
      seed: 1,
    });
    await until('some samples', () => load.oracle.acknowledged > 1000);
    // all the room that is left
    try {
      writeFileSync(ballast, Buffer.alloc(64 << 20));
    } catch (thrown) {
      assert.equal((thrown as NodeJS.ErrnoException).code, 'ENOSPC');
    }
    const probe = writeBody([{ labels: { __name__: 'probe' }, samples: [[START_MS, 1]] }]);
    const { status, text } = await until(
      'a write to be refused',
      async () => {
        const answer = await push(`${server.url}/api/v1/push`, probe);
        return answer.status >= 300 && answer;
      },
      { timeoutMs: 180_000 },
    );
    refused.push(text);
    assert.ok(status === 503 || status === 507 || status === 500, `${status} ${text}`);
    assert.match(text, /disk|space|ENOSPC|log/i, 'the answer says why');
    assert.ok(server.alive);
    const whole = async (of: Pallium) => {
      for (let lane = 0; lane < 2; lane++) {
        const to = START_MS + 3_600_000;
        const expected = load.oracle.expected(lane, START_MS - 1, to);
        const { result } = await of.api().instant(`{lane="${lane}"}[3601s]`, to / 1000);
        assert.deepEqual(load.oracle.faults(expected, result), []);
      }
    };
    await whole(server);
    const before = load.oracle.acknowledged;
    rmSync(ballast);
    await until('writes to be taken again', () => load.oracle.acknowledged > before + 500, { timeoutMs: 180_000 });
    await load.stop();
    assert.deepEqual(load.refusals, []);
    await whole(server);
    await server.kill();
    await using again = await Pallium.start({ dataDir, flags: ['-ingester.shards=1'] });
    await whole(again);
  } catch (thrown) {
    console.log(readFileSync(logFile, 'utf8').slice(-4000));
    throw thrown;
  } finally {
    execFileSync('umount', ['-l', disk]);
  }
});

test('a record that was changed in the log loses what it held and nothing else, and that is said', async () => {
  const dataDir = tempFolder('corrupt');
  const first = await Pallium.start({ dataDir, flags: ['-ingester.shards=1'] });
  const COUNT = 400;
  for (let i = 0; i < COUNT; i++) {
    const labels = { __name__: 'm', job: 'x' };
    const body = writeBody([{ labels, samples: [[START_MS + i * 1000, i]] }]);
    assert.equal((await push(`${first.url}/api/v1/push`, body)).status, 204);
  }
  await first.kill();
  const segment = logSegments(dataDir).at(-1)!;
  cpSync(segment, `${segment}.sound`);
  const sound = statSync(segment).size;
  corrupt(segment, Math.floor(sound / 2));
  await using second = await Pallium.start({ dataDir, flags: ['-ingester.shards=1'] });
  const { result } = await second.api().instant('m[1h]', START_MS / 1000 + 3000);
  const there = new Set(result[0]!.values!.map(([, value]) => Number(value)));
  const lost = Array.from({ length: COUNT }, (_, i) => i).filter((i) => !there.has(i));
  assert.ok(lost.length >= 1 && lost.length < 20, `${lost.length} of ${COUNT} lost: ${lost.slice(0, 30)}`);
  assert.equal(lost.at(-1)! - lost[0]! + 1, lost.length, 'what is lost lies together');
  const said = /level=(warn|error).*(corrupt|damaged|checksum|skipped|lost|no record)/i;
  await until('a line in the log that says so', () => said.test(second.log()));
  const counted = /^pallium_\w*(corrupt|skipped|damaged|lost)\w*(\{.*\})? [1-9]/m;
  await until('a metric that counts it', async () => counted.test((await second.api().ask('/metrics')).text));
});
