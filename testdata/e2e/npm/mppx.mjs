// Buys one URL with mppx by the Payment scheme, then reads it again with the same credential.
// Usage: node mppx.mjs plain|beside URL
// With "beside" the request carries an Authorization of its own, so that the credential must travel in
// Payment-Authorization.
import { Challenge, Credential, Method, Receipt } from 'mppx';
import { Mppx } from 'mppx/client';
import { z } from 'mppx';
import { paid, pay } from './lnd.mjs';

const [kind, url] = process.argv.slice(2);
const headers = kind === 'beside' ? { Authorization: 'Bearer of-the-upstream' } : {};

let used;
const lightning = Method.toClient(Method.from({
  name: 'lightning',
  intent: 'charge',
  schema: {
    credential: { payload: z.object({ preimage: z.string() }) },
    request: z.object({ amount: z.string(), currency: z.string() }),
  },
}), {
  async createCredential({ challenge }) {
    const { invoice, paymentHash } = challenge.request.methodDetails;
    if (challenge.request.currency !== 'sat' || !paymentHash) {
      throw new Error(`cannot pay ${JSON.stringify(challenge.request)}`);
    }
    const credential = Credential.serialize({ challenge, payload: { preimage: await pay(invoice) } });
    used = { credential, header: Challenge.credentialHeader(challenge), amount: Number(challenge.request.amount) };
    return credential;
  },
});

const { fetch: paying } = Mppx.create({ methods: [lightning], polyfill: false });
const first = await paying(url, { headers });
const receipt = Receipt.fromResponse(first);
const second = await fetch(url, { headers: { ...headers, [used.header]: used.credential } });
console.log(JSON.stringify({
  payments: paid(),
  amount: used.amount,
  header: used.header,
  receipt,
  answers: [[first.status, await first.text()], [second.status, await second.text()]],
}));
