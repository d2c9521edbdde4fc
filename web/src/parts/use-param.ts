import { useCallback } from 'react';
import { useSearch } from 'wouter/use-browser-location';
import { useParamSetter } from '../scope.tsx';

/** A parameter of the page's address, empty where it is not there, and what sets it. */
export function useParam(name: string): readonly [value: string, set: (value: string) => void] {
  const search = useSearch();
  const setParams = useParamSetter();
  const set = useCallback(
    (value: string) => setParams((all) => (value === '' ? all.delete(name) : all.set(name, value))),
    [setParams, name],
  );
  return [new URLSearchParams(search).get(name) ?? '', set];
}
