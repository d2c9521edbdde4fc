import { email } from './email.ts';
import type { ReceiverKind } from './kind.ts';
import { msteams, msteamsv2 } from './msteams.ts';
import { opsgenie } from './opsgenie.ts';
import { pagerduty } from './pagerduty.ts';
import { slack } from './slack.ts';
import { webhook } from './webhook.ts';

/** All kinds of receivers. */
export const receiverKinds: readonly ReceiverKind[] = [webhook, email, pagerduty, slack, opsgenie, msteams, msteamsv2];
