// node main.js [EXPRESSION...]
import { ask } from './demo.js';

const given = process.argv.slice(2);
const exprs = given.length > 0 ? given : ['sum by(job)(rate(http_requests_total[5m]))', 'http_requests_total offset'];
for (const expr of exprs) console.log((await ask(expr)).join('\n'));
