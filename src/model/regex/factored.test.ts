import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RE2JS } from 're2js';
import { inOneGo } from '../../lib/in-one-go.ts';
import { threadCpuMs } from '../../lib/test-thread-cpu.ts';
import { Automaton } from './automaton.ts';
import { factoredProgram } from './factored.ts';
import { compileRegex } from './regex.ts';

const LIMITS = { programLengthMax: 1 << 19, costMax: 20_000 };

function programOf(source: string) {
  return inOneGo(factoredProgram(source, LIMITS));
}

/** As many alternatives as their texts, joined. */
const all = (count: number, text: (i: number) => string) => Array.from({ length: count }, (_, i) => text(i)).join('|');

/** Alternations as dashboards make them: `of` many, a value that matches and one that does not. */
const KINDS: Readonly<Record<string, readonly [of: (count: number) => string, right: string, wrong: string]>> = {
  'of any case': [(n) => `(?i:${all(n, (i) => `Host-${i}`)})`, 'hOST-77', 'host-x'],
  'of any case, flagged': [(n) => `(?i)${all(n, (i) => `Hôst-${i}`)}`, 'HÔST-77', 'HOST-77'],
  'of any case, some of them': [(n) => `(?i:${all(n, (i) => `a${i}`)})|${all(n, (i) => `b${i}`)}`, 'A77', 'B77'],
  'with dots that are not escaped': [
    (n) => all(n, (i) => `10.0.${i >> 8}.${i & 255}:9100`),
    '10-0-0-77:9100',
    '10.0.0.77',
  ],
  'names with such dots': [(n) => all(n, (i) => `host${i}.example.com`), 'host77.example.com', 'host77.example'],
  'with digits behind': [(n) => all(n, (i) => `10\\.0\\.${i >> 8}\\.${i & 255}:\\d+`), '10.0.0.77:80', '10.0.0.77:'],
  'with a group behind': [(n) => `(${all(n, (i) => `h${i}`)}):[0-9]{2,5}`, 'h77:9100', 'h77:1'],
  'with a part that may be missing': [(n) => all(n, (i) => `host-${i}(:.*)?`), 'host-77:80', 'host-77;'],
  'with one behind a group': [(n) => `(${all(n, (i) => `host-${i}`)})(:\\d+)?`, 'host-77:80', 'host-77:'],
  'with something behind': [(n) => all(n, (i) => `host-${i}.+`), 'host-77x', 'host-'],
  'with something before and behind': [(n) => all(n, (i) => `.*host-${i}.*`), 'my-host-77-x', 'my-host'],
  'a group of those': [(n) => `.*(${all(n, (i) => `host-${i}`)}).*`, 'my-host-77-x', 'my-host'],
  'with something between': [(n) => all(n, (i) => `a${i}.*b${i}`), 'a77-b77', 'a77-b'],
  'of all shapes': [
    (n) => all(n, (i) => [`h-${i}`, `h-${i}.*`, `.*-${i}`, `(?i:h-${i})`, `h\\.${i}`, `(h|(i|j))-${i}`][i % 6]!),
    'j-77',
    'k.77',
  ],
  'groups in groups': [
    (n) => `dc-(((${all(n, (i) => `a${i}`)})|(?:x-(${all(n, (i) => `b${i}`)})))-[a-z]+)`,
    'dc-x-b77-q',
    'dc-b77-q',
  ],
  'two groups': [(n) => `(${all(n, (i) => `a${i}`)})-(${all(n, (i) => `b${i}`)})`, 'a77-b5', 'a77-a5'],
  pods: [(n) => all(n, (i) => `app-${i}-[a-z0-9]{8,10}-[a-z0-9]{5}`), 'app-77-7d9f8c6b5-x2k4p', 'app-77-7d9f8c6b5'],
  'pods by words': [(n) => `(${all(n, (i) => `app-${i}`)})-\\w+-\\w+`, 'app-77-x-y', 'app-77-x'],
  quoted: [(n) => all(n, (i) => `\\Qhost-${i}.x\\E`), 'host-77.x', 'host-77-x'],
  'by code': [(n) => all(n, (i) => `host\\x2d${i}`), 'host-77', 'host 77'],
  named: [(n) => `(?P<host>${all(n, (i) => `host-${i}`)})`, 'host-77', 'host'],
  'between ends': [(n) => all(n, (i) => `^host-${i}$`), 'host-77', 'host-77\n'],
  'between bounds of words': [(n) => `\\b(${all(n, (i) => `host-${i}`)})\\b`, 'host-77', 'host-'],
};

test('alternations of many values are never too large, however they are written', () => {
  for (const [kind, [of, right, wrong]] of Object.entries(KINDS)) {
    for (const count of [100, 20_000]) {
      const regex = compileRegex(of(count));
      assert.deepEqual([regex.matches(right), regex.matches(wrong)], [true, false], `${kind}, ${count}`);
    }
  }
});

