import type { AppError } from '../model/errors.ts';

// The place where front ends leave work, and where queriers ask for it: between them stands a scheduler, in the front end's process or in
// one of its own. Answers go from the querier to the front end at once.

/** Queries and jobs of a tenant's rules are queued under this and its name, which no tenant has. */
export const RULES_OF = 'rules of ';

/** A part of a query, or a request of the API, as it waits for a querier. */
export interface Job {
  /** No two have the same, whichever front end they are of. */
  readonly id: string;
  /** One, or several by a joined name. */
  readonly tenant: string;
  /** The query that it is of: those of one query count as one that waits. */
  readonly query: string;
  /** Work that the whole query is estimated to be. */
  readonly costMs: number;
  /** Higher ones come first. */
  readonly priority: number;
  /** A batch of rules: it has turns beside its tenant's other jobs, and counts as none of them. Absent: it is none. */
  readonly isOfRules?: boolean | undefined;
  /** Queriers that failed it before: others have it, where there are any. */
  readonly avoid: readonly string[];
  /** Address of the front end that waits for the answer. */
  readonly answersTo: string;
  /** The answer is taken part by part, as it is made. */
  readonly inParts: boolean;
  /** The request, as the querier reads it: nobody in between does. */
  readonly payload: Uint8Array;
}

/** Takes jobs, as front ends see it. */
export interface JobScheduler {
  /** Lets a job wait for a querier. @throws tooManyOutstandingRequests, workerQueueFull, or why it cannot be reached */
  enqueue(job: Job): Promise<void>;
  /** Nobody waits for the job any more. */
  cancel(id: string): void;
}

/** Told of jobs that have no answer. */
export interface JobFailures {
  /** @param querier the one that had it; undefined: none did */
  failed(id: string, error: AppError, querier: string | undefined): void;
}

/** A querier, as it asks for work. */
export interface QuerierSeat {
  /** The same after it was started again. */
  readonly id: string;
  /** Jobs that it has under way at once. */
  readonly places: number;
  /** Heavy ones among them. */
  readonly heavyPlaces: number;
}

/** A word to a querier. */
export type JobOrder =
  | { readonly kind: 'job'; readonly job: Job }
  /** Nobody waits for it: it is to end at once, and is done with when it has. */
  | { readonly kind: 'cancel'; readonly id: string };

/** Gives jobs, as queriers see it. */
export interface JobSource {
  /** Opens a seat: orders come until it is left, or the scheduler ends. @throws why it cannot be reached */
  seat(seat: QuerierSeat, signal: AbortSignal): Promise<OpenSeat>;
}

export interface OpenSeat {
  readonly orders: AsyncIterable<JobOrder>;
  /**
   * Another number of places; 0: it takes no more jobs, and those under way are answered.
   * @returns jobs that it was given until then: orders of some may still be on their way
   */
  resize(places: Omit<QuerierSeat, 'id'>): Promise<number>;
  /** A job is through. @param error why it has no answer */
  done(id: string, error?: AppError): Promise<void>;
}

/** Part of a job's answer. */
export interface AnswerPart {
  readonly job: string;
  /** The querier that answers. */
  readonly querier: string;
  /** In the first part: what the answer is, as `JobHead`. */
  readonly head?: JobHead | undefined;
  readonly bytes: Uint8Array;
  readonly isLast: boolean;
}

/** All of an answer but its bytes. */
export interface JobHead {
  /** Time that the querier worked at it. */
  readonly workedMs: number;
  /** Bytes of all of the answer. Absent: they are not known yet. */
  readonly answerBytes?: number | undefined;
  /** Status, type and headers of the answer to a request of the API. */
  readonly api?: {
    readonly status: number;
    readonly contentType: string;
    readonly headers?: Readonly<Record<string, string>> | undefined;
  };
}

/** Takes answers, as queriers see it. */
export interface AnswerTaker {
  /** Resolves when there is room for more. @throws where nobody waits for the job */
  answer(part: AnswerPart): Promise<void>;
}

/** A scheduler's side of all this: what its wire stands on. */
export interface JobBoard {
  /** Opens a seat. @param order is told what the querier is to do */
  connect(seat: QuerierSeat, order: (order: JobOrder) => void): SeatedQuerier;
  /** @param ended is told once, unless it is thrown @throws tooManyOutstandingRequests, workerQueueFull */
  enqueue(job: Job, ended: JobEnded): void;
  cancel(id: string): void;
}

/** Told when a job is through. @param failure why it has no answer, and the querier that had it; undefined: none did */
export type JobEnded = (job: Job, failure?: { readonly error: AppError; readonly querier: string | undefined }) => void;

/** A querier's side of the queue. */
export interface SeatedQuerier {
  /** 0: no more jobs. @returns jobs that it was given until then */
  resize(places: Omit<QuerierSeat, 'id'>): number;
  /** A job is through. @param error why it has no answer */
  done(id: string, error: AppError | undefined): void;
  /** It can be reached no more: its jobs have no answer. @param reason absent: it has left by itself */
  leave(reason?: string): void;
}
