"""Requests for one model that run as one batch: answers are as without, and each error is its own."""

import json
import lzma
import threading

from onnx import helper

from models import DATA, FLOAT, INT64, ask, build, deploy, instance_ids, node

INVALID = "Model.InvalidInput"


def test_batches_answer_as_single_requests_do_and_a_bad_one_fails_alone(server):
    """Many at once: each gets the answer that it gets alone, to the last digit; the bad ones their own errors."""
    model = lzma.decompress((DATA / "rf200.onnx.xz").read_bytes())
    sample = json.loads((DATA / "rf200_sample.json").read_text())["X"]
    function = deploy(server, model, MemorySize=1024)
    alone = [server.invoke(function, {"instances": [row]}).body for row in sample]
    wrong, lock = [], threading.Lock()

    def call(worker):
        for i in range(30):
            row = (worker * 7 + i) % len(sample)
            if (worker + i) % 5 == 0:
                answer = server.invoke(function, {"instances": [sample[row][:-1]]})
                good = answer.error and answer.payload["errorType"] == INVALID
            else:
                answer = server.invoke(function, {"instances": [sample[row]]})
                good = answer.body == alone[row]
            if not good:
                with lock:
                    wrong.append((row, answer.body[:200]))

    threads = [threading.Thread(target=call, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, wrong[:3]
    assert len(instance_ids(server, function)) <= 2  # many requests at a time in one


def test_a_model_that_mixes_rows_is_not_batched(server):
    """Each row less the batch's mean: joined with others an answer would change, so none may be."""
    model = build([node("ReduceMean", ["x", "axes"], ["m"], keepdims=1), node("Sub", ["x", "m"], ["y"])],
                  [("x", FLOAT, ["N", 1])], [("y", FLOAT, ["N", 1])], [helper.make_tensor("axes", INT64, [1], [0])], opset=18)
    function = deploy(server, model)
    ask(server, function, {"instances": [[1]]})
    wrong = []

    def call(n):
        for i in range(30):
            got = ask(server, function, {"instances": [[n], [n + 2 * i]]})["predictions"]
            if got != [[-i], [i]]:
                wrong.append(got)

    threads = [threading.Thread(target=call, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, wrong[:3]
