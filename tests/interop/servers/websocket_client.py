"""Opens WebSockets as a browser does: websocket_client.py URL TOKEN. Prints one line for each step."""

import asyncio
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

url, token = sys.argv[1:]


def say(*words):
    print(*words, flush=True)


async def main():
    for what, subprotocols in [("without a", ["chat"]), ("with a forged", ["chat", "bearer.forged"])]:
        try:
            async with connect(url, subprotocols=subprotocols, proxy=None):
                say("connected", what, "token")
        except InvalidStatus as error:
            say("refused", what, "token:", error.response.status_code)

    subprotocols = ["chat", "bearer." + token]
    async with connect(url, subprotocols=subprotocols, proxy=None, max_size=None) as connection:
        say("selected:", connection.subprotocol)
        say("user:", await connection.recv())
        say("offered:", await connection.recv())
        say("credential:", await connection.recv())
        await connection.send(b"x" * (1 << 20))
        say("echo:", len(await connection.recv()), "bytes")
        await connection.close()
    say("closed:", connection.close_code)


asyncio.run(main())
