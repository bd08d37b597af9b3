// Validates access tokens with npm's jose and oauth4webapi, configured as a resource server of RFC 9068. Reads one line of JSON:
// issuer, audience, clockSkew and now in seconds, jwks, and tokens as pairs of name and text. Prints one line of JSON: for each
// name and each library, null or the reason for the refusal.
import { createInterface } from 'node:readline';
import * as jose from 'jose';
import * as oauth from 'oauth4webapi';

const SIGNATURES = [
  'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519',
];

async function refusal(judge) {
  try {
    await judge();
    return null;
  } catch (error) {
    return `${error.code ?? error.name}: ${error.message}`;
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const { issuer, audience, clockSkew, now, jwks, tokens } = JSON.parse(line);
  Date.now = () => now * 1000; // the clock of oauth4webapi
  const keys = jose.createLocalJWKSet(jwks);
  const server = { issuer, jwks_uri: `${issuer}/jwks` };
  const verdicts = {};
  for (const [name, token] of tokens) {
    verdicts[name] = {
      jose: await refusal(() => jose.jwtVerify(token, keys, {
        issuer,
        audience,
        typ: 'at+jwt',
        algorithms: SIGNATURES,
        clockTolerance: clockSkew,
        currentDate: new Date(now * 1000),
        requiredClaims: ['iss', 'exp', 'aud', 'sub', 'iat', 'jti'],
      })),
      oauth4webapi: await refusal(() => oauth.validateJwtAccessToken(
        server,
        new Request('https://orders.example.com/', { headers: { authorization: `Bearer ${token}` } }),
        audience,
        {
          signingAlgorithms: SIGNATURES,
          [oauth.clockTolerance]: clockSkew,
          [oauth.customFetch]: async () => Response.json(jwks),
        },
      )),
    };
  }
  console.log(JSON.stringify(verdicts));
}
