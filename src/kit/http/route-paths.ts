import { parseTarget } from './url.ts';

interface RoutePath<Route> {
  /** One that begins with a colon stands for any that is not empty. */
  readonly segments: readonly string[];
  readonly route: Route;
}

/**
 * Finds the route of a path whatever the method: for answers that tell which ones are served. The router itself would need a tree of
 * all paths for each method that there is, half a megabyte each.
 */
export class RoutePaths<Route> {
  readonly #paths: RoutePath<Route>[] = [];

  add(path: string, route: Route): void {
    this.#paths.push({ segments: path.split('/'), route });
  }

  /** @param target as it came, with what stands behind `?` */
  find(target: string): Route | undefined {
    const [path] = target.split('?', 1);
    const asked = path!.split('/').map((segment) => parseTarget(segment).path);
    return this.#paths.find(({ segments }) => matches(segments, asked))?.route;
  }
}

function matches(segments: readonly string[], asked: readonly string[]): boolean {
  return (
    segments.length === asked.length &&
    segments.every((segment, i) => (segment.startsWith(':') ? asked[i] !== '' : segment === asked[i]))
  );
}
