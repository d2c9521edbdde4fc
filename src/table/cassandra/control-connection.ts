import { after, type Clock } from '../../lib/clock.ts';

/** The members in use of the driver's connection by which it follows the cluster's topology. */
export interface ControlConnection {
  _refresh(hostIterator?: Iterator<unknown>): Promise<void>;
  readonly _isShuttingDown: boolean;
}

const RETRY_MS = 1000;

/**
 * Lets one refresh of the control connection run at a time, and none reject. Driver 4.10 starts one for each sign of a
 * lost connection; two at once take the connection from each other, and the error of one that the driver's own timer
 * started is caught by nobody, so a flaky network ends the process (NODEJS-681, open). A call during a refresh means
 * one more after it: the connection that it has just made may be the lost one.
 *
 * @returns ends it: for a client that did not connect, of which the driver's own shutdown does nothing
 */
export function refreshOneByOne(
  control: ControlConnection,
  { retryMs = RETRY_MS, clock }: { readonly retryMs?: number; readonly clock: Clock },
): () => void {
  const refresh = control._refresh.bind(control);
  let running: Promise<void> | undefined;
  let again = false;
  let stopped = false;

  const run = async (): Promise<void> => {
    do {
      again = false;
      try {
        await refresh();
      } catch {
        await new Promise<void>((resolve) => after(clock, retryMs, resolve));
        again = !control._isShuttingDown && !stopped;
      }
    } while (again);
    running = undefined;
  };

  control._refresh = (hostIterator) => {
    if (stopped) return Promise.resolve();
    if (hostIterator !== undefined) return refresh(hostIterator); // a refresh goes on with its next host
    if (running === undefined) running = run();
    else again = true;
    return running;
  };
  return () => {
    stopped = true;
  };
}
