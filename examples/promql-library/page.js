import { ask } from './demo.js';

const form = document.querySelector('form');
const output = document.querySelector('pre');

async function answer() {
  output.textContent = (await ask(form.elements.expr.value)).join('\n');
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  answer();
});
answer();
