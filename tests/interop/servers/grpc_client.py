"""Calls methods with grpcio. Reads one call per line of JSON and prints its result as one line of JSON.

A call has target, method, kind (unary, server, client, bidi), messages and metadata. The result has code, message, received
messages, and metadata: the initial and the trailing one. A bidirectional call also prints `open` after its first message, and
sends nothing more until the server ends it.
"""

import json
import sys
import threading

import grpc


def encode(text):
    """Encodes `message Words { string text = 1; }`."""
    data = text.encode()
    assert len(data) < 128
    return bytes([0x0A, len(data)]) + data


def decode(data):
    return data[2:].decode()


def call(channel, request):
    method, kind = request["method"], request["kind"]
    options = {
        "metadata": [tuple(pair) for pair in request["metadata"]],
        "timeout": 60,
    }
    messages = request["messages"]
    received = []
    if kind in ("unary", "server"):
        start = channel.unary_unary if kind == "unary" else channel.unary_stream
        argument = messages[0]
    else:
        start = channel.stream_unary if kind == "client" else channel.stream_stream
        argument = iter(messages)
    done = threading.Event()
    if kind == "bidi":

        def wait_for_the_server():
            yield from messages
            done.wait()

        argument = wait_for_the_server()
    stub = start(method, request_serializer=encode, response_deserializer=decode)
    try:
        if kind in ("unary", "client"):
            future = stub.future(argument, **options)
            received.append(future.result())
            return future, received
        stream = stub(argument, **options)
        for message in stream:
            received.append(message)
            if kind == "bidi" and len(received) == 1:
                print("open", flush=True)
        return stream, received
    except grpc.RpcError as error:
        return error, received
    finally:
        done.set()


for line in sys.stdin:
    request = json.loads(line)
    with grpc.insecure_channel(request["target"]) as channel:
        outcome, received = call(channel, request)
        result = {
            "code": outcome.code().value[0],
            "message": outcome.details(),
            "received": received,
            "initial": [[key, str(value)] for key, value in outcome.initial_metadata() or ()],
            "trailing": [[key, str(value)] for key, value in outcome.trailing_metadata() or ()],
        }
    print(json.dumps(result), flush=True)
