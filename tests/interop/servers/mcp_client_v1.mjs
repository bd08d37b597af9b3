// The TypeScript SDK 1.x. The second argument says whether it asks for a refresh token: refresh or without-refresh.
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { walk } from './mcp_walk.mjs';

const finish = (transport, parameters) => transport.finishAuth(parameters.get('code'));
const grants = ['authorization_code', ...(process.argv[3] === 'refresh' ? ['refresh_token'] : [])];
await walk({ Client, StreamableHTTPClientTransport, UnauthorizedError, finish, options: {}, grants });
