// Buys one URL with @getalby/lightning-tools, then reads it again with the same credential.
// Usage: node lightning-tools.mjs l402|any URL
import { fetch402 } from '@getalby/lightning-tools/402';
import { fetchWithL402 } from '@getalby/lightning-tools/402/l402';
import { paid, pay } from './lnd.mjs';

const [kind, url] = process.argv.slice(2);
const get = kind === 'any' ? fetch402 : fetchWithL402;
const wallet = { payInvoice: async ({ invoice }) => ({ preimage: await pay(invoice), fees_paid: 0 }) };

const first = await get(url, {}, { wallet });
const second = await get(url, {}, { wallet, credentials: first.payment.credentials });
console.log(JSON.stringify({
  payments: paid(),
  amount: first.payment.amountSat,
  answers: [[first.status, await first.text()], [second.status, await second.text()]],
}));
