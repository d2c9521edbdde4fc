import { getOrMake } from '../../lib/map.ts';
import { counter, gauge, metricTable, type Registry, whenRead } from '../observe/metrics.ts';

const peerTable = metricTable({
  requests: counter('peer_requests_total', 'Requests to another process that are through, failed ones included.', [
    'peer',
    'method',
  ]),
  seconds: counter('peer_request_seconds_total', 'Time from these requests to their answers, added up.', [
    'peer',
    'method',
  ]),
  failures: counter('peer_request_failures_total', 'Requests to another process that failed, by the error.', [
    'peer',
    'method',
    'reason',
  ]),
  inflight: gauge(
    'peer_inflight_requests',
    'Requests to another process that wait here or that it is not through with, streams that are still read among them.',
    ['peer'],
  ),
  sentBytes: counter('peer_sent_bytes_total', 'Bytes sent to another process on connections made here.', ['peer']),
  receivedBytes: counter('peer_received_bytes_total', 'Bytes that came from it on these.', ['peer']),
});

/** A way to another process, as its metrics look at it when they are read. */
interface CountedClient {
  readonly address: string;
  /** Calls that wait, and those that the other side is not through with. */
  readonly inflight: number;
  /** Bytes so far. */
  readonly sentBytes: number;
  readonly receivedBytes: number;
}

/** Requests by one method that are through. */
class Through {
  requests = 0;
  ms = 0;
  /** By the error's reason. */
  readonly failures = new Map<string, number>();
}

/** The metrics of all clients of one address. Nothing is told of it any more when the last of them is removed. */
export class PeerMeter {
  readonly #clients = new Set<CountedClient>();
  readonly #gone: () => void;
  readonly byMethod = new Map<string, Through>();
  /** Bytes of clients that were removed. */
  #sentBytes = 0;
  #receivedBytes = 0;

  constructor(gone: () => void) {
    this.#gone = gone;
  }

  add(client: CountedClient): void {
    this.#clients.add(client);
  }

  /** Calls under way may still end after it. */
  remove(client: CountedClient): void {
    if (!this.#clients.delete(client)) return;
    this.#sentBytes += client.sentBytes;
    this.#receivedBytes += client.receivedBytes;
    if (this.#clients.size === 0) this.#gone();
  }

  /** A request is through. @param reason why it failed; undefined: it did not */
  count(method: string, ms: number, reason: string | undefined): void {
    const through = getOrMake(this.byMethod, method, () => new Through());
    through.requests++;
    through.ms += ms;
    if (reason !== undefined) through.failures.set(reason, (through.failures.get(reason) ?? 0) + 1);
  }

  get inflight(): number {
    return [...this.#clients].reduce((sum, { inflight }) => sum + inflight, 0);
  }

  get sentBytes(): number {
    return [...this.#clients].reduce((sum, { sentBytes }) => sum + sentBytes, this.#sentBytes);
  }

  get receivedBytes(): number {
    return [...this.#clients].reduce((sum, { receivedBytes }) => sum + receivedBytes, this.#receivedBytes);
  }
}

/** Metrics of the ways to other processes, by their addresses: one of these for all clients of a thread. A call only adds to its numbers. */
export class PeerMetrics {
  readonly #meters = new Map<string, PeerMeter>();

  constructor(registry: Registry) {
    const meters = this.#meters;
    const { requests, seconds, failures, inflight, sentBytes, receivedBytes } = peerTable(registry);
    const each = (tell: (peer: string, meter: PeerMeter) => void) => () => {
      for (const [peer, meter] of meters) tell(peer, meter);
    };
    const eachMethod = (tell: (labels: { peer: string; method: string }, through: Through) => void) =>
      each((peer, { byMethod }) => {
        for (const [method, through] of byMethod) tell({ peer, method }, through);
      });
    whenRead(
      requests,
      eachMethod((labels, through) => requests.inc(labels, through.requests)),
    );
    whenRead(
      seconds,
      eachMethod((labels, { ms }) => seconds.inc(labels, ms / 1000)),
    );
    whenRead(
      failures,
      eachMethod((labels, through) => {
        for (const [reason, count] of through.failures) failures.inc({ ...labels, reason }, count);
      }),
    );
    whenRead(
      inflight,
      each((peer, meter) => inflight.set({ peer }, meter.inflight)),
    );
    whenRead(
      sentBytes,
      each((peer, meter) => sentBytes.inc({ peer }, meter.sentBytes)),
    );
    whenRead(
      receivedBytes,
      each((peer, meter) => receivedBytes.inc({ peer }, meter.receivedBytes)),
    );
  }

  /** Tells of a client with the others of its address, until it is removed from their meter. */
  add(client: CountedClient): PeerMeter {
    const { address } = client;
    const meter = getOrMake(this.#meters, address, () => new PeerMeter(() => this.#meters.delete(address)));
    meter.add(client);
    return meter;
  }
}

export function peerMetrics(registry: Registry): PeerMetrics {
  return new PeerMetrics(registry);
}

/** Metrics of a listener for other processes. */
export const servedMetrics = metricTable({
  connections: gauge('peer_connections', 'Connections of other processes that have proved who they are.'),
  refused: counter(
    'peer_connections_refused_total',
    'Connections that were ended before they had proved who they are.',
  ),
  requests: counter(
    'peer_served_requests_total',
    'Requests of other processes that are answered, failed ones included.',
    ['method'],
  ),
  seconds: counter('peer_served_request_seconds_total', 'Time from these requests to their answers, added up.', [
    'method',
  ]),
  failures: counter('peer_served_request_failures_total', 'Requests of other processes that failed, by the error.', [
    'method',
    'reason',
  ]),
  heldBytes: gauge('peer_served_request_bytes', 'Bytes of the requests under way.'),
});
export type ServedMetrics = ReturnType<typeof servedMetrics>;
