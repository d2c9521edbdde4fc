import type { Unit } from '../model/units.ts';

/** The axes of a chart, and whose values stand at which. */
export interface Sides {
  readonly left: Unit;
  /** Absent: there is one axis. */
  readonly right: Unit | undefined;
  /** @param place of a series among those that are drawn */
  readonly isRight: (place: number) => boolean;
}

/**
 * Axes by the units of what is drawn: the panel's at the left, the first other one at the right; what has a third unit stands at the
 * left. Areas upon each other have one axis.
 *
 * @param units of what is drawn, by place
 */
export function sidesOf(unit: Unit, units: readonly Unit[], isStacked: boolean): Sides {
  const left = units.length === 0 || units.includes(unit) ? unit : units[0]!;
  const right = isStacked ? undefined : units.find((own) => own !== left);
  return { left, right, isRight: (place) => right !== undefined && units[place] === right };
}
