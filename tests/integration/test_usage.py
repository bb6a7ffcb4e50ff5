"""The books: what each function cost, in numbers that add up, and what Prometheus reads."""

import re

from botocore.exceptions import ClientError

from harness import unique, until


def row(server, function, version="$LATEST"):
    rows = server.get(f"/samovar/v1/usage?function={function}")["usage"]
    return next((r for r in rows if r["version"] == version), None)


def test_the_books_add_up(server, lam, name):
    server.create("import time\ndef handler(e, c):\n    time.sleep(0.02)\n    if e == 'bad': raise ValueError()\n",
                  name=name, MemorySize=256)
    billed = 0
    for event in ["a", "b", "bad", "c"]:
        log = server.invoke(name, event, LogType="Tail").log
        billed += int(re.search(r"Billed Duration: (\d+) ms", log)[1])
    entry = until(lambda: (r := row(server, name)) and r["invocations"] == 4 and r, 60)
    assert (entry["errors"], entry["throttles"], entry["timeouts"], entry["cold_starts"]) == (1, 0, 0, 1)
    assert entry["billed_ms"] == billed and entry["duration_ms"] >= 80
    assert abs(entry["gb_seconds"] - billed / 1000 * 256 / 1024) < 1e-6
    assert entry["memory_mb"] == 256 and 1 <= entry["max_memory_mb"] <= 256 and entry["init_ms"] > 0
    lam.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    try:
        server.invoke(name)
        raise AssertionError("not throttled")
    except ClientError:
        pass
    assert row(server, name)["throttles"] == 1 and row(server, name)["invocations"] == 4


def test_versions_are_booked_apart(server, lam, name):
    server.create(name=name, Publish=True)
    server.invoke(name)
    server.invoke(name, Qualifier="1")
    server.invoke(name, Qualifier="1")
    assert row(server, name)["invocations"] == 1 and row(server, name, "1")["invocations"] == 2


def metrics(server):
    reply = server.raw("GET", "/metrics")
    assert reply.status == 200 and reply.headers["content-type"].startswith("text/plain")
    return reply.data.decode()


def test_prometheus_reads_them(server, name):
    server.create(name=name)
    for i in range(3):
        server.invoke(name, i)
    server.samovar("collections", "create", name, "--dimension", 1)
    server.samovar("collections", "put", name, "row", "--vector", "[1]")
    text = metrics(server)
    writes = re.findall(r'(?m)^samovar_collection_commit_seconds_count\{stage="([a-z]+)"\} (.+)$', text)
    assert [stage for stage, _ in writes] == ["wait", "prepare", "log", "publish"]
    assert all(float(count) >= 1 for _, count in writes), writes
    ok = [l for l in text.splitlines() if l.startswith("samovar_invocations_total") and f'function="{name}"' in l]
    assert sum(float(l.split()[-1]) for l in ok) == 3, ok
    for metric in ("samovar_invoke_duration_seconds_bucket", "samovar_init_duration_seconds", "samovar_instances",
                   "samovar_billed_seconds_total", "samovar_memory_gb_seconds_total", "samovar_cold_starts_total"):
        assert metric in text, metric
    for line in text.splitlines():
        assert line.startswith("#") or re.match(r'[a-z_]+(\{([a-z_]+="[^"]*",?)*\})? [-+0-9.eE]+(inf|nan)?$', line, re.I), line


def test_the_books_survive_a_restart(fresh):
    server = fresh()
    function = unique()
    server.create(name=function)
    for i in range(5):
        server.invoke(function, i)
    server.stop()
    server.start()
    assert row(server, function)["invocations"] == 5


def test_the_command_prints_the_price(server, name):
    server.create(name=name)
    server.invoke(name)
    done = server.samovar("usage", name)
    assert name in done.out and "$" in done.out, done.out
