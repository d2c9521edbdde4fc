const GROUPS_MAX = 1_000;

/**
 * The groups of a rule file, each as a text of its own: the entries of the list below `groups:`, without their indent. The server
 * reads them; this only takes them apart, by their lines. A file without that list is taken for one group.
 */
export function groupsOfFile(text: string): string[] {
  const lines = text.split(/\r?\n/);
  const at = lines.findIndex((line) => /^groups:\s*(#.*)?$/.test(line));
  if (at === -1) return /^groups:\s*\[\s*\]/m.test(text) || text.trim() === '' ? [] : [text];
  const groups: string[][] = [];
  let indent: number | undefined;
  for (const line of lines.slice(at + 1)) {
    const begun = /^(\s*)-(\s+)(?=\S)/.exec(line);
    const blank = /^\s*(#.*)?$/.test(line);
    const depth = begun?.[1]?.length;
    indent ??= depth;
    if (begun !== null && depth === indent) {
      groups.push([' '.repeat(begun[0].length) + line.slice(begun[0].length)]);
    } else if (!blank && !/^\s/.test(line)) break;
    else groups.at(-1)?.push(line);
    if (groups.length > GROUPS_MAX) break;
  }
  return groups.map((group) => {
    const depth = /^ */.exec(group[0]!)![0].length;
    return `${group
      .map((line) => (line.startsWith(' '.repeat(depth)) ? line.slice(depth) : line))
      .join('\n')
      .trimEnd()}\n`;
  });
}
