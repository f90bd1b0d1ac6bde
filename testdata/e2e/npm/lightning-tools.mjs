// Buys one URL with @getalby/lightning-tools, then reads it again with the same credential.
// Usage: node lightning-tools.mjs l402|any|mpp URL
// With "mpp" it is the Payment scheme, which is first in the challenge for who asks for it.
import { fetch402 } from '@getalby/lightning-tools/402';
import { fetchWithL402 } from '@getalby/lightning-tools/402/l402';
import { fetchWithMpp } from '@getalby/lightning-tools/402/mpp';
import { paid, pay } from './lnd.mjs';

const [kind, url] = process.argv.slice(2);
const get = { any: fetch402, l402: fetchWithL402, mpp: fetchWithMpp }[kind];
const args = () => (kind === 'mpp' ? { headers: { 'Accept-Payment': 'lightning/charge' } } : {});
const wallet = { payInvoice: async ({ invoice }) => ({ preimage: await pay(invoice), fees_paid: 0 }) };

const first = await get(url, args(), { wallet });
const second = await get(url, args(), { wallet, credentials: first.payment.credentials });
console.log(JSON.stringify({
  payments: paid(),
  amount: first.payment.amountSat,
  answers: [[first.status, await first.text()], [second.status, await second.text()]],
}));
