import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type LabelLimits, labelsFault, sortPairs, utf8Length } from './validate.ts';

const limits: LabelLimits = {
  maxLabelNamesPerSeries: 4,
  maxLabelNameLength: 12,
  maxLabelValueLength: 10,
  maxLabelsSizeBytes: 60,
};

function reason(...pairs: string[]): string | undefined {
  return labelsFault(pairs, limits)?.reason;
}

test('labels are refused for the reason that is counted', () => {
  assert.equal(reason('__name__', 'up', 'job', 'a'), undefined);
  assert.equal(reason('__name__', 'größe', 'müll.x', 'a'), undefined);
  assert.equal(reason('job', 'a'), 'missing_metric_name');
  assert.equal(reason('__name__', '', 'job', 'a'), 'missing_metric_name');
  assert.equal(reason('__name__', 'u\ud800p'), 'metric_name_invalid');
  assert.equal(reason('', 'x', '__name__', 'up'), 'label_invalid');
  assert.equal(reason('__name__', 'up', 'job', '\udc00'), 'label_invalid');
  assert.equal(reason('__name__', 'up', 'a', '1', 'a', '2'), 'duplicate_label_names');
  assert.equal(reason('__name__', 'up', 'b', '1', 'a', '2'), 'labels_not_sorted');
  assert.equal(reason('__name__', 'up', 'a', '1', 'b', '1', 'c', '1', 'd', '1'), 'max_label_names_per_series');
  assert.equal(reason('__name__', 'up', 'a'.repeat(13), '1'), 'label_name_too_long');
  assert.equal(reason('__name__', 'up', 'a', 'ü'.repeat(6)), 'label_value_too_long');
  assert.equal(
    labelsFault(['__name__', 'up', 'a', '1'], { ...limits, maxLabelsSizeBytes: 11 })?.reason,
    'labels_size_bytes_exceeded',
  );
});

test('a limit of 0 is none, and texts name the limit', () => {
  const none = { maxLabelNamesPerSeries: 0, maxLabelNameLength: 0, maxLabelValueLength: 0, maxLabelsSizeBytes: 0 };
  assert.equal(labelsFault(['__name__', 'up', 'a', 'x'.repeat(5000)], none), undefined);
  assert.equal(
    labelsFault(['__name__', 'up', 'a', 'xxxxxxxxxxx'], limits)?.message,
    'series {__name__="up", a="xxxxxxxxxxx"} has a value of 11 bytes in label a, more than 10 (max_label_value_length)',
  );
});

test('pairs are sorted by the bytes of their names, and lose empty values', () => {
  assert.deepEqual(sortPairs(['b', '1', 'a', '2', 'c', '']), ['a', '2', 'b', '1']);
  const sorted = ['a', '1', 'b', '2'];
  assert.equal(sortPairs(sorted), sorted);
  assert.deepEqual(sortPairs(['\u{1f600}', '1', '\uffff', '2']), ['\uffff', '2', '\u{1f600}', '1']);
});

test('lengths are those of UTF-8', () => {
  for (const text of ['', 'abc', 'ü', '€', '\u{1f600}', 'a€\u{1f600}ü']) {
    assert.equal(utf8Length(text), Buffer.byteLength(text), text);
  }
});
