import { compareCase, isFoundFirst, worseCase } from './worse.ts';

/** `node test/deployments/run-worse.ts [first seed]`: 18 of 20 that got worse come first; of 20 where nothing changed at most one says otherwise. */
const first = Number(process.argv[2] ?? 0);
let [found, quiet] = [0, 0];
const show = (list: readonly { measure: string; part: readonly string[]; score: number; change: number }[]) =>
  list
    .slice(0, 3)
    .map(
      ({ measure, part, score, change }) =>
        `${measure} ${part.join('=')} ${score.toFixed(1)} (${(change * 100).toFixed(0)} %)`,
    )
    .join(', ');
for (let seed = first; seed < first + 20; seed++) {
  const worse = worseCase(seed, true);
  const result = await compareCase(worse);
  if (isFoundFirst(worse, result)) found++;
  else
    console.log(
      `missed  seed ${seed}: ${worse.worse!.kind} ${worse.worse!.handler ?? 'all'}: ${show(result.findings)}`,
    );
  const same = await compareCase(worseCase(seed, false));
  if (same.findings.length === 0) quiet++;
  else console.log(`false   seed ${seed}: ${show(same.findings)}`);
}
console.log(`${found} of 20 that got worse come first, ${quiet} of 20 without a change are quiet`);
process.exitCode = found >= 18 && quiet >= 19 ? 0 : 1;
