/**
 * The certified npm oidc-provider on a free port of loopback, with short tokens.
 *
 * Its one argument is JSON: `clients` (its own metadata), `accessTokenSeconds`, `par` (pushed requests:
 * offered or required), `nonces` (demanded in DPoP proofs), `resources` (absolute URIs that tokens can be
 * asked for). When it listens, it prints one line of JSON with its `issuer`; it ends when its standard input does, so that it never
 * outlives the tests. Beside its own endpoints:
 *
 *   GET  /test/seen                what it has emitted and answered so far
 *   POST /test/access-token-seconds?N   the life of access tokens from now on
 */

import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { once } from 'node:events';
import Provider, { errors } from 'oidc-provider';

const settings = JSON.parse(process.argv[2]);
let { accessTokenSeconds } = settings;

const server = createServer();
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: settings.clients,
  clockTolerance: 0, // otherwise a 5 s token lives 20 s
  scopes: ['openid', 'offline_access'],
  claims: { openid: ['sub'], profile: ['name'], email: ['email', 'email_verified'] },
  conformIdTokenClaims: false, // profile and e-mail in the ID token too, not only in UserInfo
  findAccount: (_ctx, sub) => ({
    accountId: sub,
    claims: () => ({ sub, name: `${sub} of Interop`, email: `${sub}@example.com`, email_verified: true }),
  }),
  cookies: { keys: ['of the tests only'] },
  // Its own refuses loopback addresses, by an agent that comes with the options.
  fetch: (url, { dispatcher: _, ...options }) => fetch(url, options),
  features: {
    backchannelLogout: { enabled: true },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: Boolean(settings.resources),
      getResourceServerInfo: (_ctx, resource) => {
        if (!settings.resources.includes(resource)) throw new errors.InvalidTarget();
        return { scope: 'reports:read', audience: resource, accessTokenFormat: 'opaque' };
      },
    },
    devInteractions: { enabled: true },
    dPoP: {
      enabled: true,
      nonceSecret: settings.nonces ? randomBytes(32) : undefined,
      requireNonce: () => Boolean(settings.nonces),
    },
    pushedAuthorizationRequests: {
      enabled: Boolean(settings.par),
      requirePushedAuthorizationRequests: settings.par === 'required',
    },
    introspection: { enabled: true },
    revocation: { enabled: true },
    rpInitiatedLogout: { enabled: true },
    userinfo: { enabled: true },
  },
  pkce: { required: () => true },
  rotateRefreshToken: true,
  ttl: {
    AccessToken: () => accessTokenSeconds,
    AuthorizationCode: 60,
    ClientCredentials: () => accessTokenSeconds,
    Grant: 3600,
    IdToken: 300,
    Interaction: 600,
    RefreshToken: 3600,
    Session: 3600,
  },
});

/** @type {{ grants: string[], saved: [string, string][], revoked: number, ended: number, told: string[], requests: string[] }} */
const seen = { grants: [], saved: [], revoked: 0, ended: 0, told: [], requests: [] };
provider.on('grant.success', (ctx) => seen.grants.push(ctx.oidc.params.grant_type));
provider.on('grant.revoked', () => { seen.revoked += 1; });
provider.on('end_session.success', () => { seen.ended += 1; });
provider.on('backchannel.success', (_ctx, { clientId }) => seen.told.push(`${clientId} took it`));
provider.on('backchannel.error', (_ctx, { message }) => seen.told.push(message));
for (const kind of ['access_token', 'client_credentials', 'refresh_token', 'authorization_code']) {
  provider.on(`${kind}.saved`, ({ jti }) => seen.saved.push([kind, jti])); // an opaque token is its jti
}

const answer = provider.callback();
server.on('request', (request, response) => {
  const { pathname, search } = new URL(request.url, issuer);
  if (pathname === '/test/seen') {
    response.end(JSON.stringify(seen));
  } else if (pathname === '/test/access-token-seconds') {
    accessTokenSeconds = Number(search.slice(1));
    response.end();
  } else {
    response.on('finish', () => seen.requests.push(`${request.method} ${pathname} ${response.statusCode}`));
    answer(request, response);
  }
});

process.stdin.on('end', () => process.exit(0));
process.stdin.resume();
console.log(JSON.stringify({ issuer }));
