import { NO_ROOM } from '../../contract/ingest.ts';
import { ByteReader, BytesError } from '../../lib/bytes.ts';
import { labelsAreWhole } from '../../model/canonical.ts';
import { writeErrors } from '../../model/errors-write.ts';
import { type FrameExemplar, readFrameExemplar } from '../../wire/frame-exemplars.ts';
import { readRichSample } from '../../wire/rich-samples.ts';
import { ASIDE_EXEMPLAR, ASIDE_NUMBERED_EXEMPLAR, ASIDE_SAMPLE, ASIDE_SERIES } from './aside-log.ts';
import type { StoredSeries } from './exemplars.ts';
import type { Head } from './head.ts';

/**
 * Puts in what was logged aside, a second time without harm. Returns the number of samples.
 * @param series those that entries told with a number, and their numbers: of this payload, or of all of a checkpoint
 * @throws BytesError
 */
export function replayAside(
  head: Head,
  payload: Uint8Array,
  lsn: number,
  series = new Map<number, StoredSeries>(),
): number {
  const { exports } = head.kernel;
  const from = new ByteReader(payload);
  let samples = 0;
  while (from.left > 0) {
    const kind = from.u8();
    if (kind === ASIDE_EXEMPLAR || kind === ASIDE_SERIES) {
      const number = kind === ASIDE_SERIES ? from.uvarint() : 0;
      const tenant = from.uvarint();
      const labels = from.take(from.count(1));
      if (!labelsAreWhole(labels)) throw new BytesError('labels that are none');
      const isKnown = head.tenants[tenant] !== undefined;
      if (kind === ASIDE_SERIES) {
        if (series.has(number)) throw new BytesError(`two series of number ${number}`);
        if (isKnown) series.set(number, head.exemplars.open(tenant, labels));
        continue;
      }
      const exemplar = readFrameExemplar(from);
      if (isKnown) replayExemplar(head, head.exemplars.open(tenant, labels), exemplar);
      continue;
    }
    if (kind === ASIDE_NUMBERED_EXEMPLAR) {
      const told = series.get(from.uvarint());
      const exemplar = readFrameExemplar(from);
      // without its series, whose record was lost, it is nobody's
      if (told !== undefined) replayExemplar(head, told, exemplar);
      continue;
    }
    if (kind !== ASIDE_SAMPLE) throw new BytesError(`an entry of kind ${kind}`);
    const ref = from.uvarint(0xffffff);
    const sample = readRichSample(from);
    // a ref without series: the record that named it was lost
    if (exports.replayCovered(ref, lsn) || !exports.seriesIsLive(ref)) continue;
    if (head.rich.append(ref, sample, Number.NEGATIVE_INFINITY) === NO_ROOM) {
      throw writeErrors.headFull({ usedBytes: head.bytes, limitBytes: head.bytesMax });
    }
    samples++;
  }
  return samples;
}

function replayExemplar(head: Head, series: StoredSeries, exemplar: FrameExemplar): void {
  if (!labelsAreWhole(exemplar.labels)) throw new BytesError('labels that are none');
  head.exemplars.addTo(series, exemplar, Number.POSITIVE_INFINITY);
}
