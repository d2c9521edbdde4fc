import type { ReactNode } from 'react';

const LINES_MAX = 500;
const INLINE = /`([^`]+)`|\*\*([^*]+)\*\*|\*([^*\s][^*]*)\*|\[([^\]]+)\]\(([^)\s]+)\)/g;

/** Words with headings, lists, code and links; whatever else stands there is shown as it is written. */
export function Markdown({ text }: { readonly text: string }) {
  const lines = text.slice(0, 65_536).split('\n').slice(0, LINES_MAX);
  return (
    <div className="markdown">
      {lines.map((line, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a line is its place
        <Line key={i} line={line} />
      ))}
    </div>
  );
}

function Line({ line }: { readonly line: string }) {
  const heading = /^(#{1,6})\s+(.*)$/.exec(line);
  if (heading !== null)
    return <div className={`markdown-${Math.min(3, heading[1]!.length)}`}>{inline(heading[2]!)}</div>;
  const item = /^\s*(?:[-*+]|\d+\.)\s+(.*)$/.exec(line);
  if (item !== null) return <div className="markdown-item">{inline(item[1]!)}</div>;
  return <div>{line.trim() === '' ? ' ' : inline(line)}</div>;
}

function inline(text: string): ReactNode[] {
  const parts: ReactNode[] = [];
  let at = 0;
  for (const match of text.matchAll(INLINE)) {
    const [whole, code, strong, slanted, words, href] = match;
    if (match.index > at) parts.push(text.slice(at, match.index));
    const key = match.index;
    if (code !== undefined) parts.push(<code key={key}>{code}</code>);
    else if (strong !== undefined) parts.push(<strong key={key}>{strong}</strong>);
    else if (slanted !== undefined) parts.push(<em key={key}>{slanted}</em>);
    else if (words !== undefined && isHarmless(href!)) {
      parts.push(
        <a key={key} href={href} rel="noreferrer noopener" target="_blank">
          {words}
        </a>,
      );
    } else parts.push(whole);
    at = match.index + whole.length;
  }
  if (at < text.length) parts.push(text.slice(at));
  return parts;
}

function isHarmless(href: string): boolean {
  return /^https?:\/\/[^\s]+$/i.test(href);
}
