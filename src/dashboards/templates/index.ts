import type { Template } from '../template.ts';
import { monitoringTemplates } from './monitoring.ts';
import { platformTemplates } from './platform.ts';
import { redTemplates } from './red.ts';
import { runtimeTemplates } from './runtimes.ts';
import { storeTemplates } from './stores.ts';

/** All templates, in the order in which a dashboard shows them. */
export const TEMPLATES: readonly Template[] = [
  ...redTemplates,
  ...storeTemplates,
  ...monitoringTemplates,
  ...runtimeTemplates,
  ...platformTemplates,
];
