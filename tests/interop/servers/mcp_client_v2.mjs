// The TypeScript SDK 2.x. The second argument is the mode of the negotiation: legacy or auto.
import { Client, StreamableHTTPClientTransport, UnauthorizedError } from '@modelcontextprotocol/client';
import { walk } from './mcp_walk.mjs';

const finish = (transport, parameters) => transport.finishAuth(parameters);
const options = { versionNegotiation: { mode: process.argv[3] } };
await walk({ Client, StreamableHTTPClientTransport, UnauthorizedError, finish, options, grants: ['authorization_code', 'refresh_token'] });
