import { compareSides, sidesCase } from './sides.ts';
import { isWorseFirst } from './worse.ts';

/** `node test/deployments/run-sides.ts [first seed]`: while both versions run, 18 of 20 that are worse come first; of 20 alike at most one says otherwise. */
const first = Number(process.argv[2] ?? 0);
let [found, quiet] = [0, 0];
for (let seed = first; seed < first + 20; seed++) {
  const worse = sidesCase(seed, true);
  const result = await compareSides(worse);
  if (isWorseFirst(worse.worse, result?.findings ?? [])) found++;
  else
    console.log(
      `missed  seed ${seed}: ${JSON.stringify(worse.worse)}: ${JSON.stringify(result?.findings.slice(0, 2))}`,
    );
  const same = await compareSides(sidesCase(seed, false));
  const said = same?.findings.filter(({ verdict }) => verdict !== 'changed');
  if (said?.length === 0) quiet++;
  else console.log(`false   seed ${seed}: ${JSON.stringify(said?.slice(0, 2))}`);
}
console.log(
  `new against old instances: ${found} of 20 that are worse come first, ${quiet} of 20 that are alike are quiet`,
);
process.exitCode = found >= 18 && quiet >= 19 ? 0 : 1;
