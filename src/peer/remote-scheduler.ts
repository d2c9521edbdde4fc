import type {
  AnswerPart,
  AnswerTaker,
  Job,
  JobOrder,
  JobScheduler,
  JobSource,
  OpenSeat,
  QuerierSeat,
} from '../contract/jobs.ts';
import { decodeValue } from '../kit/rpc/codec.ts';
import type { RpcCaller } from '../kit/rpc/role.ts';
import { flattenedError, revivedError } from '../kit/rpc/wire-error.ts';
import type { AppError } from '../model/errors.ts';
import { jobFields, orderOf } from './job-shapes.ts';
import { bytesOf, countOf, fieldsOf, optional, textOf } from './shapes.ts';

const NAME_CHARS_MAX = 1024;

/** A scheduler in another process, as a querier asks it for work. */
export class RemoteJobSource implements JobSource {
  readonly #caller: RpcCaller;

  constructor(caller: RpcCaller) {
    this.#caller = caller;
  }

  async seat(seat: QuerierSeat, signal: AbortSignal): Promise<OpenSeat> {
    const caller = this.#caller;
    const { head, items } = await caller.stream('jobSeat', seat, { signal });
    const id = countOf(fieldsOf(head, 'seat').seat, 'seat');
    return {
      orders: ordersOf(items),
      async resize(places) {
        const { head: answer } = await caller.call('jobResize', { seat: id, ...places });
        return countOf(fieldsOf(answer, 'resize').given, 'given');
      },
      async done(job, error) {
        await caller.call('jobDone', { seat: id, job, ...(error && { error: flattenedError(error) }) });
      },
    };
  }
}

async function* ordersOf(items: AsyncIterable<Uint8Array>): AsyncGenerator<JobOrder, void> {
  for await (const item of items) yield orderOf(item);
}

/** A front end in another process, as a querier answers it. */
export class RemoteAnswers implements AnswerTaker {
  readonly #caller: RpcCaller;

  constructor(caller: RpcCaller) {
    this.#caller = caller;
  }

  async answer(part: AnswerPart): Promise<void> {
    // whoever asked may be slow to take it
    await this.#caller.call('jobAnswer', part, undefined, { timeoutMs: ANSWER_MS_MAX });
  }
}

const ANSWER_MS_MAX = 5 * 60_000;

/** Told of jobs, and of the scheduler itself. */
export interface SchedulerNews {
  failed(id: string, error: AppError, querier: string | undefined): void;
  /** It takes no more jobs; those that it has are answered. */
  going(): void;
}

/** A scheduler in another process, as a front end leaves jobs with it. */
export class RemoteScheduler implements JobScheduler {
  readonly #caller: RpcCaller;
  readonly #frontend: number;

  private constructor(caller: RpcCaller, frontend: number) {
    this.#caller = caller;
    this.#frontend = frontend;
  }

  /** @returns `ended` resolves when it is through with all jobs, and rejects when it cannot be reached any more */
  static async open(
    caller: RpcCaller,
    news: SchedulerNews,
    signal: AbortSignal,
  ): Promise<{ readonly scheduler: RemoteScheduler; readonly ended: Promise<void> }> {
    const { head, items } = await caller.stream('jobFrontend', {}, { signal });
    const frontend = countOf(fieldsOf(head, 'frontend').frontend, 'frontend');
    return { scheduler: new RemoteScheduler(caller, frontend), ended: hear(items, news) };
  }

  async enqueue(job: Job): Promise<void> {
    await this.#caller.call('jobEnqueue', { frontend: this.#frontend, job: jobFields(job) }, job.payload);
  }

  cancel(id: string): void {
    // one that cannot be reached has ended its jobs by itself
    this.#caller.call('jobCancel', { frontend: this.#frontend, job: id }).catch(() => {});
  }
}

async function hear(items: AsyncIterable<Uint8Array>, news: SchedulerNews): Promise<void> {
  for await (const item of items) {
    const { job, error, querier, going } = fieldsOf(decodeValue(item), 'news');
    if (going === true) news.going();
    else {
      const name = optional(querier, (each) => textOf(each, 'querier', NAME_CHARS_MAX));
      news.failed(textOf(job, 'job', NAME_CHARS_MAX), revivedError(bytesOf(error, 'error')), name);
    }
  }
}
