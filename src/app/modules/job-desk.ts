import { JobDesk } from '../../frontend/job-desk.ts';
import { systemBytes, systemRandom } from '../../lib/random.ts';
import { answersRole } from '../../peer/job-role.ts';
import { type App, part } from '../app.ts';

/** The jobs that this process leaves with schedulers, whose queriers answer at its listener for other processes. */
export function jobDeskIn(app: App): JobDesk {
  const { config, log, registry, clock } = app;
  const peers = part(app, 'peers');
  const desk = new JobDesk({
    name: Buffer.from(systemBytes(9)).toString('base64url'),
    address: () => peers.address,
    retriesMax: config.queryRange.maxRetries,
    timeoutMs: config.querier.timeoutMs,
    answerBytesMax: config.server.inflightAnswerBytesMax,
    log,
    registry,
    clock,
    random: systemRandom,
  });
  peers.answer(answersRole(desk));
  return desk;
}
