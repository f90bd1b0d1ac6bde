// Buys one URL with alby-tools, which then reads it again with the token it stored.
// Usage: node alby-tools.mjs URL
import { fetchWithL402 } from 'alby-tools';
import { paid, pay } from './lnd.mjs';

const [url] = process.argv.slice(2);
const entries = new Map();
const store = { getItem: (k) => entries.get(k) ?? null, setItem: (k, v) => { entries.set(k, v); } };
const webln = { enable: async () => {}, sendPayment: async (invoice) => ({ preimage: await pay(invoice) }) };

const answers = [];
for (let i = 0; i < 2; i += 1) {
  const response = await fetchWithL402(url, {}, { webln, store });
  answers.push([response.status, await response.text()]);
}
console.log(JSON.stringify({ payments: paid(), answers }));
