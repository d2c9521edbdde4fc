import { counter, gauge, metricTable } from '../observe/metrics.ts';

/** Metrics of the ways to other processes, by their addresses: one table for all clients of a thread. */
export const peerMetrics = metricTable({
  requests: counter('peer_requests_total', 'Requests to another process that are through, failed ones included.', [
    'peer',
  ]),
  seconds: counter('peer_request_seconds_total', 'Time from these requests to their answers, added up.', ['peer']),
  failures: counter('peer_request_failures_total', 'Requests to another process that failed, by the error.', [
    'peer',
    'reason',
  ]),
  inflight: gauge('peer_inflight_requests', 'Requests to another process that wait or are not answered.', ['peer']),
  sentBytes: counter('peer_sent_bytes_total', 'Bytes sent to another process on connections made here.', ['peer']),
  receivedBytes: counter('peer_received_bytes_total', 'Bytes that came from it on these.', ['peer']),
});
export type PeerMetrics = ReturnType<typeof peerMetrics>;

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

/** Seen of one client so far. */
interface Counted {
  readonly sentBytes: number;
  readonly receivedBytes: number;
}

/** The metrics of one client. */
export class PeerMeter {
  readonly #metrics: PeerMetrics;
  readonly #peer: string;
  #counted: Counted = { sentBytes: 0, receivedBytes: 0 };
  readonly #reasons = new Set<string>();

  constructor(metrics: PeerMetrics, peer: string) {
    this.#metrics = metrics;
    this.#peer = peer;
  }

  began(): void {
    this.#metrics.inflight.inc({ peer: this.#peer });
  }

  /** @param reason why it failed; undefined: it did not @param now of its client */
  ended(ms: number, reason: string | undefined, now: Counted): void {
    const peer = this.#peer;
    this.#metrics.inflight.dec({ peer });
    this.#metrics.requests.inc({ peer });
    this.#metrics.seconds.inc({ peer }, ms / 1000);
    if (reason !== undefined) {
      this.#reasons.add(reason);
      this.#metrics.failures.inc({ peer, reason });
    }
    this.#metrics.sentBytes.inc({ peer }, now.sentBytes - this.#counted.sentBytes);
    this.#metrics.receivedBytes.inc({ peer }, now.receivedBytes - this.#counted.receivedBytes);
    this.#counted = { sentBytes: now.sentBytes, receivedBytes: now.receivedBytes };
  }

  /** Forgets the process: nobody talks to it any more. */
  remove(): void {
    const peer = this.#peer;
    const { requests, seconds, inflight, sentBytes, receivedBytes, failures } = this.#metrics;
    for (const each of [requests, seconds, inflight, sentBytes, receivedBytes]) each.remove({ peer });
    for (const reason of this.#reasons) failures.remove({ peer, reason });
  }
}
