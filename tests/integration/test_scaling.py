"""From zero to what the traffic asks, and back; and every limit on the way."""

import concurrent.futures
import json
import threading

import pytest
import urllib3

from errors import refused
from harness import descendants, is_samovar, unique, until

SLOW = "import time\ndef handler(e, c):\n    time.sleep(e)\n    return 'slept'\n"
WHO = "import time\ndef handler(e, c):\n    time.sleep(e or 0)\n    return c.log_stream_name\n"
AFRESH = {"samovar:clone": "off"}


def instances(server, function):
    return [i for i in server.get("/samovar/v1/instances")["instances"] if i["function"] == function]


def burst(server, function, count, payload=b"1"):
    """`count` requests that all have their connection open before the first is sent."""
    barrier = threading.Barrier(count + 1)
    answers = [None] * count

    def one(index):
        connection = urllib3.HTTPConnectionPool("127.0.0.1", server.port, timeout=180, retries=False)
        barrier.wait(120)
        try:
            reply = connection.request("POST", f"/2015-03-31/functions/{function}/invocations", body=payload)
            answers[index] = (reply.status, dict(reply.headers), reply.data)
        except urllib3.exceptions.HTTPError as error:
            answers[index] = (0, {}, repr(error).encode())

    threads = [threading.Thread(target=one, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    barrier.wait(120)
    for thread in threads:
        thread.join(240)
    return answers


def test_a_thousand_at_once_at_zero_are_all_answered(fresh):
    server = fresh()
    function = unique("thousand")
    server.create("def handler(e, c):\n    return e + 1\n", name=function)
    assert instances(server, function) == []
    most = [0, 0]
    stop = threading.Event()

    def watch():
        while not stop.wait(0.2):
            seen = server.get("/samovar/v1/instances")
            most[0] = max(most[0], seen["memory_used_mb"])
            most[1] = seen["memory_budget_mb"]

    watcher = threading.Thread(target=watch)
    watcher.start()
    answers = burst(server, function, 1000)
    stop.set()
    watcher.join()
    wrong = [a for a in answers if (a[0], a[2]) != (200, b"2")]
    assert not wrong, f"{len(wrong)} of 1000: {wrong[:3]}"
    assert most[0] <= most[1], most
    rows = server.get(f"/samovar/v1/usage?function={function}")["usage"]
    assert sum(row["invocations"] for row in rows) == 1000


def test_one_request_at_a_time_an_instance(server, name):
    server.create("import time\nBUSY = []\ndef handler(e, c):\n    BUSY.append(1)\n    n = len(BUSY)\n"
                  "    time.sleep(0.2)\n    BUSY.pop()\n    return n\n", name=name)
    answers = burst(server, name, 12)
    assert [a[2] for a in answers] == [b"1"] * 12


def test_the_most_recently_used_serves_next(server, name):
    server.create(WHO, name=name)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        both = set(pool.map(lambda _: server.invoke(name, 0.4).payload, range(4)))
    assert len(both) > 1  # several are warm
    assert len({server.invoke(name, 0).payload for _ in range(20)}) == 1


def test_back_to_zero_after_the_keep_alive(fresh):
    server = fresh("keep_alive.policy=fixed", "keep_alive.fixed=1s")
    function = unique()
    server.create(WHO, name=function)
    def serving():
        return [i for i in instances(server, function) if i["state"] not in ("template", "spare")]
    first = server.invoke(function).payload
    assert "idle" in [i["state"] for i in serving()]  # and perhaps a spare that starts
    until(lambda: not serving(), 60, "zero instances")
    assert server.invoke(function).payload != first


def test_reserved_concurrency_throttles(server, lam, name):
    server.create(SLOW, name=name, Timeout=30)
    lam.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=2)
    answers = burst(server, name, 8, b"3")
    ok = [a for a in answers if a[0] == 200]
    throttled = [a for a in answers if a[0] == 429]
    assert len(ok) == 2 and len(throttled) == 6, [a[0] for a in answers]
    head, body = throttled[0][1], json.loads(throttled[0][2])
    assert {k.lower(): v for k, v in head.items()}["x-amzn-errortype"].startswith("TooManyRequestsException")
    assert body["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded", body
    assert (body.get("message") or body.get("Message")) == "Rate Exceeded."
    lam.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    with refused("TooManyRequestsException", 429):
        server.invoke(name, 0)
    lam.delete_function_concurrency(FunctionName=name)
    assert server.invoke(name, 0).payload == "slept"


def test_the_accounts_concurrency_throttles(fresh):
    server = fresh("limits.account_concurrency=3")
    function = unique()
    server.create(SLOW, name=function, Timeout=30)
    answers = burst(server, function, 9, b"3")
    assert sorted({a[0] for a in answers}) == [200, 429] and sum(a[0] == 200 for a in answers) == 3
    reason = next(json.loads(a[2])["Reason"] for a in answers if a[0] == 429)
    assert reason == "ConcurrentInvocationLimitExceeded"


# Holds 100 MB, so that two such instances fill a budget of 256 MB: what counts is what is used.
HOLDING = "import time\nHELD = bytearray(100 << 20)\ndef handler(e, c):\n    time.sleep(e or 0)\n    return 'slept'\n"


def test_idle_instances_of_others_make_room(fresh):
    server = fresh("limits.memory_budget=256MB", "keep_alive.policy=fixed", "keep_alive.fixed=1h")
    first, second, third = (unique() for _ in range(3))
    for function in (first, second, third):
        server.create(HOLDING, name=function, MemorySize=192, Tags=AFRESH)
    server.invoke(first)
    server.invoke(second)
    until(lambda: server.get("/samovar/v1/instances")["memory_used_mb"] > 200, 60, "the measured memory")
    assert instances(server, first) and instances(server, second)
    server.invoke(third)
    until(lambda: not instances(server, first), 60, "the end of the least recently used")
    assert instances(server, second) and instances(server, third)
    assert server.get("/samovar/v1/instances")["memory_used_mb"] <= 256


def test_the_queue_is_bounded_and_has_a_deadline(fresh):
    server = fresh("limits.memory_budget=256MB", "limits.queue_per_function=4", "limits.queue_wait=1s")
    function = unique()
    server.create(HOLDING.replace("100 <<", "150 <<"), name=function, MemorySize=256, Timeout=30, Tags=AFRESH)
    server.invoke(function, 0)
    until(lambda: server.get("/samovar/v1/instances")["memory_used_mb"] > 140, 60, "the measured memory")
    answers = burst(server, function, 12, b"3")
    statuses = [a[0] for a in answers]
    assert statuses.count(200) == 1 and set(statuses) <= {200, 429, 503}, statuses
    until(lambda: server.get("/samovar/v1/instances")["queued"] == 0, 60)
    assert server.invoke(function, 0).payload == "slept"


def test_running_calls_finish_on_sigterm(fresh):
    server = fresh()
    function = unique()
    server.create(SLOW, name=function, Timeout=30)
    got = []
    call = threading.Thread(target=lambda: got.append(server.invoke(function, 2).payload))
    call.start()
    until(lambda: any(i["state"] == "busy" for i in instances(server, function)), 60, "a busy instance")
    server.stop()
    call.join(60)
    assert got == ["slept"]


def test_a_call_that_its_caller_gave_up_does_not_block_the_instance(server, name):
    server.create(SLOW, name=name, Timeout=30)
    server.invoke(name, 0)
    with pytest.raises(urllib3.exceptions.HTTPError):
        urllib3.HTTPConnectionPool("127.0.0.1", server.port, timeout=0.3, retries=False).request(
            "POST", f"/2015-03-31/functions/{name}/invocations", body=b"2")
    assert server.invoke(name, 0).payload == "slept"


def test_the_servers_memory_is_bounded_under_many_calls(server, echo):
    def resident():
        pids = [p for p in descendants(server.process.pid) if is_samovar(p)]
        return max(int(next(l for l in open(f"/proc/{p}/status") if l.startswith("VmRSS")).split()[1]) for p in pids)

    server.invoke(echo, 1)
    connection = urllib3.HTTPConnectionPool("127.0.0.1", server.port, maxsize=1, timeout=60)
    path, body = f"/2015-03-31/functions/{echo}/invocations", json.dumps("x" * 10_000).encode()

    def calls(count):
        for _ in range(count):
            assert connection.request("POST", path, body=body).data == body

    calls(1500)
    before = resident()
    calls(3000)
    assert resident() - before < 20_000, (before, resident())  # kB; 30 MB of bodies went through
