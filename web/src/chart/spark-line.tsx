import type { Answer } from '../api/columns.ts';
import { strokesFor } from '../model/color.ts';
import { printSeries } from '../model/labels.ts';
import { extentOf, traceLine } from './line-path.ts';

/** Lines without axes, to see a shape by. */
export function SparkLine({
  answer,
  width,
  height,
}: {
  readonly answer: Answer;
  readonly width: number;
  readonly height: number;
}) {
  const { times, series } = answer;
  const extent = extentOf(
    series.map(({ values }) => values),
    0,
    times.length - 1,
  );
  if (extent === undefined) return <span className="dim">no values in this range</span>;
  const [least, greatest] = extent;
  const low = least > 0 && least < (greatest - least) * 2 ? 0 : least;
  const kx = times.length > 1 ? (width - 2) / (times.at(-1)! - times[0]!) : 1;
  const ky = -(height - 4) / (greatest - low || 1);
  const transform = { x0: 1 - times[0]! * kx, kx, y0: height - 2 - low * ky, ky };
  const strokes = strokesFor(series.map(({ labels }) => labels));
  return (
    <svg width={width} height={height} viewBox={`0 0 ${width} ${height}`} aria-hidden="true">
      {series.map(({ labels, values }, i) => {
        const steps: string[] = [];
        traceLine(times, values, 0, times.length - 1, transform, {
          moveTo: (x, y) => steps.push(`M${x.toFixed(1)} ${y.toFixed(1)}`),
          lineTo: (x, y) => steps.push(`L${x.toFixed(1)} ${y.toFixed(1)}`),
        });
        return (
          <path
            key={printSeries(labels)}
            d={steps.join('')}
            fill="none"
            stroke={strokes[i]!.color}
            strokeWidth="1.2"
            strokeLinecap="round"
          />
        );
      })}
    </svg>
  );
}
