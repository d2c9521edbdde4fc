import { createContext } from 'react';
import type { TimeMark } from '../chart/time-mark.ts';

/** Times that all charts of a dashboard mark. */
export const TimeMarks = createContext<readonly TimeMark[]>([]);
