// Speaks to the REST API of an LND node. The address, the certificate and the macaroon come from
// the environment: LND_REST, LND_CERT, LND_MACAROON.
import fs from 'node:fs';
import https from 'node:https';

const ca = fs.readFileSync(process.env.LND_CERT);
const macaroon = fs.readFileSync(process.env.LND_MACAROON).toString('hex');

let payments = 0;

/** How many invoices were paid so far. */
export const paid = () => payments;

/** Makes a call and returns the last of the JSON objects that come back, one a line. */
export function call(method, path, body) {
  return new Promise((resolve, reject) => {
    const request = https.request(`${process.env.LND_REST}${path}`, {
      method, ca, timeout: 30000, headers: { 'Grpc-Metadata-macaroon': macaroon },
    }, (response) => {
      let text = '';
      response.on('data', (chunk) => { text += chunk; });
      response.on('end', () => {
        try {
          resolve(JSON.parse(text.trim().split('\n').pop()));
        } catch (e) {
          reject(e);
        }
      });
    });
    request.on('timeout', () => request.destroy(new Error('LND does not answer')));
    request.on('error', reject);
    request.end(body && JSON.stringify(body));
  });
}

/** Pays a BOLT 11 invoice and returns the preimage in hex. */
export async function pay(invoice) {
  // The updates of a payment come one a line; the last one decides.
  const { result, error } = await call('POST', '/v2/router/send', {
    payment_request: invoice, timeout_seconds: 20, fee_limit_sat: '100', no_inflight_updates: true,
  });
  if (result?.status !== 'SUCCEEDED') {
    throw new Error(`payment failed: ${result?.failure_reason ?? error?.message}`);
  }
  payments += 1;
  return result.payment_preimage;
}
