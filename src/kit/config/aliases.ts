import { type Alias, isAlias, isNode, isPair, type Node } from 'yaml';

/** Nodes that aliases may stand for, all together: they are the one way in which a small file becomes a large value. */
const NODES_MAX = 2_000_000;

/** Aliases of a file, with the nodes that they name; the first that may not name its node is `wrong`. */
export class Aliases {
  readonly #named = new Map<Alias, Node>();
  /** The first alias that is wrong. */
  wrong: { readonly offset: number; readonly reason: string } | undefined;

  static of(root: Node | null): Aliases {
    const aliases = new Aliases();
    if (root !== null) aliases.#read(root);
    return aliases;
  }

  private constructor() {}

  /** A node, or what an alias names. */
  resolve(node: unknown): Node | null {
    if (isAlias(node)) return this.#named.get(node) ?? null;
    return isNode(node) ? node : null;
  }

  /** Walks the file once, in its order: an anchor stands before its aliases, and may be set anew. */
  #read(root: Node): void {
    const anchors = new Map<string, { readonly node: Node; size: number | undefined }>();
    let added = 0;
    const sizeOf = (node: unknown): number => {
      if (isPair(node)) return sizeOf(node.key) + sizeOf(node.value);
      if (!isNode(node) || this.wrong !== undefined) return 0;
      if (isAlias(node)) {
        const anchor = anchors.get(node.source);
        const size = anchor?.size ?? 0;
        added += size;
        if (anchor === undefined) this.#refuse(node, `*${node.source} has no anchor before it`);
        else if (anchor.size === undefined) this.#refuse(node, `*${node.source} stands within what it names`);
        else if (added > NODES_MAX) this.#refuse(node, `aliases stand for more than ${NODES_MAX} values in this file`);
        else this.#named.set(node, anchor.node);
        return size;
      }
      const anchor = { node, size: undefined as number | undefined };
      if (node.anchor !== undefined) anchors.set(node.anchor, anchor);
      let size = 1;
      if ('items' in node) for (const item of node.items as readonly unknown[]) size += sizeOf(item);
      anchor.size = size;
      return size;
    };
    sizeOf(root);
  }

  #refuse(alias: Alias, reason: string): void {
    this.wrong = { offset: alias.range?.[0] ?? 0, reason };
  }
}
