"""Large events that many clients send at once, to a function that is busy: what the server has in memory for them."""

import concurrent.futures
import json

import numpy
import tritonclient.grpc
from tritonclient.grpc import service_pb2
from tritonclient.utils import InferenceServerException

from harness import unique, until
from http2 import ENHANCE_YOUR_CALM, Connection, prefix
from test_collections_uploads import MIB, private_memory

SLOW = """
import time
def handler(event, context):
    time.sleep(0.5)
    return len(event["text"])
"""

ANSWERS_MUCH = """
def handler(event, context):
    return {"outputs": [{"name": "y", "shape": [1], "datatype": "BYTES", "data": ["x" * 5_800_000]}]}
"""
MEBI = 1 << 20


def test_the_memory_of_events_that_wait_is_bounded(fresh):
    server = fresh("limits.memory_budget=256MB")
    name = unique("slow")
    server.create(SLOW, name=name)
    assert server.invoke(name, {"text": ""}).payload == 0
    before, peak = private_memory(server), 0
    body = json.dumps({"text": "x" * 5_900_000}).encode()
    with concurrent.futures.ThreadPoolExecutor(80) as clients:
        sent = [clients.submit(server.raw, "POST", f"/2015-03-31/functions/{name}/invocations", body) for _ in range(80)]
        while not all(one.done() for one in sent):
            peak = max(peak, private_memory(server))
            concurrent.futures.wait(sent, 0.02, concurrent.futures.FIRST_COMPLETED)
    assert [one.result().data for one in sent] == [b"5900000"] * 80
    assert peak - before < 300 * MIB, f"{(peak - before) // MIB} MiB"


def test_the_memory_of_large_messages_by_grpc_is_given_back(fresh):
    server = fresh("grpc_listen=127.0.0.1:0")
    address = server.get("/samovar/v1/config")["grpc_listen"]
    large = numpy.ones(15_000_000, numpy.float32)

    def ask(_):
        one = tritonclient.grpc.InferInput("x", list(large.shape), "FP32")
        one.set_data_from_numpy(large)
        client = tritonclient.grpc.InferenceServerClient(address)
        try:
            client.infer("nobody", [one])
        except InferenceServerException as refused:
            return refused.status()
        finally:
            client.close()

    with concurrent.futures.ThreadPoolExecutor(12) as clients:
        assert set(clients.map(ask, range(12))) == {"StatusCode.NOT_FOUND"}
    until(lambda: private_memory(server) < 150 * MIB, 60, "memory that is given back")


def test_a_message_by_grpc_without_end_is_broken_off(fresh):
    server = fresh("grpc_listen=127.0.0.1:0")
    with Connection(server.get("/samovar/v1/config")["grpc_listen"]) as client:
        call, block, sent = client.call(), bytes(32 * MEBI), 0
        client.send(call, prefix(4_000_000_000))
        while call not in client.ended and sent < 1600 * MEBI:
            sent += client.send(call, block)
        assert client.ended.get(call) == ENHANCE_YOUR_CALM, f"{sent // MEBI} MiB were taken"
        assert private_memory(server) < 1600 * MIB
        until(lambda: private_memory(server) < 150 * MIB, 60, "memory that is given back")


def test_the_memory_of_answers_that_a_client_of_grpc_does_not_take_is_bounded(fresh):
    server = fresh("grpc_listen=127.0.0.1:0", "limits.memory_budget=400MB")
    name = unique("large")
    server.create(ANSWERS_MUCH, name=name)
    asked = service_pb2.ModelInferRequest(model_name=name, inputs=[{"name": "x", "datatype": "BOOL", "shape": [1]}])
    asked.inputs[0].contents.bool_contents.append(True)
    message = prefix(asked.ByteSize()) + asked.SerializeToString()
    with Connection(server.get("/samovar/v1/config")["grpc_listen"], window=0, timeout=60) as client:
        for call in [client.call() for _ in range(60)]:
            client.send(call, message, last=True)
        peak = 0
        while len(client.ended) < 60 - 256 // 11:  # the others are held
            client.read()
            peak = max(peak, private_memory(server))
        assert peak < 520 * MIB, f"{peak // MIB} MiB"
