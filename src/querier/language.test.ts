import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultsOf } from '../kit/config/section.ts';
import { AppError } from '../model/errors.ts';
import { querierConfig } from './config.ts';
import { checkLanguage, languageOf } from './language.ts';

const usual = defaultsOf(querierConfig);

test('what a querier evaluates by is told apart from what it needs for it', () => {
  const own = languageOf(usual);
  const alike = [{ workers: 7 }, { workerHeapMb: 64 }, { timeoutMs: 1 }, { enablePromqlExperimentalFunctions: true }];
  for (const other of alike) assert.deepEqual(languageOf({ ...usual, ...other }), own);
  for (const name of [
    'enablePromqlDelayedNameRemoval',
    'enablePromqlStartTimestamps',
    'enableTypeAndUnitLabels',
  ] as const) {
    const other = languageOf({ ...usual, [name]: true });
    assert.notDeepEqual(other, own);
    const isDiffering = (thrown: unknown) => thrown instanceof AppError && thrown.facts.id === 'querier-differs';
    assert.throws(() => checkLanguage(own, other), isDiffering);
  }
  checkLanguage(own, own);
  checkLanguage(own, {});
  checkLanguage(own, { ...own, '-querier.to-come': true });
});
