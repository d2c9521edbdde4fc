import { queryErrors } from '../model/errors-query.ts';

/** @param limit `max_query_response_size`; 0: there is none @throws responseTooLarge */
export function checkResponseSize(bytes: number, limit: number): void {
  if (limit > 0 && bytes > limit) throw queryErrors.responseTooLarge({ bytes, limit });
}