test('programs say the same as the engine', () => {
  const texts = fc.constantFrom(
    ...'a b c ab ba ac aab host 1 12 2 é ß s K'.split(' '),
    'a\\.b',
    '\\Qa.\\E',
    '\\x61',
    '{',
    '-',
  );
  const loops = fc.constantFrom(
    '.',
    '.*',
    '.+',
    '\\d+',
    '[ab]',
    '[^a]+',
    '[ab]{1,2}',
    'a?',
    'b*',
    'c{2}',
    '\\w',
    '\\b',
    '^',
    '$',
    '(?i:B)',
  );
  const piece = fc.letrec<{ part: string; branch: string; group: string }>((tie) => ({
    part: fc.oneof({ maxDepth: 3 }, { weight: 5, arbitrary: texts }, { weight: 2, arbitrary: loops }, tie('group')),
    branch: fc.array(tie('part'), { maxLength: 4 }).map((parts) => parts.join('')),
    group: fc
      .tuple(
        fc.constantFrom('(', '(?:', '(?i:', '(?s-i:', '(?P<n>'),
        fc.array(tie('branch'), { minLength: 1, maxLength: 4 }),
        fc.constantFrom('', '', '?', '*', '+', '{2}', '{0,2}', '{1,}', '*?'),
      )
      .map(([open, branches, repeat]) => `${open}${branches.join('|')})${repeat}`),
  }));
  const pattern = fc
    .tuple(fc.constantFrom('', '', '(?i)', '(?m)', '(?-s)'), fc.array(piece.branch, { minLength: 1, maxLength: 6 }))
    .map(([flags, branches]) => flags + branches.join('|'));
  const value = fc
    .array(fc.constantFrom(...'abcABK12-. éÉsſKß\n{'.split(''), 'host', 'ab', 'aa'), { maxLength: 6 })
    .map((chars) => chars.join(''));
  let understood = 0;
  let count = 0;
  fc.assert(
    fc.property(pattern, fc.array(value, { minLength: 1, maxLength: 12 }), (source, values) => {
      let engine: RE2JS;
      try {
        engine = RE2JS.compile(`^(?s:${source})$`);
        RE2JS.compile(source, RE2JS.DOTALL);
      } catch {
        return; // what the engine refuses is its to say
      }
      count++;
      const program = programOf(source);
      if (program === undefined) return;
      understood++;
      const automaton = new Automaton(structuredClone(program));
      for (const each of values) {
        const said = automaton.match(each, { steps: Number.POSITIVE_INFINITY });
        assert.equal(said, engine.testExact(each), `${JSON.stringify(source)} on ${JSON.stringify(each)}`);
      }
    }),
    { numRuns: Number(process.env.FUZZ_RUNS ?? 2000) },
  );
  assert.ok(understood > count / 2, `${understood} of ${count} understood`);
});

test('what is large when it is written out stays refused', () => {
  for (const source of [
    '((a{100}){100}){100}',
    `(${'\\pL{500}'.repeat(50)}){10}`,
    `(${'x{1000}'.repeat(9000)})`,
    '.'.repeat(20_001),
    'a?'.repeat(50_000),
    '\\pL'.repeat(5000),
    `(?:${all(30_000, (i) => `[a${String.fromCodePoint(0x4e00 + i)}]x`)})`,
    `.*(?:${all(30_000, (i) => `.b${i}.*c${i}`)})`,
  ]) {
    assert.equal(programOf(source), undefined, source.slice(0, 40));
  }
});

test('what is no pattern is not read as one', () => {
  for (const source of [
    '(',
    ')',
    'a)|(b',
    '[a',
    'a**',
    '*',
    '(?<n>a)(?<n>b)',
    'a{1001}',
    '(?=a)',
    '\\',
    '\\8',
    '{2}',
  ]) {
    assert.equal(programOf(source), undefined, source);
  }
});

test('3 MB of alternatives are a program in seconds, with turns for others', () => {
  for (const kind of [
    'of any case',
    'with dots that are not escaped',
    'with a part that may be missing',
    'of all shapes',
  ]) {
    const [of, right, wrong] = KINDS[kind]!;
    const source = of(Math.ceil((3 << 20) / (of(2000).length / 2000)));
    const cpu = process.cpuUsage();
    let longestMs = 0;
    const work = factoredProgram(source, LIMITS);
    for (;;) {
      const startMs = threadCpuMs();
      const { done, value: program } = work.next();
      longestMs = Math.max(longestMs, threadCpuMs() - startMs);
      if (done !== true) continue;
      const automaton = new Automaton(program!);
      const matches = (value: string) => automaton.match(value, { steps: Number.POSITIVE_INFINITY });
      assert.deepEqual([matches(right), matches(wrong)], [true, false], kind);
      break;
    }
    assert.ok(process.cpuUsage(cpu).user < 20e6, kind);
    assert.ok(longestMs < 1000, `${kind}: ${longestMs} ms in one go`);
  }
});
