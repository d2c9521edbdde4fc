import type { IngesterService } from '../../ingester/service.ts';
import { AddressParams } from '../../kit/http/form.ts';
import { type HttpResponse, jsonResponse, type Route, textResponse } from '../../kit/http/message.ts';
import type { RingMember } from '../../ring/member.ts';
import type { ClusterNode } from '../cluster/cluster-node.ts';

export interface MemberRoutesOptions {
  readonly cluster: Pick<ClusterNode, 'member'>;
  readonly ingester: Pick<IngesterService, 'owed' | 'losses' | 'vouchDeletions'>;
}

/** Routes of an ingester that is one of several: `/ingester/drain`, `/ingester/mode`, `/ingester/vouch`. */
export function memberRoutes({ cluster, ingester }: MemberRoutesOptions): Route[] {
  const member = () => cluster.member!;
  const drainage = async () => {
    const { standing, wants, id, drainRefused, hasLeft } = member();
    const owed = (await ingester.owed()).size;
    const refused = wants === 'drain' ? drainRefused : undefined;
    return { id, standing: standing ?? 'unknown', wants, drained: hasLeft && owed === 0, windowsOwed: owed, refused };
  };
  return [
    {
      path: '/ingester/drain',
      methods: ['GET', 'POST', 'DELETE'],
      needs: 'admin',
      async handle({ method }) {
        const refused = wish(member(), method === 'POST' ? 'drain' : method === 'DELETE' ? 'join' : undefined);
        if (refused !== undefined) return textResponse(409, `refused: ${refused}\n`);
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
          const refused = wish(member(), mode === 'READONLY' ? 'drain' : 'join');
          if (refused !== undefined) return textResponse(409, `refused: ${refused}\n`);
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

/** Has a member wish to own nothing, or arcs. @returns why it is refused; undefined: it is not */
function wish(member: RingMember, wants: 'drain' | 'join' | undefined): string | undefined {
  const refused = wants === 'drain' ? member.drainRefused : wants === 'join' ? joinRefused(member) : undefined;
  if (refused !== undefined) return refused;
  if (wants === 'drain') member.drain();
  if (wants === 'join') member.join();
  return undefined;
}

/** Why a member cannot be asked to join, or to stay; undefined: it can. One that is out joins by itself once the store has its log. */
function joinRefused({ standing, wants }: RingMember): string | undefined {
  if (wants === 'leave') return 'it has left already: it joins again when it is started the next time';
  if (wants === 'nothing')
    return 'it is no member of the ring, and joins by itself when the store has what its log holds';
  if (wants === 'drain' && standing === 'out') {
    return 'it was taken out of the ring while it drained, leaves when the store has what it holds, and joins again when it is started the next time';
  }
  return undefined;
}
