import { scoreOf } from './score.ts';

/** `node test/deployments/run.ts [first seed] [seeds]`: 99 % are to be marked, and at most one in 100 service-days is to be false. */
const [first = 0, seeds = 50] = process.argv.slice(2).map(Number);
let [truths, serviceDays] = [0, 0];
const missed: string[] = [];
const wrong: string[] = [];
const wrongEnds: string[] = [];
for (let seed = first; seed < first + seeds; seed++) {
  const score = await scoreOf(seed);
  truths += score.truths;
  serviceDays += score.serviceDays;
  missed.push(...score.missed);
  wrong.push(...score.wrong);
  wrongEnds.push(...score.wrongEnds);
}
for (const line of missed) console.log(`missed  ${line}`);
for (const line of wrong) console.log(`false   ${line}`);
for (const line of wrongEnds) console.log(`end     ${line}`);
const marked = 1 - missed.length / truths;
const falsePerHundred = (wrong.length / serviceDays) * 100;
console.log(
  `${truths} deployments in ${serviceDays} service-days: ${(marked * 100).toFixed(2)} % marked, ${falsePerHundred.toFixed(2)} false in 100 service-days, ${((1 - wrongEnds.length / truths) * 100).toFixed(1)} % with the right end`,
);
process.exitCode = marked >= 0.99 && falsePerHundred <= 1 ? 0 : 1;
