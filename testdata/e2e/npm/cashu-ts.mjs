// Pays one URL with ecash by @cashu/cashu-ts, as the answer asks for it, and takes the change.
// Usage: node cashu-ts.mjs plain|locked MINT URL
// With "locked" the ecash is for the key that the request names, and comes with its DLEQ proofs.
import { CashuMint, CashuWallet, decodePaymentRequest, getEncodedToken } from '@cashu/cashu-ts';

const [kind, mint, url] = process.argv.slice(2);
const wallet = new CashuWallet(new CashuMint(mint));
await wallet.loadMint();
const quote = await wallet.createMintQuote(64);
let proofs = await wallet.mintProofs(64, quote.quote);
const sum = (list) => list.reduce((total, proof) => total + proof.amount, 0);

const offer = await fetch(url);
const request = decodePaymentRequest(offer.headers.get('X-Cashu'));
if (!request.mints.includes(mint) || request.unit !== 'sat') throw new Error('the request is for other ecash');
const options = { includeFees: true };
if (kind === 'locked') Object.assign(options, { pubkey: request.nut10.data, includeDleq: true });
// The plain one sends what it has, and gets change.
const { keep, send } = kind === 'locked' ? await wallet.send(request.amount, proofs, options) : { keep: [], send: proofs };
const token = getEncodedToken({ mint, proofs: send });

const paid = await fetch(url, { headers: { 'X-Cashu': token } });
const answers = [[paid.status, await paid.text()]];
const change = paid.headers.get('X-Cashu') ? await wallet.receive(paid.headers.get('X-Cashu')) : [];
const again = await fetch(url, { headers: { Authorization: paid.headers.get('X-L402-Token') } });
answers.push([again.status, await again.text()]);
console.log(JSON.stringify({ offered: offer.status, amount: request.amount, sent: sum(send), left: sum(keep) + sum(change), answers }));
