// node web/test/ring-page.ts URL MEMBER...: goes to the page of a process' ring, where its members are, with the windows that they owe.
import { launch, skip, Visit } from './browser.ts';

const [url = '', ...members] = process.argv.slice(2);
if (skip !== false) {
  console.error(`the page of the ring is not looked at: ${skip}`);
  process.exit(0);
}
const browser = await launch();
try {
  await using visitor = await Visit.of(browser, url);
  const { page } = visitor;
  await visitor.open('/ui/operating?view=cluster');
  const table = page.getByRole('region', { name: 'members' });
  for (const member of members) {
    await table
      .getByRole('cell', { name: new RegExp(`^${member}-`) })
      .first()
      .waitFor();
  }
  // what has just been written is not in the store yet
  await page.waitForFunction((count) => {
    const [head, ...rows] = document.querySelectorAll('section[aria-label=members] tr');
    const at = [...(head?.children ?? [])].findIndex(({ textContent }) => textContent === 'holds.windowsOwed');
    return rows.filter((row) => Number(row.children[at]?.textContent) > 0).length >= count;
  }, members.length);
  await visitor.picture('ring');
  await visitor.open('/ui/operating?view=process');
  await page.getByRole('cell', { name: 'ring-meetings' }).waitFor();
  visitor.assertClean();
} finally {
  await browser.close();
}
