// Marks on the browser's own time line, which `npm run bench:web` reads.

/** The columns of an answer are there. */
export function markAnswer(): void {
  performance.mark('pallium:answer');
}

/** A chart is made; the mark is set when the frame with it was painted. */
export function markPainted(): void {
  requestAnimationFrame(() => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => performance.mark('pallium:painted');
    port2.postMessage(undefined);
  });
}
