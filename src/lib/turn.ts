/** Globals of the places where the engine runs; no place has all of them. */
interface Host {
  readonly setImmediate?: (run: () => void) => void;
  readonly MessageChannel: new () => {
    readonly port1: { onmessage: (() => void) | null };
    readonly port2: { postMessage(message: null): void };
  };
}

const host = globalThis as unknown as Host;

/** Lets what waits run: other queries, timers, input. Browsers have no `setImmediate`, and their timers take too long. */
export const nextTurn: () => Promise<void> = host.setImmediate === undefined ? byMessages() : byImmediates;

// looked up each time: tests put their own in its place
function byImmediates(): Promise<void> {
  return new Promise((resolve) => host.setImmediate?.(resolve));
}

function byMessages(): () => Promise<void> {
  const { port1, port2 } = new host.MessageChannel();
  const waiting: (() => void)[] = [];
  port1.onmessage = () => waiting.shift()?.();
  return () =>
    new Promise((resolve) => {
      waiting.push(resolve);
      port2.postMessage(null);
    });
}
