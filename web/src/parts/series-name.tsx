import type { LabelSet } from '../model/labels.ts';

/** A series with its labels told apart by colour. */
export function SeriesName({ labels }: { readonly labels: LabelSet }) {
  const { __name__: name, ...rest } = labels;
  const pairs = Object.entries(rest);
  return (
    <span className="wrapped">
      {name !== undefined && <span className="metric">{name}</span>}
      {(pairs.length > 0 || name === undefined) && '{'}
      {pairs.map(([key, value], i) => (
        <span key={key}>
          {i > 0 && ', '}
          <span className="label-name">{key}</span>={JSON.stringify(value)}
        </span>
      ))}
      {(pairs.length > 0 || name === undefined) && '}'}
    </span>
  );
}
