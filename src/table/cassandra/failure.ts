import { connectionFailure, type Failure } from '../../kit/store/failure.ts';

/** Codes of the native protocol's errors (v4 specification, section 9). */
const CODES: Record<number, Failure['kind']> = {
  0: 'unavailable', // an error inside the server
  256: 'denied', // bad credentials
  4096: 'unavailable', // too few replicas alive
  4097: 'throttled', // overloaded
  4098: 'unavailable', // bootstrapping
  4099: 'unavailable', // truncation failed
  4352: 'unavailable', // write timeout
  4608: 'unavailable', // read timeout
  4864: 'unavailable', // read failure
  5376: 'unavailable', // write failure
  5888: 'unavailable', // the outcome of a compare-and-set is open
  8448: 'denied', // no right to do so
};

export function classifyCassandra(thrown: unknown): Failure {
  const known = connectionFailure(thrown);
  if (known) return known;
  const { name, message, code, innerErrors } = (thrown ?? {}) as {
    name?: string;
    message?: string;
    code?: unknown;
    innerErrors?: Record<string, unknown>;
  };
  const reason = message ?? String(thrown);
  switch (name) {
    case 'ResponseError':
      if (code === 0x2200 && MISSING.test(reason)) return { kind: 'table-missing', reason };
      return { kind: CODES[code as number] ?? 'refused', reason };
    case 'NoHostAvailableError': {
      // each host's own error says more: an answer that will not change rules over hosts that are down
      const inner = Object.values(innerErrors ?? {}).map(classifyCassandra);
      return inner.find((one) => one.kind !== 'unavailable') ?? inner[0] ?? { kind: 'unavailable', reason };
    }
    case 'AuthenticationError':
      return { kind: 'denied', reason };
    case 'OperationTimedOutError':
    case 'BusyConnectionError':
    case 'DriverError':
    case 'DriverInternalError':
      return { kind: 'unavailable', reason };
  }
  return { kind: 'unavailable', reason };
}

const MISSING = /unconfigured table|table .* does not exist|keyspace .* does not exist/i;
