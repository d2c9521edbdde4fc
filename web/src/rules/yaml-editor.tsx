import { autocompletion, CompletionContext, type CompletionSource } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap, indentWithTab } from '@codemirror/commands';
import { HighlightStyle, StreamLanguage, syntaxHighlighting } from '@codemirror/language';
import { EditorState } from '@codemirror/state';
import { EditorView, keymap, lineNumbers } from '@codemirror/view';
import { tags } from '@lezer/highlight';
import { LanguageType, newCompleteStrategy, promQLLanguage } from '@prometheus-io/codemirror-promql';
import { useEffect, useRef } from 'react';
import { styleNonce } from '../base.ts';
import { SearchClient } from '../query/completion.ts';
import { typingOver } from '../query/typing-over.ts';
import { useScope } from '../scope.tsx';
import { exprAt } from './expr-at.ts';

/** Colours for keys, strings, numbers and comments: all that YAML of rules needs. */
const yaml = StreamLanguage.define<{ readonly none?: never }>({
  name: 'yaml',
  startState: () => ({}),
  token(stream) {
    if (stream.eatSpace()) return null;
    if (stream.match(/^#.*/)) return 'comment';
    if (stream.match(/^(-\s+)?[\w.$/-]+(?=:(\s|$))/)) return 'propertyName';
    if (stream.match(/^"(?:[^"\\]|\\.)*"?/) || stream.match(/^'(?:[^']|'')*'?/)) return 'string';
    if (stream.match(/^-?\d+(\.\d+)?[smhdwy]*(?=[\s,\]}]|$)/)) return 'number';
    if (stream.match(/^[\w$]+/)) return null;
    stream.next();
    return null;
  },
});

const highlight = HighlightStyle.define([
  { tag: tags.propertyName, color: 'var(--mantine-color-blue-text)' },
  { tag: tags.string, color: 'var(--code-string)' },
  { tag: tags.number, color: 'var(--mantine-color-cyan-text)' },
  { tag: tags.comment, color: 'var(--soft)', fontStyle: 'italic' },
]);

const theme = EditorView.theme({
  '&': { fontSize: '13px', backgroundColor: 'transparent', minHeight: '160px', maxHeight: '70vh' },
  '&.cm-focused': { outline: 'none' },
  '.cm-scroller': { overflow: 'auto' },
  '.cm-content': { fontFamily: 'var(--mantine-font-family-monospace)', caretColor: 'currentColor' },
  '.cm-cursor': { borderLeftColor: 'currentColor' },
  '.cm-tooltip': { backgroundColor: 'var(--mantine-color-body)', border: '1px solid var(--edge)', color: 'inherit' },
  '.cm-gutters': { backgroundColor: 'transparent', color: 'var(--soft)', border: 'none' },
});

export interface YamlEditorProps {
  readonly label: string;
  readonly text: string;
  readonly onText: (text: string) => void;
  /** Completes PromQL behind `expr:`. */
  readonly completes?: boolean;
}

/** Completion of PromQL where a rule has it, from what the tenant has. */
function promqlWithin(tenant: () => string): CompletionSource {
  const strategy = newCompleteStrategy({ remote: new SearchClient(tenant) });
  const language = promQLLanguage(LanguageType.PromQL);
  return async ({ state, pos, explicit }) => {
    const expr = exprAt(state.doc.toString(), pos);
    if (expr === undefined) return null;
    // the expression by itself: around it stands YAML
    const inner = EditorState.create({ doc: expr.text, extensions: [language] });
    const found = await strategy.promQL(new CompletionContext(inner, pos - expr.from, explicit));
    if (found === null) return null;
    const to = found.to === undefined ? {} : { to: found.to + expr.from };
    return { ...found, from: found.from + expr.from, ...to };
  };
}

/** YAML with colours and line numbers. Escape and tab lead out of it by the keyboard. */
export function YamlEditor({ label, text, onText, completes = false }: YamlEditorProps) {
  const { tenant } = useScope();
  const latestTenant = useRef(tenant);
  latestTenant.current = tenant;
  const element = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(undefined);
  const latest = useRef(onText);
  latest.current = onText;

  // biome-ignore lint/correctness/useExhaustiveDependencies: made once; what changes is read when it is needed
  useEffect(() => {
    const made = new EditorView({
      parent: element.current!,
      state: EditorState.create({
        doc: text,
        extensions: [
          EditorView.cspNonce.of(styleNonce),
          lineNumbers(),
          completes ? autocompletion({ icons: false, override: [promqlWithin(() => latestTenant.current)] }) : [],
          history(),
          keymap.of([indentWithTab, ...historyKeymap, ...defaultKeymap]),
          yaml,
          syntaxHighlighting(highlight),
          theme,
          typingOver,
          EditorView.contentAttributes.of({ 'aria-label': label }),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) latest.current(update.state.doc.toString());
          }),
        ],
      }),
    });
    view.current = made;
    return () => made.destroy();
  }, []);

  useEffect(() => {
    const editor = view.current;
    if (editor === undefined || editor.state.doc.toString() === text) return;
    editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: text } });
  }, [text]);

  return <div ref={element} className="editor" />;
}
