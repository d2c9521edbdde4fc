import assert from 'node:assert/strict';
import { test } from 'node:test';
import { goLowerCase, goUpperCase } from './go-case.ts';

test('every letter becomes one letter', () => {
  assert.equal(goUpperCase('Grüße, naïve'), 'GRÜßE, NAÏVE');
  assert.equal(goUpperCase('ﬁ ŉ ΐ'), 'ﬁ ŉ ΐ');
  assert.equal(goUpperCase('ᾳᾀ'), 'ᾼᾈ');
  assert.equal(goLowerCase('ΟΔΟΣ'), 'οδοσ');
  assert.equal(goLowerCase('İI'), 'ii');
  assert.equal(goUpperCase('plain'), 'PLAIN');
});
