"""Goes from no token to a call that needs a step-up, with the Python SDK. See mcp_walk.mjs for what it prints and reads."""

import asyncio
import json
import sys
from urllib.parse import parse_qs, urlparse

import httpx2
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata

REDIRECT_URI = "http://127.0.0.1:9/callback"  # nothing is opened there


class Storage:
    tokens = None
    client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


async def open_in_browser(url):
    print(json.dumps({"authorize": url}), flush=True)


async def callback():
    line = await asyncio.to_thread(sys.stdin.readline)
    parameters = {name: values[0] for name, values in parse_qs(urlparse(line.strip()).query).items()}
    return AuthorizationCodeResult(**parameters)


async def main():
    url = sys.argv[1]
    metadata = OAuthClientMetadata(
        client_name="walk",
        redirect_uris=[REDIRECT_URI],
        grant_types=["authorization_code", "refresh_token"],
        response_types=["code"],
        token_endpoint_auth_method="none",
    )
    provider = OAuthClientProvider(url, metadata, Storage(), open_in_browser, callback)
    async with httpx2.AsyncClient(auth=provider, timeout=60) as http_client:
        async with Client(streamable_http_client(url, http_client=http_client)) as client:
            tools = await client.list_tools()
            jobs = await client.call_tool("list_jobs", {})
            build = await client.call_tool("trigger_build", {"job": "app"})
            result = {
                "tools": sorted(tool.name for tool in tools.tools),
                "list_jobs": jobs.structured_content,
                "trigger_build": build.structured_content,
                "revision": str(client.protocol_version),
            }
    print(json.dumps(result), flush=True)


asyncio.run(main())
