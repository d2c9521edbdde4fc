import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { threadCpuMs } from '../../lib/test-thread-cpu.ts';
import { AddressParams, type FormParams, readParams } from './form.ts';
import { parseTarget, routable, withoutDoubledSlashes } from './url.ts';

const LIMIT = { params: 10_000, limit: 'server.form_params_max' };
const NO_BODY = new Uint8Array(0);

function fromAddress(query: string): FormParams {
  return readParams({ method: 'GET', query, headers: {}, body: NO_BODY }, LIMIT) as FormParams;
}

function fromForm(body: string | Uint8Array, type?: string, query = ''): FormParams | Promise<FormParams> | undefined {
  return readParams({ method: 'POST', query, headers: { 'content-type': type }, body: Buffer.from(body) }, LIMIT);
}

test('forms and addresses are read as browsers read them', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      '&',
      '=',
      '%',
      '+',
      '%2',
      '%zz',
      '%26',
      '%ff',
      '%C3%BC',
      '%F0%9F',
      '%EF%BB%BF',
      '\0',
      'query',
      '?',
      '#',
      ';',
    ),
    fc.string({ unit: 'binary-ascii' }),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
      const text = pieces.join('').toWellFormed();
      const wanted = [...new URLSearchParams(`&${text}`)]; // it drops a `?` at the beginning
      assert.deepEqual(fromForm(text), wanted);
      assert.deepEqual(fromAddress(text), wanted);
    }),
    { numRuns: 2_000 },
  );
  // beside an escape Node cuts characters down to bytes
  assert.deepEqual(fromForm('ü%ff\ufeff=€'), [['ü\ufffd\ufeff', '€']]);
  assert.deepEqual(fromAddress('\u00c3\u00bc'), [['ü', '']], 'bytes that came as they are');
});

test('a form comes before the address, and other bodies are none', () => {
  assert.deepEqual(fromForm('a=1', 'Application/X-WWW-Form-URLencoded; charset=utf-8', 'a=2'), [
    ['a', '1'],
    ['a', '2'],
  ]);
  assert.equal(fromForm('{}', 'application/json'), undefined);
  assert.deepEqual(fromForm('', 'application/json', 'a=2'), [['a', '2']]);
  assert.equal(AddressParams.of('wait=true&wait=no').get('wait'), 'true');
  assert.equal(AddressParams.of('').get('wait'), null);
});

test('multipart forms are read, files left out', () => {
  const part = (head: string, value: string) => `--XX\r\nContent-Disposition: form-data; ${head}\r\n\r\n${value}\r\n`;
  const read = (text: string, type = 'multipart/form-data; boundary=XX') => fromForm(text, type, 'a=0');
  assert.deepEqual(read(`${part('name="query"', 'up{a="\r\nb"}')}${part('name="time"', '')}--XX--\r\n`), [
    ['a', '0'],
    ['query', 'up{a="\r\nb"}'],
    ['time', ''],
  ]);
  assert.deepEqual(read(`preamble\r\n${part('name="query"', '1')}--XX--`), [
    ['a', '0'],
    ['query', '1'],
  ]);
  assert.deepEqual(read(`${part('name="f"; filename="x"', 'no')}${part('name="b"', 'yes')}--XX--`), [
    ['a', '0'],
    ['b', 'yes'],
  ]);
  assert.deepEqual(read(part('name="q"', '7').concat('--XX--'), 'multipart/form-data; charset=x; boundary="XX"'), [
    ['a', '0'],
    ['q', '7'],
  ]);
  for (const [text, type] of [
    ['nothing'],
    [part('name="query"', '1')],
    ['--XX\r\nContent-Disposition: form-data; name="q"\r\n--XX--'],
    ['--XX'],
    ['--XX--', 'multipart/form-data'],
    ['--XX--', `multipart/form-data; boundary=${'x'.repeat(71)}`],
  ] as const)
    assert.throws(() => read(text, type), /the body is no form/, text);
});

test('parameters are bounded by a limit that is named', async () => {
  for (const [body, type] of [
    ['a&'.repeat(10_001)],
    ['&a'.repeat(5_000_000)],
    ['--X\r\n\r\n\r\n'.repeat(500_000), 'multipart/form-data; boundary=X'],
  ] as const) {
    await assert.rejects(async () => fromForm(body, type), {
      message: 'the request has more than 10000 parameters (server.form_params_max)',
    });
  }
  assert.equal((await fromForm('a&'.repeat(10_000)))?.length, 10_000);
});

test('large forms are read in linear time, and others have their turns', async () => {
  const hostile: [string, string, string?][] = [
    ['one escape after another', '%41'.repeat(3_300_000)],
    ['no UTF-8', '%ff'.repeat(3_300_000)],
    ['signs for blanks', `query=${'+'.repeat(10_000_000)}`],
    ['separators', '&'.repeat(10_000_000)],
    ['equals signs', '='.repeat(10_000_000)],
    ['three bytes each', '€'.repeat(3_300_000)],
    ['many values', `a=${'b%20'.repeat(250)}&`.repeat(9_999)],
    ['a boundary, nearly', '\r\n--X'.repeat(2_000_000), 'multipart/form-data; boundary=XY'],
    ['a line', `--X\r\n${'a'.repeat(10_000_000)}`, 'multipart/form-data; boundary=X'],
    [
      'one value',
      `--X\r\nContent-Disposition: form-data; name="a"\r\n\r\n${'a'.repeat(10_000_000)}\r\n--X--`,
      'multipart/form-data; boundary=X',
    ],
  ];
  for (const [what, body, type] of hostile) {
    const bytes = Buffer.from(body);
    // time of this thread, for others may have the processor
    let longestMs = 0;
    let lastMs = threadCpuMs();
    let done = false;
    const tick = () => {
      longestMs = Math.max(longestMs, threadCpuMs() - lastMs);
      lastMs = threadCpuMs();
      if (!done) setImmediate(tick);
    };
    setImmediate(tick);
    const startMs = threadCpuMs();
    await (async () => fromForm(bytes, type))().catch(() => {});
    done = true;
    assert.ok(threadCpuMs() - startMs < 2_000, `${what}: ${threadCpuMs() - startMs} ms`);
    assert.ok(longestMs < 100, `${what}: others waited ${longestMs} ms`);
  }
});

test('paths are decoded without loss in linear time', () => {
  const path = (text: string) => parseTarget(text).path;
  assert.equal(path('/a%2Fb%zz%'), '/a/b%zz%');
  assert.equal(path('/%ff%C3%BC%E2%82'), '/\udcffü\udce2\udc82');
  assert.equal(path('/\u00c3\u00bc'), '/ü', 'bytes that came as they are');
  assert.equal(path('/%ED%A0%80'), '/\udced\udca0\udc80');
  for (const unit of ['%ff', '%', '%E2%82', '/%zz', '%F0']) {
    const startMs = threadCpuMs();
    const url = `/${unit.repeat(10_000)}?x`;
    parseTarget(url);
    routable(url);
    assert.ok(threadCpuMs() - startMs < 1_000, unit);
  }
  assert.equal(routable(`/${'a/'.repeat(20_000)}`), '/nowhere');
  assert.equal(withoutDoubledSlashes('//api///v1/x?a=//b'), '/api/v1/x?a=//b');
  assert.equal(withoutDoubledSlashes('/api/v1?a=//b'), undefined);
});
