import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap, insertNewline } from '@codemirror/commands';
import { bracketMatching, HighlightStyle, syntaxHighlighting } from '@codemirror/language';
import { type Diagnostic, setDiagnostics } from '@codemirror/lint';
import { EditorState, Prec } from '@codemirror/state';
import { EditorView, keymap, placeholder } from '@codemirror/view';
import { tags } from '@lezer/highlight';
import { useEffect, useRef } from 'react';
import type { ApiProblem } from '../api/problem.ts';
import { styleNonce } from '../base.ts';
import { NO_VALUES, type Values } from '../dashboard/variables.ts';
import { useScope } from '../scope.tsx';
import { SearchClient } from './completion.ts';
import { promql } from './promql-language.ts';
import { typingOver } from './typing-over.ts';

const theme = EditorView.theme({
  '&': { fontSize: '13px', backgroundColor: 'transparent' },
  '&.cm-focused': { outline: 'none' },
  '.cm-content': { fontFamily: 'var(--mantine-font-family-monospace)', caretColor: 'currentColor', padding: '7px 4px' },
  '.cm-cursor': { borderLeftColor: 'currentColor' },
  '.cm-tooltip': {
    backgroundColor: 'var(--mantine-color-body)',
    border: '1px solid var(--edge)',
    color: 'inherit',
  },
  '.cm-tooltip-autocomplete > ul > li': { padding: '2px 6px' },
  '.cm-tooltip-autocomplete > ul > li[aria-selected]': {
    backgroundColor: 'var(--mantine-primary-color-filled)',
    color: '#fff',
  },
  '.cm-completionInfo': { maxWidth: '420px', whiteSpace: 'pre-wrap' },
  '&.cm-focused .cm-selectionBackground, .cm-selectionBackground': {
    backgroundColor: 'var(--mantine-primary-color-light-hover)',
  },
});

const highlight = HighlightStyle.define([
  { tag: [tags.keyword, tags.operatorKeyword], color: 'var(--mantine-color-violet-text)' },
  { tag: tags.modifier, color: 'var(--mantine-color-violet-text)' },
  { tag: [tags.function(tags.variableName)], color: 'var(--mantine-color-blue-text)' },
  { tag: tags.labelName, color: 'var(--code-label)' },
  { tag: tags.string, color: 'var(--code-string)' },
  { tag: [tags.number, tags.literal], color: 'var(--mantine-color-cyan-text)' },
  { tag: tags.comment, color: 'var(--soft)', fontStyle: 'italic' },
  { tag: tags.invalid, textDecoration: 'underline wavy red' },
]);

export interface EditorProps {
  readonly text: string;
  readonly onText: (text: string) => void;
  readonly onRun: () => void;
  /** It has the keys from the beginning. */
  readonly takesFocus: boolean;
  /** The server's word on this text. */
  readonly problem: ApiProblem | undefined;
  /** Those of a dashboard's variables; absent: it is no query of a dashboard. */
  readonly values?: Values;
}

/** PromQL with colours, completion from what the tenant has, and errors where they are. */
export function Editor(props: EditorProps) {
  const { text, problem } = props;
  const { tenant } = useScope();
  const element = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(undefined);
  const latest = useRef(props);
  latest.current = props;
  const latestTenant = useRef(tenant);
  latestTenant.current = tenant;

  // biome-ignore lint/correctness/useExhaustiveDependencies: made once; what changes is read when it is needed
  useEffect(() => {
    const language = promql(
      new SearchClient(() => latestTenant.current),
      props.values && (() => latest.current.values ?? NO_VALUES),
    );
    const run = () => {
      latest.current.onRun();
      return true;
    };
    const made = new EditorView({
      parent: element.current!,
      state: EditorState.create({
        doc: text,
        extensions: [
          EditorView.cspNonce.of(styleNonce),
          Prec.highest(
            keymap.of([
              { key: 'Mod-Enter', run },
              { key: 'Shift-Enter', run: insertNewline },
            ]),
          ),
          autocompletion({ icons: false, maxRenderedOptions: 100 }),
          keymap.of([...completionKeymap, { key: 'Enter', run }]),
          history(),
          bracketMatching(),
          closeBrackets(),
          keymap.of([...closeBracketsKeymap, ...historyKeymap, ...defaultKeymap]),
          placeholder('rate(http_requests_total[5m])'),
          language.extension,
          syntaxHighlighting(highlight),
          theme,
          typingOver,
          EditorView.lineWrapping,
          EditorView.contentAttributes.of({ 'aria-label': 'query' }),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) latest.current.onText(update.state.doc.toString());
          }),
        ],
      }),
    });
    view.current = made;
    if (latest.current.takesFocus) {
      made.focus();
      made.dispatch({ selection: { anchor: made.state.doc.length } });
    }
    return () => {
      language.destroy();
      made.destroy();
    };
  }, []);

  useEffect(() => {
    const editor = view.current;
    if (editor === undefined || editor.state.doc.toString() === text) return;
    editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: text } });
  }, [text]);

  useEffect(() => {
    const editor = view.current;
    if (editor !== undefined)
      editor.dispatch(setDiagnostics(editor.state, problem === undefined ? [] : [mark(editor, problem)]));
  }, [problem]);

  return <div ref={element} className="editor" />;
}

/** The server counts bytes in a line, the editor UTF-16 units. */
function mark({ state: { doc } }: EditorView, { message, position }: ApiProblem): Diagnostic {
  if (position === undefined || position.line > doc.lines)
    return { from: 0, to: doc.length, severity: 'error', message };
  const line = doc.line(position.line);
  const bytes = new TextEncoder().encode(line.text).subarray(0, position.column - 1);
  const from = Math.min(line.to, line.from + new TextDecoder().decode(bytes).length);
  return {
    from: from === line.to ? Math.max(line.from, from - 1) : from,
    to: Math.max(from, line.to),
    severity: 'error',
    message,
  };
}
