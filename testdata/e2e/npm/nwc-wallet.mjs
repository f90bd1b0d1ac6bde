// A wallet that is reached with Nostr Wallet Connect (NIP-47): the wallet service of @getalby/sdk
// in front of LND's REST API. It can receive and look up and nothing else. Prints the connection
// URI, then a line for each request with the encryption that it came in.
// Usage: node nwc-wallet.mjs RELAY nip04|nip44
//
// With nip04 the info event has no encryption tag, as that of a wallet which is older than the tag.
import { randomBytes } from 'node:crypto';
import WebSocket from 'ws';
import { call } from './lnd.mjs';

globalThis.WebSocket ??= WebSocket; // Node.js has one of its own from version 22 on
const { NWCWalletService, NWCWalletServiceKeyPair } = await import('@getalby/sdk/nwc');

const [relay, encryption] = process.argv.slice(2);
const [walletSecret, clientSecret] = [randomBytes(32), randomBytes(32)].map((b) => b.toString('hex'));
// The pair's only way from a secret key to a public one.
const publicKey = (secret) => new NWCWalletServiceKeyPair(secret, 'nobody').walletPubkey;
const hex = (base64) => Buffer.from(base64 ?? '', 'base64').toString('hex');
const methods = ['make_invoice', 'lookup_invoice'];

class Service extends NWCWalletService {
  signEvent(event, secret) {
    const old = event.kind === 13194 && encryption === 'nip04';
    return super.signEvent(old ? { ...event, tags: event.tags.filter(([name]) => name !== 'encryption') } : event, secret);
  }

  async decrypt(pair, content, scheme) {
    const text = await super.decrypt(pair, content, scheme);
    console.log(`request ${JSON.parse(text).method} ${scheme}`);
    return text;
  }
}

async function find(hash) {
  const invoice = await call('GET', `/v1/invoice/${hash}`);
  if (!invoice.r_hash) {
    return { result: undefined, error: { code: 'NOT_FOUND', message: String(invoice.message) } };
  }
  const settled = invoice.state === 'SETTLED';
  return {
    error: undefined,
    result: {
      type: 'incoming',
      state: settled ? 'settled' : invoice.state === 'CANCELED' ? 'failed' : 'pending',
      invoice: invoice.payment_request,
      description: invoice.memo,
      description_hash: hex(invoice.description_hash),
      preimage: settled ? hex(invoice.r_preimage) : '',
      payment_hash: hex(invoice.r_hash),
      amount: Number(invoice.value_msat),
      fees_paid: 0,
      created_at: Number(invoice.creation_date),
      expires_at: Number(invoice.creation_date) + Number(invoice.expiry),
      settled_at: Number(invoice.settle_date),
    },
  };
}

const service = new Service({ relayUrls: [relay] });
await service.publishWalletServiceInfoEvent(walletSecret, methods, []);
await service.subscribe(new NWCWalletServiceKeyPair(walletSecret, publicKey(clientSecret)), {
  async makeInvoice({ amount, description, expiry }) {
    const made = await call('POST', '/v1/invoices', { value_msat: String(amount), memo: description, expiry: String(expiry ?? 3600) });
    return find(hex(made.r_hash));
  },
  lookupInvoice: ({ payment_hash: hash }) => find(hash),
});
console.log(`uri nostr+walletconnect://${publicKey(walletSecret)}?relay=${encodeURIComponent(relay)}&secret=${clientSecret}`);
