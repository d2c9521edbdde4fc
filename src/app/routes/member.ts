import type { IngesterService } from '../../ingester/service.ts';
import { AddressParams } from '../../kit/http/form.ts';
import { type HttpResponse, jsonResponse, type Route, textResponse } from '../../kit/http/message.ts';
import type { ClusterNode } from '../cluster/cluster-node.ts';

export interface MemberRoutesOptions {
  readonly cluster: ClusterNode;
  readonly ingester: Pick<IngesterService, 'owed' | 'losses' | 'vouchDeletions'>;
}

/** Routes of an ingester that is one of several: `/ingester/drain`, `/ingester/mode`, `/ingester/vouch`. */
export function memberRoutes({ cluster, ingester }: MemberRoutesOptions): Route[] {
  const member = () => cluster.member!;
  const drainage = async () => {
    const { standing, wants, id } = member();
    const isOut = standing === 'out' && wants === 'leave';
    const owed = (await ingester.owed()).size;
    return { id, standing: standing ?? 'unknown', wants, drained: isOut && owed === 0, windowsOwed: owed };
  };
  return [
    {
      path: '/ingester/drain',
      methods: ['GET', 'POST', 'DELETE'],
      needs: 'admin',
      async handle({ method }) {
        if (method === 'POST') member().drain();
        if (method === 'DELETE') {
          if (member().wants === 'leave') {
            return textResponse(409, 'it has left already: it joins again when it is started the next time\n');
          }
          member().join();
        }
        return jsonResponse(await drainage(), { status: method === 'POST' ? 202 : 200 });
      },
    },
    {
      path: '/ingester/mode',
      methods: ['GET', 'POST'],
      needs: 'admin',
      async handle({ method, query }): Promise<HttpResponse> {
        const mode = AddressParams.of(query).get('mode')?.toUpperCase();
        if (method === 'POST') {
          if (mode !== 'READONLY' && mode !== 'ACTIVE') return textResponse(400, 'mode is READONLY or ACTIVE\n');
          if (mode === 'READONLY') member().drain();
          else if (member().wants === 'leave') return textResponse(409, 'it has left already\n');
          else member().join();
        }
        return textResponse(200, `${member().wants === 'join' ? 'ACTIVE' : 'READONLY'}\n`);
      },
    },
    {
      path: '/ingester/vouch',
      methods: ['POST'],
      needs: 'admin',
      head: false,
      async handle({ query }) {
        if (AddressParams.of(query).get('confirm') !== member().id) {
          return textResponse(
            400,
            `refused: all that this ingester holds would be written to the store, though requests to delete it may be forgotten; say that it is meant by confirm=${member().id}\n`,
          );
        }
        await ingester.vouchDeletions();
        return textResponse(200, 'all that it holds is written\n');
      },
    },
  ];
}
