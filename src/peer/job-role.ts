import type { AnswerTaker, JobBoard, JobOrder, SeatedQuerier } from '../contract/jobs.ts';
import { encodeValue } from '../kit/rpc/codec.ts';
import type { RpcAnswer, RpcCall, RpcRole } from '../kit/rpc/role.ts';
import { flattenedError, revivedError } from '../kit/rpc/wire-error.ts';
import { PushQueue } from '../lib/push-queue.ts';
import { peerErrors } from '../model/errors-peer.ts';
import { processErrors } from '../model/errors-process.ts';
import { answerPartOf, jobOf, orderHead, placesOf, seatOf } from './job-shapes.ts';
import { bytesOf, countOf, fieldsOf, optional, textOf } from './shapes.ts';

/** Longest name of a job, a querier, a front end. */
const NAME_CHARS_MAX = 1024;
/** Jobs of a front end that are remembered as cancelled before they came. */
const CANCELLED_MAX = 1000;

/** The scheduler's end of the wire: seats of queriers and front ends, each as long as its stream is open. */
export class JobBoardServer {
  readonly #board: JobBoard;
  readonly #count: (frontends: number) => void;
  readonly #seats = new Map<number, SeatedQuerier>();
  readonly #frontends = new Map<number, Frontend>();
  readonly #streams = new Set<PushQueue<Uint8Array>>();
  #lastId = 0;
  readonly role: RpcRole;

  /** @param count is told how many front ends there are */
  constructor(board: JobBoard, count: (frontends: number) => void = () => {}) {
    this.#board = board;
    this.#count = count;
    this.role = {
      jobSeat: async ({ head }, call) => this.#seat(head, call),
      jobResize: async ({ head }) => {
        return { head: { given: this.#seatOf(head).resize(placesOf(fieldsOf(head, 'places'))) } };
      },
      jobDone: async ({ head }) => {
        const { job, error } = fieldsOf(head, 'done');
        const reason = optional(error, (each) => revivedError(bytesOf(each, 'error')));
        this.#seatOf(head).done(textOf(job, 'job', NAME_CHARS_MAX), reason);
        return {};
      },
      jobFrontend: async (_, call) => this.#frontend(call),
      jobEnqueue: async ({ head, body }) => {
        const { frontend, job } = fieldsOf(head, 'enqueue');
        // the body is lent until the answer
        this.#frontendOf(frontend).enqueue(jobOf(job, body.slice()));
        return {};
      },
      jobCancel: async ({ head }) => {
        const { frontend, job } = fieldsOf(head, 'cancel');
        this.#frontendOf(frontend).cancel(textOf(job, 'job', NAME_CHARS_MAX));
        return {};
      },
    };
  }

  /** Tells front ends to leave jobs elsewhere. */
  going(): void {
    for (const { stream } of this.#frontends.values()) stream.push(encodeValue({ going: true }));
  }

  /** Ends all seats. */
  close(): void {
    for (const stream of this.#streams) stream.end();
  }

  /** A stream that ends with its call. */
  #open({ signal }: RpcCall, left: () => void): PushQueue<Uint8Array> {
    const stream = new PushQueue<Uint8Array>(() => {
      this.#streams.delete(stream);
      left();
    });
    this.#streams.add(stream);
    // whoever is away takes nothing, and a stream that waits would not hear of it
    signal.addEventListener(
      'abort',
      () => {
        stream.fail(signal.reason);
        this.#streams.delete(stream);
        left();
      },
      { once: true },
    );
    return stream;
  }

  #seat(head: unknown, call: RpcCall): RpcAnswer {
    const seat = seatOf(head);
    const id = ++this.#lastId;
    const stream = this.#open(call, () => {
      this.#seats.delete(id);
      seated.leave(call.signal.aborted ? (call.signal.reason as Error).message : undefined);
    });
    const seated = this.#board.connect(seat, (order: JobOrder) => stream.push(encodeValue(orderHead(order))));
    this.#seats.set(id, seated);
    return { head: { seat: id }, items: stream };
  }

  #seatOf(head: unknown): SeatedQuerier {
    const seat = this.#seats.get(countOf(fieldsOf(head, 'seat').seat, 'seat'));
    // its stream is gone, and so are its jobs
    if (seat === undefined) throw streamEnded();
    return seat;
  }

  #frontend(call: RpcCall): RpcAnswer {
    const id = ++this.#lastId;
    const stream = this.#open(call, () => {
      this.#frontends.delete(id);
      frontend.leave();
      this.#count(this.#frontends.size);
    });
    const frontend = new Frontend(this.#board, stream);
    this.#frontends.set(id, frontend);
    this.#count(this.#frontends.size);
    return { head: { frontend: id }, items: stream };
  }

  #frontendOf(value: unknown): Frontend {
    const frontend = this.#frontends.get(countOf(value, 'frontend'));
    if (frontend === undefined) throw streamEnded();
    return frontend;
  }
}

function streamEnded(): Error {
  return peerErrors.peerGone({ peer: 'the other process', reason: 'its stream has ended' });
}

/** A front end that leaves jobs: when it is gone, nobody waits for them. */
class Frontend {
  readonly stream: PushQueue<Uint8Array>;
  readonly #board: JobBoard;
  /** Jobs that it left and that are not through. */
  readonly #jobs = new Set<string>();
  /** Jobs that it cancelled and that have not come, or are through: the last ones. */
  readonly #cancelled = new Set<string>();

  constructor(board: JobBoard, stream: PushQueue<Uint8Array>) {
    this.#board = board;
    this.stream = stream;
  }

  enqueue(job: Parameters<JobBoard['enqueue']>[0]): void {
    if (this.#cancelled.delete(job.id)) throw processErrors.callCancelled({});
    this.#jobs.add(job.id);
    try {
      this.#board.enqueue(job, ({ id }, failure) => {
        this.#jobs.delete(id);
        if (failure === undefined) return;
        const { error, querier } = failure;
        this.stream.push(encodeValue({ job: id, error: flattenedError(error), querier }));
      });
    } catch (error) {
      this.#jobs.delete(job.id);
      throw error;
    }
  }

  cancel(id: string): void {
    if (this.#jobs.has(id)) {
      this.#board.cancel(id);
      return;
    }
    this.#cancelled.add(id);
    if (this.#cancelled.size <= CANCELLED_MAX) return;
    const [oldest] = this.#cancelled;
    this.#cancelled.delete(oldest!);
  }

  leave(): void {
    for (const id of [...this.#jobs]) this.#board.cancel(id);
  }
}

/** The front end's end of the wire: queriers answer. */
export function answersRole(answers: AnswerTaker): RpcRole {
  return {
    jobAnswer: async ({ head }) => {
      await answers.answer(answerPartOf(head));
      return {};
    },
  };
}
