// A payee behind the LNURL server of npm's lnurl on LND's REST API. Prints the payee's LNURL in
// bech32 (LUD-01). The address, certificate and macaroon of LND come from the environment.
// Usage: node lnurl-server.mjs PORT
import lnurl from 'lnurl';

const [port] = process.argv.slice(2);
const server = lnurl.createServer({
  host: '127.0.0.1',
  port: Number(port),
  url: `http://127.0.0.1:${port}`,
  store: { backend: 'memory' },
  lightning: {
    backend: 'lnd',
    config: { baseUrl: process.env.LND_REST, cert: process.env.LND_CERT, macaroon: process.env.LND_MACAROON },
  },
});
await server.onReady();
const { encoded } = await server.generateNewUrl('payRequest', {
  minSendable: 1000, maxSendable: 1000000, commentAllowed: 100, metadata: JSON.stringify([['text/plain', 'a shop behind LNURL']]),
}, { uses: 0 }); // as often as it is asked for
console.log(`lnurl ${encoded}`);
