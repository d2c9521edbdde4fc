import { Pallium, type PalliumOptions } from '../test/harness/pallium.ts';
import {
  isPrometheus3Installed,
  isVictoriaMetricsInstalled,
  type Peer,
  startPrometheus3,
  startPrometheusDebian,
  startVictoriaMetrics,
} from '../test/harness/peers.ts';

/** A server that is measured. */
export interface Contender extends AsyncDisposable {
  readonly name: string;
  readonly url: string;
  readonly pid: number;
  readonly writeUrl: string;
  readonly dataDir: string;
  /** Set for Pallium itself. */
  readonly pallium?: Pallium;
  /** Ends it and leaves its files. */
  stop(): Promise<unknown>;
}

export const CONTENDERS = ['prometheus', 'victoria-metrics', 'pallium'] as const;

/** Starts servers by name, each on an empty folder; the peers that are not installed are left out with a word. */
export async function startContender(name: string, options: PalliumOptions = {}): Promise<Contender | undefined> {
  switch (name) {
    case 'pallium': {
      const pallium = await Pallium.start(options);
      const { url, pid, dataDir } = pallium;
      return {
        name,
        url,
        pid,
        dataDir,
        pallium,
        writeUrl: `${url}/api/v1/push`,
        stop: () => pallium.stop(),
        [Symbol.asyncDispose]: () => pallium[Symbol.asyncDispose](),
      };
    }
    case 'prometheus': {
      // the sets are of one day, so old ones: nothing may be dropped for its age
      const flags = ['--storage.tsdb.retention.time=10y', '--web.enable-admin-api'];
      const peer = await (isPrometheus3Installed ? startPrometheus3({ flags }) : startPrometheusDebian({ flags }));
      return peerContender(isPrometheus3Installed ? 'prometheus 3.16' : 'prometheus 2.42', peer);
    }
    case 'victoria-metrics': {
      if (!isVictoriaMetricsInstalled) {
        console.log('victoria-metrics is not installed (test/services/start-victoria-metrics-newest)');
        return undefined;
      }
      return peerContender('victoria-metrics 1.150', await startVictoriaMetrics());
    }
    default:
      throw new Error(`${name} is none of ${CONTENDERS.join(', ')}`);
  }
}

function peerContender(name: string, peer: Peer): Contender {
  const { url, pid, dataDir } = peer;
  return {
    name,
    url,
    pid,
    dataDir,
    writeUrl: `${url}/api/v1/write`,
    stop: () => peer.stop(),
    [Symbol.asyncDispose]: () => peer[Symbol.asyncDispose](),
  };
}
