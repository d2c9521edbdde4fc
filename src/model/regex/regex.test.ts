import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { RE2JS } from 're2js';
import { threadCpuMs } from '../../lib/test-thread-cpu.ts';
import { compileRegex, PausedMatch, patternLengthMax, programSizeMax, Regex, RegexSyntaxError } from './regex.ts';

/** As a shard matches: a little at a time. */
function inPieces(regex: Regex, value: string): boolean {
  let verdict = regex.match(value, { steps: 0 });
  while (verdict instanceof PausedMatch) verdict = regex.match(value, { steps: 1 }, verdict);
  return verdict;
}

function errorOf(source: string): string {
  try {
    compileRegex(source);
  } catch (thrown) {
    assert.ok(thrown instanceof RegexSyntaxError, String(thrown));
    return thrown.message;
  }
  return 'no error';
}

test('a pattern matches the whole value, line ends included', () => {
  assert.equal(compileRegex('foo').matches('foobar'), false);
  assert.equal(compileRegex('a.c').matches('a\nc'), true);
  assert.equal(compileRegex('a.*').matches('a\n\nc'), true);
  assert.equal(compileRegex('foo|bar').matches('foobar'), false);
  assert.equal(compileRegex('(?i)foo').matches('FOO'), true);
  assert.equal(compileRegex('').matches(''), true);
  assert.equal(compileRegex('').matches('a'), false);
  assert.equal(compileRegex('.').matches('😀'), true);
  assert.equal(compileRegex('.+😀').matches('😀'), false);
});

test('literals are all that can match', () => {
  const literals = (source: string) => compileRegex(source).literals?.toSorted();
  assert.deepEqual(literals('foo'), ['foo']);
  assert.deepEqual(literals(''), ['']);
  assert.deepEqual(literals('a|b|c'), ['a', 'b', 'c']);
  assert.deepEqual(literals('^(?:a|b)$'), ['a', 'b']);
  assert.deepEqual(literals('api-v[1-3](/x)?'), ['api-v1', 'api-v1/x', 'api-v2', 'api-v2/x', 'api-v3', 'api-v3/x']);
  assert.deepEqual(literals('10\\.0\\.0\\.1'), ['10.0.0.1']);
  assert.deepEqual(literals('a.c'), undefined);
  assert.deepEqual(literals('(?i)abc'), undefined);
  assert.deepEqual(literals('[^a]'), undefined);
  assert.deepEqual(literals('[^]a]'), undefined);
  assert.deepEqual(literals('[0-9][0-9][0-9]'), undefined);
});

test('a plain alternation may be long', () => {
  const values = Array.from({ length: 20_000 }, (_, i) => `instance-${i}:9090`);
  const regex = compileRegex(values.join('|'));
  assert.equal(regex.literals?.length, values.length);
  assert.equal(regex.matches('instance-19999:9090'), true);
  assert.equal(regex.matches('instance-20000:9090'), false);
});

test('alternations of literals, prefixes and suffixes need no engine, whatever their length', () => {
  const hosts = Array.from({ length: 100_000 }, (_, i) => `10\\.${i >> 16}\\.${(i >> 8) & 255}\\.${i & 255}`);
  const long = [
    [hosts.join('|'), '10.1.2.3', '10.1.200.3'],
    [`(${hosts.join('|')}):9100`, '10.1.2.3:9100', '10.1.2.3'],
    [`(?:${hosts.map((host) => `(${host})`).join('|')})`, '10.0.2.3', '10x0.2.3'],
    [hosts.map((host) => `${host}:.*`).join('|'), '10.1.2.3:80', '10.1.2.3'],
    [`(${hosts.join('|')}):.*`, '10.1.2.3:', '10.1.2.3;'],
    [hosts.map((host) => `.*-${host}`).join('|'), 'a-10.1.2.3', '10.1.2.3'],
    [`.*(${hosts.join('|')})`, '10.1.2.3', '10.1.2'],
    [`^(?:${hosts.join('|')}|rest-.*)$`, 'rest-', 'rest'],
  ] as const;
  const cpu = process.cpuUsage();
  for (const [source, right, wrong] of long) {
    const regex = compileRegex(source);
    assert.equal(regex.programSize, 0, source.slice(0, 40));
    assert.deepEqual([regex.matches(right), regex.matches(wrong)], [true, false], source.slice(0, 40));
  }
  assert.ok(process.cpuUsage(cpu).user < 10e6);
});

test('a character costs a step for each instruction at most, and a match can stop after any', () => {
  const regex = compileRegex('(?:[a-m].?|[n-z]..?|[0-9]?){600}(?:[a-c].?|[d-z]..?|[0-9]?){600}[!]');
  const value = 'k9z'.repeat(20);
  const work = { steps: 1000 };
  let pieces = 1;
  let verdict = regex.match(value, work);
  while (verdict instanceof PausedMatch) {
    assert.ok(work.steps > -2 * programSizeMax);
    work.steps = 1000;
    verdict = regex.match(value, work, verdict);
    pieces++;
  }
  assert.equal(verdict, false);
  assert.ok(pieces > 30);
});

