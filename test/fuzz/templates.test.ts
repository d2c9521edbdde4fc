import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { seededRandom } from '../../src/lib/random.ts';
import { defaultLimits } from '../../src/template/budget.ts';
import { TemplateError } from '../../src/template/parser.ts';
import { expandAlert } from '../../src/template/prometheus.ts';
import { Templates } from '../../src/template/templates.ts';
import { templateData } from './template-data.ts';
import { TemplateTexts } from './template-texts.ts';

const SEED = Number(process.env.SEED ?? Date.now() % 1e9);
const COUNT = Number(process.env.FUZZ_TEMPLATES ?? 3000);
const MUTATED = Number(process.env.FUZZ_MUTATED_TEMPLATES ?? 100_000);
const differencesMax = 20;
const cases = new URL('../../../shared/conformance/vectors/templates.jsonl', import.meta.url);

const hasGo = spawnSync('go', ['version']).status === 0;

interface Question {
  readonly text: string;
  readonly html: boolean;
  readonly missingKey: 'default' | 'zero' | 'error';
}

/** Output or error text. */
interface Answer {
  readonly result?: string;
  readonly error?: string;
}

function ours({ text, html, missingKey }: Question): Answer {
  const templates = Templates.of({
    functions: new Map(),
    missingKey: missingKey === 'default' ? 'invalid' : missingKey,
    limits: defaultLimits,
    nowMs: () => performance.now(),
  });
  try {
    const parsed = templates.with('t', text);
    return { result: html ? parsed.html('t', templateData) : parsed.text('t', templateData) };
  } catch (thrown) {
    if (!(thrown instanceof TemplateError)) throw thrown;
    return { error: thrown.message };
  }
}

function theirs(questions: readonly Question[]): Answer[] {
  const folder = mkdtempSync(join(tmpdir(), 'pallium-templates-'));
  try {
    const program = join(folder, 'templates');
    execFileSync('go', ['build', '-o', program, '.'], { cwd: join(import.meta.dirname, 'go-templates') });
    const input = questions.map((question) => JSON.stringify(question)).join('\n');
    const output = execFileSync(program, { input, maxBuffer: 1 << 30, timeout: 300_000, encoding: 'utf8' });
    const textOf = (base64: string | null) => (base64 === null ? undefined : Buffer.from(base64, 'base64').toString());
    return output
      .trimEnd()
      .split('\n')
      .map((line): { result: string | null; error: string | null } => JSON.parse(line))
      .map(({ result, error }) => (error === null ? { result: textOf(result) ?? '' } : { error: textOf(error) }));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Answers in which Go prints of its own memory, or breaks: nothing to compare with. */
function isIncomparable({ result, error }: Answer): boolean {
  const text = result ?? error ?? '';
  const isMemory = /0x[0-9a-fA-F]{6,}|[cC]000[0-9a-f]{6}|[01]{38,}|82463\d{7}|1400\d{10}/.test(text);
  return isMemory || /^panic:|%!.\(PANIC|exceeded maximum template depth|too (?:slow|much output)/.test(text);
}

/** Only from where they part: outputs are long. */
function firstDifference(got: Answer, want: Answer): { got: string; want: string } {
  const [g, w] = [JSON.stringify(got), JSON.stringify(want)];
  let at = 0;
  while (at < g.length && g[at] === w[at]) at++;
  const from = Math.max(0, at - 40);
  return { got: g.slice(from, at + 120), want: w.slice(from, at + 120) };
}

function compare(questions: readonly Question[]): number {
  let compared = 0;
  const differences: unknown[] = [];
  theirs(questions).forEach((want, i) => {
    if (isIncomparable(want)) return;
    const got = ours(questions[i]!);
    if (isIncomparable(got)) return;
    compared++;
    if (!isDeepStrictEqual(got, want)) differences.push({ question: questions[i], ...firstDifference(got, want) });
  });
  assert.deepEqual(differences.slice(0, differencesMax), [], `${differences.length} differ, SEED=${SEED}`);
  return compared;
}

test('random templates expand and fail as in Go', { skip: hasGo ? false : 'Go is not installed' }, (t) => {
  const random = seededRandom(SEED);
  const texts = new TemplateTexts(random, { recursion: false });
  const questions = Array.from({ length: COUNT }, (_, i): Question => {
    const html = i % 5 < 2;
    const text = html ? texts.html() : texts.text();
    const missingKey = (['default', 'zero', 'error'] as const)[Math.floor(random() * 3)]!;
    return { text: i % 4 === 3 ? texts.mutated(text) : text, html, missingKey };
  });
  const compared = compare(questions);
  t.diagnostic(`${compared} of ${COUNT} compared, SEED=${SEED}`);
  assert.ok(compared > COUNT / 2);
});

test('mutated templates crash and hang nothing', async (t) => {
  const random = seededRandom(SEED);
  const texts = new TemplateTexts(random, { recursion: true });
  const given = existsSync(cases)
    ? readFileSync(cases, 'utf8')
        .trimEnd()
        .split('\n')
        .map((line): string => JSON.parse(line).text)
    : [];
  const limits = { ...defaultLimits, stepsMax: 20_000, outputBytesMax: 1 << 16, valueBytesMax: 1 << 20 };
  let slowestMs = 0;
  for (let i = 0; i < MUTATED; i++) {
    const from = i % 3;
    const original = from === 0 ? given[i % given.length] : undefined;
    const text = texts.mutated(original ?? (from === 1 ? texts.text() : texts.html()));
    const startMs = performance.now();
    try {
      const functions = new Map();
      const nowMs = () => performance.now();
      if (from === 0) {
        await expandAlert(
          'test',
          text,
          { labels: [['job', 'node']], externalLabels: [], value: 1234.5678 },
          { timeMs: 0, externalUrl: 'http://host/base', query: async () => [], nowMs, limits },
        );
      } else {
        const templates = Templates.of({ functions, missingKey: 'zero', limits, nowMs }).with('t', text);
        if (from === 1) templates.text('t', templateData);
        else templates.html('t', templateData);
      }
    } catch (thrown) {
      assert.ok(thrown instanceof TemplateError, `SEED=${SEED} ${JSON.stringify(text)}: ${(thrown as Error).stack}`);
    }
    slowestMs = Math.max(slowestMs, performance.now() - startMs);
  }
  t.diagnostic(`${MUTATED} templates, the slowest ${Math.round(slowestMs)} ms, SEED=${SEED}`);
});
