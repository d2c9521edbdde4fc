// Completes package-lock.json, so that it serves on every platform and pins all of it. Entries without an integrity are asked for
// anew; optional platform packages that this registry does not carry are added by name and version, so that `npm ci` accepts the lock
// here and installs them elsewhere.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';

const readLock = () => JSON.parse(fs.readFileSync('package-lock.json', 'utf8'));
const unpinned = readLock();
for (const [at, { link, integrity }] of Object.entries(unpinned.packages)) {
  if (at.startsWith('node_modules/') && !link && integrity === undefined) delete unpinned.packages[at];
}
fs.writeFileSync('package-lock.json', `${JSON.stringify(unpinned, null, 2)}\n`);
const ask = ['install', '--package-lock-only', '--ignore-scripts', '--omit-lockfile-registry-resolved', '--no-audit'];
execFileSync('npm', [...ask, '--no-fund'], { stdio: 'inherit' });

const lock = readLock();
const P = lock.packages;
let added = 0;
for (const [at, p] of Object.entries(P)) {
  for (const [name, range] of Object.entries(p.optionalDependencies ?? {})) {
    // resolvable from `at` upwards?
    let dir = at,
      found = false;
    for (;;) {
      if (P[`${dir ? `${dir}/` : ''}node_modules/${name}`]) {
        found = true;
        break;
      }
      if (!dir) break;
      dir = dir.includes('/node_modules/') ? dir.slice(0, dir.lastIndexOf('/node_modules/')) : '';
    }
    if (found) continue;
    const m = name.match(
      /(android|darwin|freebsd|openbsd|netbsd|linux|win32|windows|sunos|aix|openharmony|wasm32|wasi)/,
    )?.[1];
    const cpu = name.match(/(arm64|x64|ia32|arm|ppc64|riscv64|s390x|loong64|mips64el|wasm32)/)?.[1];
    P[`node_modules/${name}`] = {
      version: range.replace(/^[\^~]/, ''),
      ...(cpu ? { cpu: [cpu] } : {}),
      optional: true,
      ...(p.dev ? { dev: true } : {}),
      ...(m ? { os: [m === 'windows' ? 'win32' : m === 'wasi' || m === 'wasm32' ? 'none' : m] } : {}),
    };
    added++;
  }
}
lock.packages = Object.fromEntries(Object.entries(P).sort(([a], [b]) => (a < b ? -1 : 1)));
fs.writeFileSync('package-lock.json', `${JSON.stringify(lock, null, 2)}\n`);
console.log('added', added);
