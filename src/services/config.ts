import { duration, toggle } from '../kit/config/field.ts';
import { section } from '../kit/config/section.ts';

export const deploymentsConfig = section('deployments', 'Deployments', {
  enabled: toggle({
    default: true,
    help: 'Look each minute for deployments in the data of all tenants, and keep them as events. Off: events can be sent in and read.',
  }),
  historyMs: duration({
    default: '30d',
    help: 'Data of this time that is looked at once for each tenant; 0: none.',
  }),
});
