import assert from 'node:assert/strict';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { findWebBuild } from '../../src/app/web-build.ts';

const EXECUTABLES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const executablePath = EXECUTABLES.find((file) => existsSync(file));

/** Why the pages cannot be tried here, or false. */
export const skip: string | false =
  executablePath === undefined
    ? 'no Chromium here: apt-get install chromium'
    : findWebBuild() === undefined
      ? 'the pages were not built: node web/build.mjs'
      : false;

/** Pictures of the run, to be looked at. */
export const screenshots = process.env.SCREENSHOTS ?? join(import.meta.dirname, '../../.cache/screenshots');

export function launch(): Promise<Browser> {
  // Chromium's own sandbox does not work as root, as in containers
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  return chromium.launch({ executablePath: executablePath!, args });
}

export interface VisitOptions {
  readonly width?: number;
  readonly height?: number;
  readonly dark?: boolean;
}

/** A browser of one user, that hears all that goes wrong. */
export class Visit implements AsyncDisposable {
  readonly page: Page;
  readonly #context: BrowserContext;
  readonly #origin: string;
  #isPassed = false;
  /** Errors that pages log, requests to other hosts, dialogs. */
  readonly faults: string[] = [];
  /** Answers of 400 and more that are expected: a browser logs each. */
  expectedStatuses: readonly number[] = [];

  private constructor(context: BrowserContext, page: Page, origin: string) {
    this.#context = context;
    this.page = page;
    this.#origin = origin;
    page.on('console', (message) => {
      if (message.type() !== 'error' && message.type() !== 'warning') return;
      const text = message.text();
      if (text.includes('willReadFrequently')) return; // of the tests' own looking at pixels
      const [, status] = /status of (\d+)/.exec(text) ?? [];
      if (status !== undefined && this.expectedStatuses.includes(Number(status))) return;
      this.faults.push(`${message.type()}: ${text} ${status === undefined ? '' : message.location().url}`.trimEnd());
    });
    page.on('pageerror', (error) => this.faults.push(`error: ${error.message}`));
    page.on('dialog', (dialog) => {
      this.faults.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on('request', (request) => {
      const url = request.url();
      if (!url.startsWith(origin) && !url.startsWith('data:') && !url.startsWith('blob:')) {
        this.faults.push(`request to ${url}`);
      }
    });
  }

  static async of(
    browser: Browser,
    url: string,
    { width = 1280, height = 800, dark }: VisitOptions = {},
  ): Promise<Visit> {
    const context = await browser.newContext({
      viewport: { width, height },
      colorScheme: dark ? 'dark' : 'light',
      timezoneId: 'Europe/Berlin',
    });
    const page = await context.newPage();
    page.setDefaultTimeout(120_000);
    return new Visit(context, page, new URL(url).origin);
  }

  async open(path: string): Promise<void> {
    await this.page.goto(`${this.#origin}${path}`);
  }

  /** Waits until no panel asks any more and something is drawn. */
  async drawn(count = 1): Promise<void> {
    await this.page.waitForFunction(
      (wanted) =>
        document.querySelectorAll('.panel[data-state="busy"]').length === 0 &&
        document.querySelectorAll('.chart canvas').length >= wanted,
      count,
    );
  }

  async picture(name: string): Promise<void> {
    mkdirSync(screenshots, { recursive: true });
    await this.page.screenshot({ path: join(screenshots, `${name}.png`) });
  }

  /** Pixels of a chart that are neither ground nor grid: lines, areas, cells. */
  colouredPixels(at = 0): Promise<number> {
    return this.page.evaluate((index) => {
      const canvas = document.querySelectorAll<HTMLCanvasElement>('.chart canvas')[index]!;
      const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
      let coloured = 0;
      for (let i = 0; i < data.length; i += 4) {
        const [r, g, b, alpha] = [data[i]!, data[i + 1]!, data[i + 2]!, data[i + 3]!];
        if (alpha > 60 && Math.max(r, g, b) - Math.min(r, g, b) > 60) coloured++;
      }
      return coloured;
    }, at);
  }

  /** Pixels of a chart in exactly this colour. */
  pixelsOf(colour: readonly [r: number, g: number, b: number], at = 0): Promise<number> {
    return this.page.evaluate(
      ([index, r, g, b]) => {
        const canvas = document.querySelectorAll<HTMLCanvasElement>('.chart canvas')[index]!;
        const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
        let count = 0;
        for (let i = 0; i < data.length; i += 4) {
          if (data[i] === r && data[i + 1] === g && data[i + 2] === b && data[i + 3] === 255) count++;
        }
        return count;
      },
      [at, ...colour] as const,
    );
  }

  assertClean(): void {
    this.#isPassed = true;
    assert.deepEqual(this.faults, []);
  }

  /** End of the visit. Where it did not come to `assertClean`, what the page shows is printed: no picture leaves CI. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isPassed) {
      const text = String(await this.page.locator('body').allInnerTexts().catch(String));
      console.error(`The page at the failure, ${this.page.url()}:\n${text.slice(0, 4_000)}`, this.faults);
    }
    await this.#context.close();
  }
}
