import { EditorView } from '@codemirror/view';

/**
 * Typing over a selection, done by the editor: left to itself, a browser keeps the colours of what was there in a `style` attribute,
 * which the policy of the page refuses.
 */
export const typingOver = EditorView.domEventHandlers({
  beforeinput(event, view) {
    const { data } = event;
    const { from, to, empty } = view.state.selection.main;
    if (event.inputType !== 'insertText' || data === null || event.isComposing || empty) return false;
    const insert = () =>
      view.state.update({
        changes: { from, to, insert: data },
        selection: { anchor: from + data.length },
        userEvent: 'input.type',
        scrollIntoView: true,
      });
    const isHandled = view.state.facet(EditorView.inputHandler).some((handle) => handle(view, from, to, data, insert));
    if (!isHandled) view.dispatch(insert());
    event.preventDefault();
    return true;
  },
});
