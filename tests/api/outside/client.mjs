// What an integrator writes with `jose` and `openid-client`, and nothing that knows of us: the issuer's discovery document
// leads to the token endpoint and to the keys. Reads its settings as JSON from a line of standard input, and asks for tokens,
// verifies and uses them until standard input ends; then says on standard output what it saw.
//
// settings: issuer, client_id, client_secret or private_jwk; cooldown_ms (of jose's remote key set, default its own 30 s); read (a URL)
import { webcrypto } from 'node:crypto';
import { createInterface } from 'node:readline';

// Node.js 18 has these, but not as globals yet.
globalThis.crypto ??= webcrypto;
globalThis.CryptoKey ??= webcrypto.CryptoKey;

const { createRemoteJWKSet, customFetch, jwtVerify } = await import('jose');
const oauth = await import('openid-client');

const input = createInterface({ input: process.stdin });
let ended = false;
input.on('close', () => { ended = true; });
const settings = JSON.parse(await new Promise((resolve) => input.once('line', resolve)));

async function authentication() {
  if (!settings.private_jwk) return oauth.ClientSecretPost(settings.client_secret);
  const { kid, ...jwk } = settings.private_jwk;
  const key = await crypto.subtle.importKey('jwk', jwk, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']);
  return oauth.PrivateKeyJwt({ key, kid });
}

const seen = { tokens: 0, reads: 0, key_sets: 0, kids: [], failures: [] };
const known = await oauth.discovery(new URL(settings.issuer), settings.client_id, undefined, await authentication(),
  { algorithm: 'oauth2', execute: [oauth.allowInsecureRequests] });
const metadata = known.serverMetadata();

const options = { [customFetch]: (...request) => { seen.key_sets += 1; return fetch(...request); } };
if (settings.cooldown_ms !== undefined) options.cooldownDuration = settings.cooldown_ms;
const keys = createRemoteJWKSet(new URL(metadata.jwks_uri), options);

async function round() {
  const answer = await oauth.clientCredentialsGrant(known);
  const verified = await jwtVerify(answer.access_token, keys, { issuer: metadata.issuer, audience: 'utvag', algorithms: ['ES256'] });
  seen.tokens += 1;
  if (!seen.kids.includes(verified.protectedHeader.kid)) seen.kids.push(verified.protectedHeader.kid);
  const read = await fetch(settings.read, { headers: { authorization: `Bearer ${answer.access_token}` } });
  if (!read.ok) throw new Error(`${settings.read}: ${read.status} ${await read.text()}`);
  seen.reads += 1;
}

process.stderr.write('discovered\n');
while (!ended) {
  try {
    await round();
  } catch (error) {
    seen.failures.push(`${error.code ?? ''} ${error.message}: ${error.cause ?? ''}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
process.stdout.write(JSON.stringify({ ...seen, metadata }) + '\n');
