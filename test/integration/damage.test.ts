import { test } from 'node:test';
import { damage } from '../backends/damage.ts';

test('a damaged row or object of the embedded store fails with its name, and nothing else', () => damage([], true));
test('a damaged row of the embedded store fails with its name, and nothing else', () =>
  damage(['-schema.object-store=none'], false));
