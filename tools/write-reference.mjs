// Writes docs/reference/configuration.md from the declarations in the code. A test says when it is out of date.
import { mkdirSync, writeFileSync } from 'node:fs';
import { sections } from '../src/app/config.ts';
import { showReference } from '../src/kit/config/show.ts';

const folder = new URL('../docs/reference/', import.meta.url);
mkdirSync(folder, { recursive: true });
writeFileSync(new URL('configuration.md', folder), showReference(sections));
