/** The parts of a reference to a container's image. */
export interface ImageName {
  /** Without registry and path. */
  readonly name: string;
  readonly tag: string;
  /** `sha256:…` */
  readonly digest: string;
}

const DIGEST = /sha256:[0-9a-f]{12,}/;

/** Reads `registry:5000/path/name:tag@sha256:…`, and the bare digest that a runtime reports when it has no more. */
export function imageName(reference: string): ImageName {
  const digest = DIGEST.exec(reference)?.[0] ?? '';
  const [plain = ''] = reference.split('@');
  if (plain === digest) return { name: '', tag: '', digest };
  const base = plain.slice(plain.lastIndexOf('/') + 1);
  const colon = base.indexOf(':');
  return colon === -1
    ? { name: base, tag: '', digest }
    : { name: base.slice(0, colon), tag: base.slice(colon + 1), digest };
}

/** Tags that are moved from one image to the next: they say nothing. */
const MOVING = new Set(['', 'latest', 'stable', 'edge', 'nightly', 'main', 'master', 'dev', 'develop']);

/** The version that an image has: its tag, else its digest. */
export function imageVersion(image: ImageName, imageId: string): string {
  if (!MOVING.has(image.tag)) return image.tag;
  const digest = image.digest || (DIGEST.exec(imageId)?.[0] ?? '');
  return digest === '' ? image.tag : digest.slice(0, 'sha256:'.length + 12);
}
