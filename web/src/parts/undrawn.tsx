/** The word on what a chart leaves out; nothing where it leaves out nothing. */
export function Undrawn({ what }: { readonly what: string | undefined }) {
  return what !== undefined && <p className="dim">{what}</p>;
}
