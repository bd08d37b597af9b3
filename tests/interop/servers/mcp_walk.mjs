// Goes from no token to a call that needs a step-up, with a client of the TypeScript SDK. It prints each authorization URL for
// its caller to open, and reads the callback URL. At the end, it prints what it got.
import { createInterface } from 'node:readline';

// The schemas of the tools have formats that the validator of the SDK does not know.
const { warn } = console;
console.warn = (...texts) => { if (!`${texts[0]}`.startsWith('unknown format')) warn(...texts); };

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

class Provider {
  redirectUrl = 'http://127.0.0.1:9/callback'; // nothing is opened there

  #state = crypto.randomUUID();

  constructor(grants) {
    this.clientMetadata = {
      client_name: 'walk',
      redirect_uris: [this.redirectUrl],
      grant_types: grants,
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    };
  }

  state() { return this.#state; }

  clientInformation() { return this.client; }

  saveClientInformation(client) { this.client = client; }

  tokens() { return this.saved; }

  saveTokens(tokens) { this.saved = tokens; }

  codeVerifier() { return this.verifier; }

  saveCodeVerifier(verifier) { this.verifier = verifier; }

  discoveryState() { return this.discovered; }

  saveDiscoveryState(discovered) { this.discovered = discovered; }

  redirectToAuthorization(url) { this.url = url; }

  async callback() {
    console.log(JSON.stringify({ authorize: this.url.href }));
    const callback = new URL((await lines.next()).value);
    if (callback.searchParams.get('state') !== this.#state) throw new Error(`another state in ${callback}`);
    return callback.searchParams;
  }
}

// `finish` gives the parameters of a callback to a transport, `options` are those of a client, `grants` those to register.
export async function walk({ Client, StreamableHTTPClientTransport, UnauthorizedError, finish, options, grants }) {
  const url = new URL(process.argv[2]);
  const provider = new Provider(grants);
  const connect = async () => {
    const client = new Client({ name: 'walk', version: '1' }, options);
    const transport = new StreamableHTTPClientTransport(url, { authProvider: provider });
    try {
      await client.connect(transport);
    } catch (error) {
      if (!unauthorized(error)) throw error;
      await finish(transport, await provider.callback());
      return connect();
    }
    return { client, transport };
  };
  const unauthorized = (error) => {
    for (let cause = error; cause; cause = cause.cause ?? cause.data?.cause) {
      if (cause instanceof UnauthorizedError) return true;
    }
    return false;
  };

  const { client, transport } = await connect();
  const call = async (name, input) => {
    try {
      return await client.callTool({ name, arguments: input });
    } catch (error) {
      if (error.code === 403) return { structuredContent: { refused: 403 } };
      if (!unauthorized(error)) throw error;
      await finish(transport, await provider.callback());
      return client.callTool({ name, arguments: input });
    }
  };
  const { tools } = await client.listTools();
  const list = await call('list_jobs', {});
  const trigger = await call('trigger_build', { job: 'app' });
  console.log(JSON.stringify({
    tools: tools.map(({ name }) => name).sort(),
    list_jobs: list.structuredContent,
    trigger_build: trigger.structuredContent,
    revision: client.getNegotiatedProtocolVersion?.() ?? transport.protocolVersion,
  }));
  await client.close();
  process.exit();
}
