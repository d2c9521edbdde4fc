import type { LanguageFlags } from '../contract/query.ts';
import { processErrors } from '../model/errors-process.ts';
import type { QuerierConfig } from './config.ts';

/**
 * Settings by which an expression has another answer, by flag. Those by which it is taken or refused are none of them; how far back selectors
 * look is said in each request.
 */
export function languageOf(config: QuerierConfig): LanguageFlags {
  return {
    '-querier.enable-promql-delayed-name-removal': config.enablePromqlDelayedNameRemoval,
    '-querier.enable-promql-start-timestamps': config.enablePromqlStartTimestamps,
    '-querier.enable-type-and-unit-labels': config.enableTypeAndUnitLabels,
  };
}

/**
 * A query is evaluated by the settings that its front end splits and caches it by. Flags that only one side knows are not compared.
 *
 * @throws querierDiffers
 */
export function checkLanguage(own: LanguageFlags, asked: LanguageFlags): void {
  for (const [flag, value] of Object.entries(own)) {
    const other = asked[flag];
    if (other !== undefined && other !== value) throw processErrors.querierDiffers({ flag, own: value, asked: other });
  }
}
