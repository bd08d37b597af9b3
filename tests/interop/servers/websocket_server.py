"""A WebSocket server that reports what it received, and then echoes messages. It prints its URL, and ends when its input ends."""

import asyncio
import sys

from websockets.asyncio.server import serve


async def tell_and_echo(connection):
    headers = connection.request.headers
    await connection.send(headers.get("X-Forwarded-User", "nobody"))
    await connection.send(headers.get("Sec-WebSocket-Protocol", ""))
    await connection.send(str(headers.get("Authorization")))
    async for message in connection:
        await connection.send(message)


async def main():
    async with serve(tell_and_echo, "127.0.0.1", 0, subprotocols=["chat"], max_size=None) as server:
        print("http://127.0.0.1:%d" % server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(main())
