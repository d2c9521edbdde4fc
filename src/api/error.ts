import { failureOf } from '../kit/http/failure.ts';

/** `errorType` of the Prometheus API. */
export type ApiErrorType =
  | 'bad_data'
  | 'execution'
  | 'timeout'
  | 'unavailable'
  | 'internal'
  | 'canceled'
  | 'not_found'
  | 'not_acceptable';

/** An answer that is an error, as Prometheus would word it. */
export class ApiError extends Error {
  readonly type: ApiErrorType;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  private constructor(
    type: ApiErrorType,
    status: number,
    text: string,
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(text);
    this.name = 'ApiError';
    this.type = type;
    this.status = status;
    this.headers = headers;
  }

  static badData(text: string): ApiError {
    return new ApiError('bad_data', 400, text);
  }

  /** `invalid parameter "step": …` */
  static invalidParam(name: string, text: string): ApiError {
    return ApiError.badData(`invalid parameter ${JSON.stringify(name)}: ${text}`);
  }

  /** The answer of Prometheus for a part that is switched off: 500, not 503. */
  static disabled(what: string): ApiError {
    return new ApiError('unavailable', 500, `${what} disabled`);
  }

  static from(thrown: unknown): ApiError {
    if (thrown instanceof ApiError) return thrown;
    const { errorType, status, text, headers } = failureOf(thrown);
    return new ApiError(errorType, status, text, headers);
  }
}
