import type { EventAnswer } from '../../../src/contract/services.ts';

/** A time that stands out in every chart: a deployment, or whatever else was sent in. Unix seconds. */
export interface TimeMark {
  readonly fromSeconds: number;
  /** The end of what took a while; undefined: a moment, or it goes on. */
  readonly toSeconds: number | undefined;
  readonly color: string;
  readonly isFaint: boolean;
  /** The words of a tooltip near to it. */
  readonly text: string;
}

/** Safe for eyes that tell few colours apart. */
const COLORS: Readonly<Record<EventAnswer['type'], string>> = {
  deployment: '#0072b2',
  canary: '#e69f00',
  rollback: '#d55e00',
  restart: '#8a8a8a',
  annotation: '#009e73',
};
const TEXT_CHARS_MAX = 200;

/** `deployment 1.4 → 1.5`, and what was said of it. */
export function eventText({ type, from, to, text }: EventAnswer): string {
  const versions = to === undefined ? '' : from === undefined ? to : `${from} → ${to}`;
  return [type, versions, text ?? '']
    .filter((part) => part !== '')
    .join(' ')
    .slice(0, TEXT_CHARS_MAX);
}

export function markOf(event: EventAnswer): TimeMark {
  return {
    fromSeconds: event.time / 1000,
    toSeconds: event.timeEnd === undefined ? undefined : event.timeEnd / 1000,
    color: COLORS[event.type] ?? COLORS.annotation,
    isFaint: event.type === 'restart',
    text: eventText(event),
  };
}

/** Texts of the marks that a point of a chart lies at. */
export function marksAt(marks: readonly TimeMark[], seconds: number, stepSeconds: number): string[] {
  const near = marks.filter(
    ({ fromSeconds, toSeconds }) =>
      seconds >= fromSeconds - stepSeconds / 2 && seconds <= (toSeconds ?? fromSeconds) + stepSeconds / 2,
  );
  return near.slice(0, 5).map(({ text }) => text);
}
