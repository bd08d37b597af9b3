// An authorization server made with npm's oidc-provider. It prints its issuer, then obeys the lines that it reads.
//
//   rotate    signs with new keys; the old ones stay published
//   retire    no longer publishes the old keys
//
// A resource is the URL of the API plus `/opaque`, or plus `/` and the algorithm that its tokens are signed with.
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import Provider from 'oidc-provider';

// Its warnings about in-memory storage and default settings.
console.info = console.warn = () => {};

const ALGORITHMS = ['RS256', 'PS256', 'ES256', 'EdDSA'];

function generateKey(alg) {
  const { privateKey } = {
    RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
    PS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
    ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    EdDSA: () => generateKeyPairSync('ed25519'),
  }[alg]();
  return { ...privateKey.export({ format: 'jwk' }), alg, use: 'sig', kid: `${alg}-${randomUUID()}` };
}

function client(id, more) {
  return { client_id: id, client_secret: `${id}-secret`, redirect_uris: [], response_types: [], ...more };
}

const clients = [
  client('service', { grant_types: ['client_credentials'] }),
  client('bound-service', { grant_types: ['client_credentials'], dpop_bound_access_tokens: true }),
  client('web-shop', {
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    redirect_uris: ['https://shop.example.com/callback'],
  }),
  client('orders-api', { grant_types: [] }),
];

function provider(issuer, keys) {
  const made = new Provider(issuer, {
    clients,
    jwks: { keys },
    cookies: { keys: ['interop'] },
    scopes: ['openid', 'offline_access', 'orders:read', 'orders:write'],
    enabledJWA: { idTokenSigningAlgValues: ALGORITHMS },
    features: {
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: (_ctx, client) => client.clientId === 'orders-api' },
      revocation: { enabled: true, allowedPolicy: () => true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => undefined,
        useGrantedResource: () => true,
        getResourceServerInfo(_ctx, resource) {
          const last = resource.split('/').at(-1);
          const more = last === 'opaque'
            ? { accessTokenFormat: 'opaque' }
            : { accessTokenFormat: 'jwt', jwt: { sign: { alg: last } } };
          return { scope: 'orders:read orders:write', audience: resource, accessTokenTTL: 600, ...more };
        },
      },
    },
    pkce: { required: () => true },
    ttl: { Session: 600, Grant: 600, Interaction: 600, IdToken: 600 },
  });
  for (const event of ['server_error', 'grant.error']) made.on(event, (_ctx, error) => console.error(error));
  return made.callback();
}

let keys = ALGORITHMS.map(generateKey);
let handle;
const server = createServer((request, response) => handle(request, response));
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  handle = provider(issuer, keys);
  console.log(issuer);

  const commands = createInterface({ input: process.stdin });
  commands.on('line', (command) => {
    if (command === 'rotate') keys = [...ALGORITHMS.map(generateKey), ...keys];
    if (command === 'retire') keys = keys.slice(0, ALGORITHMS.length);
    handle = provider(issuer, keys);
    console.log(command);
  });
  commands.on('close', () => process.exit());
});