test('errors are worded as in Go', () => {
  assert.equal(errorOf('('), 'error parsing regexp: missing closing ): `(`');
  assert.equal(errorOf('['), 'error parsing regexp: missing closing ]: `[`');
  assert.equal(errorOf('a\\'), 'error parsing regexp: trailing backslash at end of expression: ``');
  // alone it is wrong, in parentheses it would be right
  assert.equal(errorOf('a)|(b'), 'error parsing regexp: unexpected ): `a)|(b`');
  assert.equal(errorOf('*a'), 'error parsing regexp: missing argument to repetition operator: `*`');
  assert.equal(errorOf('a**'), 'error parsing regexp: invalid nested repetition operator: `**`');
  assert.equal(errorOf('(?=a)'), 'error parsing regexp: invalid or unsupported Perl syntax: `(?=`');
  assert.equal(errorOf('a.\udcff'), 'error parsing regexp: invalid UTF-8: `\udcff`');
  assert.equal(errorOf('[z-a]'), 'error parsing regexp: invalid character class range: `z-a`');
});

test('what would be large to compile is refused fast', () => {
  const startMs = threadCpuMs();
  for (const source of [
    '((a{100}){100}){100}',
    `(${'\\pL{500}'.repeat(50)}){10}`,
    `(${'x{1000}'.repeat(9000)})`,
    `${'.'.repeat(programSizeMax + 1)}`,
    '('.repeat(patternLengthMax + 1),
    '('.repeat(50_000),
    `${'('.repeat(5000)}a${')'.repeat(5000)}`,
    'a?'.repeat(50_000),
    '\\pL'.repeat(5000),
  ]) {
    assert.match(errorOf(source), /^error parsing regexp: /, source.slice(0, 40));
  }
  assert.ok(threadCpuMs() - startMs < 2000);
});

test('time is linear where backtracking would not be', () => {
  const startMs = threadCpuMs();
  assert.equal(compileRegex('(a+)+b').matches('a'.repeat(50_000)), false);
  assert.equal(compileRegex('.*a.*a.*a.*a.*a.*b').matches('a'.repeat(50_000)), false);
  assert.ok(threadCpuMs() - startMs < 2000);
});

describe('property', () => {
  const char = fc.constantFrom('a', 'b', 'c', '-', '😀', '\n');
  const value = fc.array(char, { maxLength: 6 }).map((chars) => chars.join(''));
  const atom = fc.constantFrom(
    ...[
      'a',
      'b',
      'c',
      'ab',
      '-',
      '😀',
      '.',
      '.*',
      '.+',
      '.?',
      '.*?',
      '.+?',
      'a?',
      'b*',
      'c+',
      'a??',
      '\\.',
      '\\-',
      '\\d',
    ],
    ...[
      '[ab]',
      '[^a]',
      '[a-c]',
      '[-a]',
      '[a-]',
      '[]a]',
      '[^]a]',
      '[a-b-c]',
      '\\w',
      '\\Qa.b\\E',
      '(?i:A)',
      'a{2}',
      'b{0,2}',
    ],
    ...['^', '$', '\\b', '\\z', '(ab)?', '(a|b)', '(?:a|bc|)', '(a.*)', '(?:.+b|c)', '((a|b)c)*', '[😀-😂]'],
  );
  const branch = fc.array(atom, { maxLength: 5 }).map((atoms) => atoms.join(''));
  const pattern = fc.array(branch, { minLength: 1, maxLength: 3 }).map((branches) => branches.join('|'));

  test('every way of matching agrees with the engine', () => {
    fc.assert(
      fc.property(pattern, fc.array(value, { minLength: 1, maxLength: 20 }), (source, values) => {
        const engine = RE2JS.compile(`^(?s:${source})$`);
        const regex = compileRegex(source);
        const elsewhere = Regex.of('', structuredClone(regex.plan));
        for (const candidate of [...values, ...(regex.literals ?? [])]) {
          const expected = engine.testExact(candidate);
          assert.equal(inPieces(elsewhere, candidate), expected);
          assert.equal(regex.matches(candidate), expected, `${JSON.stringify(source)} on ${JSON.stringify(candidate)}`);
          if (regex.literals !== undefined) assert.equal(regex.literals.includes(candidate), expected);
        }
      }),
      { numRuns: Number(process.env.FUZZ_RUNS ?? 2000) },
    );
  });

  test('a pattern either compiles or is refused by name', () => {
    const junk = fc.string({ unit: fc.constantFrom(...'ab|().*+?[]{}^$\\-,019dQEPpx<>:=!i😀\n') });
    fc.assert(
      fc.property(junk, value, (source, candidate) => {
        let regex: ReturnType<typeof compileRegex>;
        try {
          regex = compileRegex(source);
        } catch (thrown) {
          assert.ok(thrown instanceof RegexSyntaxError, String(thrown));
          return;
        }
        assert.equal(regex.matches(candidate), RE2JS.compile(source, RE2JS.DOTALL).testExact(candidate));
      }),
      { numRuns: Number(process.env.FUZZ_RUNS ?? 2000) },
    );
  });
});
