import { useMemo } from 'react';
import { differenceOf } from '../model/difference.ts';

const AROUND = 3;
const SHOWN_MAX = 2_000;
const SIGNS = { same: ' ', gone: '-', new: '+' } as const;

/** Lines that differ between two texts, with a few around them. */
export function Difference({ before, after }: { readonly before: string; readonly after: string }) {
  const lines = useMemo(() => {
    const all = differenceOf(before, after);
    const near = all.map((_, i) =>
      all.slice(Math.max(0, i - AROUND), i + AROUND + 1).some(({ kind }) => kind !== 'same'),
    );
    return all.filter((_, i) => near[i]).slice(0, SHOWN_MAX);
  }, [before, after]);
  if (lines.length === 0) return <p className="dim">They are the same.</p>;
  return (
    <pre className="block difference">
      {lines.map(({ kind, text }, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a line is its place
        <div key={i} data-kind={kind}>
          {SIGNS[kind]} {text.slice(0, 500)}
        </div>
      ))}
    </pre>
  );
}
