"""Asks for decisions as Envoy's ext_authz does: envoy_client.py ADDRESS TOKEN. Prints one line for each question."""

import sys

import grpc
from envoy.config.core.v3 import base_pb2
from envoy.service.auth.v3 import attribute_context_pb2, external_auth_pb2, external_auth_pb2_grpc

address, token = sys.argv[1:]
codes = {code.value[0]: code.name for code in grpc.StatusCode}
stub = external_auth_pb2_grpc.AuthorizationStub(grpc.insecure_channel(address))


def describe(headers=None, raw=None):
    http = attribute_context_pb2.AttributeContext.HttpRequest(
        id="1", method="GET", path="/page?x=1", host="gateway", scheme="http", protocol="HTTP/1.1", size=-1
    )
    http.headers.update(headers or {})
    for value in raw or []:
        http.header_map.headers.append(base_pb2.HeaderValue(key="authorization", raw_value=value.encode()))
    request = attribute_context_pb2.AttributeContext.Request(http=http)
    return attribute_context_pb2.AttributeContext(request=request)


def ask(what, attributes):
    answer = stub.Check(external_auth_pb2.CheckRequest(attributes=attributes), timeout=60)
    words = [what + ":", codes[answer.status.code]]
    if answer.WhichOneof("http_response") == "ok_response":
        for option in answer.ok_response.headers:
            words += ["set", option.header.key + "=" + option.header.value, "append=" + str(option.append.value)]
        words += ["remove", *answer.ok_response.headers_to_remove]
    else:
        denied = answer.denied_response
        challenges = [option.header.value for option in denied.headers if option.header.key == "www-authenticate"]
        words += [str(denied.status.code), challenges[0] if challenges else "None"]
    print(*words, flush=True)


valid = "Bearer " + token
ask("valid", describe({"authorization": valid, "x-forwarded-user": "admin"}))
ask("valid, raw headers", describe(raw=[valid]))
ask("none", describe({"x-forwarded-user": "admin"}))
ask("forged", describe({"authorization": "Bearer forged"}))
ask("two", describe(raw=[valid, valid]))
ask("no description", attribute_context_pb2.AttributeContext())
