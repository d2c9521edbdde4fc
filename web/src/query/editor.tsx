import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap, insertNewline } from '@codemirror/commands';
import { bracketMatching, HighlightStyle, syntaxHighlighting } from '@codemirror/language';
import type { Diagnostic } from '@codemirror/lint';
import { EditorState, Prec, type Text } from '@codemirror/state';
import { EditorView, keymap, placeholder } from '@codemirror/view';
import { tags } from '@lezer/highlight';
import { useEffect, useRef } from 'react';
import type { Answer } from '../api/columns.ts';
import { type ApiProblem, type Position, positionIn } from '../api/problem.ts';
import { styleNonce } from '../base.ts';
import { NO_VALUES, type Values } from '../dashboard/variables.ts';
import { useScope } from '../scope.tsx';
import { SearchClient } from './completion.ts';
import { promql, tell } from './promql-language.ts';
import { typingOver } from './typing-over.ts';

/** Notes that are marked, and characters of a name that are. */
const NOTES_MAX = 50;
const NAME_CHARS_MAX = 300;

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
  /** Notes of the answer to this text, which say where they belong. */
  readonly notes?: Pick<Answer, 'warnings' | 'infos'> | undefined;
  /** Those of a dashboard's variables; absent: it is no query of a dashboard. */
  readonly values?: Values;
}

/** PromQL with colours, completion from what the tenant has, and errors where they are. */
export function Editor(props: EditorProps) {
  const { text, problem, notes } = props;
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
    if (editor === undefined) return;
    const { doc } = editor.state;
    const marks = problem === undefined ? [] : [faultAt(doc, problem)];
    editor.dispatch({ effects: tell.of([...marks, ...notesIn(doc, notes)]) });
  }, [problem, notes]);

  return <div ref={element} className="editor" />;
}

function faultAt(doc: Text, { message, position }: ApiProblem): Diagnostic {
  const from = position === undefined ? undefined : offsetOf(doc, position);
  if (from === undefined) return { from: 0, to: doc.length, severity: 'error', message };
  const { to } = doc.lineAt(from);
  return { from: from === to ? Math.max(0, from - 1) : from, to, severity: 'error', message };
}

/** Notes at the names or calls that they are about; the others stand above the answer only. */
function notesIn(doc: Text, notes: Pick<Answer, 'warnings' | 'infos'> | undefined): Diagnostic[] {
  const all = [
    ...(notes?.warnings ?? []).map((message) => ({ message, severity: 'warning' as const })),
    ...(notes?.infos ?? []).map((message) => ({ message, severity: 'info' as const })),
  ];
  return all.slice(0, NOTES_MAX).flatMap(({ message, severity }) => {
    const position = positionIn(message);
    const from = position && offsetOf(doc, position);
    if (from === undefined || from >= doc.length) return [];
    const [word = ' '] = /^[\w:]+/.exec(doc.sliceString(from, from + NAME_CHARS_MAX)) ?? [];
    return [{ from, to: Math.min(doc.length, from + word.length), severity, message }];
  });
}

/** The server counts bytes in a line, the editor UTF-16 units. */
function offsetOf(doc: Text, { line, column }: Position): number | undefined {
  if (line > doc.lines) return undefined;
  const { text, from, to } = doc.line(line);
  const bytes = new TextEncoder().encode(text).subarray(0, column - 1);
  return Math.min(to, from + new TextDecoder().decode(bytes).length);
}
