#!/usr/bin/env python3
"""Hot swap under load: bench/models/swap [--seconds S] [--swaps N] [--connections C] [--rounds N]

The forest of bench/models behind an alias, called without a pause. Each round is a time without a swap and one of
the same length in which the alias turns to another version N times, each a version that nothing has loaded yet.
No call may fail, and the 99th percentile with swaps may be twice that without. Writes build/bench/swap.json.
"""

import argparse
import contextlib
import json
import os

import statistics
import subprocess
import sys
import time

from run import BUILD, HERE, prepare, trained  # also sets the path

from harness import Server, pack  # noqa: E402
from models import ask, deploy, files_of  # noqa: E402


def publish_all(server, name, model, count):
    """Numbers of `count` versions that differ in one byte that means nothing."""
    lam, numbers = server.client(), []
    for i in range(count):
        lam.update_function_code(FunctionName=name, ZipFile=pack(files_of(model, f"# {i}\n")))
        server.updated(name)
        numbers.append(lam.publish_version(FunctionName=name)["Version"])
    return numbers


@contextlib.contextmanager
def load(url, events, connections, seconds):
    """wrk beside the body of the with; its figures are in the dict that this gives."""
    found = {}
    child = subprocess.Popen(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(HERE / "post.lua"), url],
                             stdout=subprocess.PIPE, text=True, env={**os.environ, "EVENTS": str(events)})
    yield found
    out = child.communicate(timeout=seconds + 60)[0]
    found |= json.loads(next(line for line in out.splitlines() if line.startswith("JSON "))[5:])


def swap_all(lam, name, versions, seconds):
    """Turns the alias at even times; what each turn took, in ms."""
    took, began = [], time.monotonic()
    for i, version in enumerate(versions):
        time.sleep(max(0.0, began + (i + 0.5) * seconds / len(versions) - time.monotonic()))
        at = time.monotonic()
        lam.update_alias(FunctionName=name, Name="live", FunctionVersion=version)
        took.append((time.monotonic() - at) * 1000)
    return took


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=int, default=60)
    options.add_argument("--swaps", type=int, default=10)
    options.add_argument("--connections", type=int, default=1)
    options.add_argument("--rounds", type=int, default=1)
    args = options.parse_args()
    BUILD.mkdir(parents=True, exist_ok=True)
    folder, _ = trained()
    prepare(folder)
    model, events = (folder / "forest.onnx").read_bytes(), folder / "forest.events"
    rounds = []
    with Server("grpc_listen=off") as server:
        lam = server.client()
        name = deploy(server, model, MemorySize=1769, Publish=True)
        lam.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
        url = f"{server.endpoint}/2015-03-31/functions/{name}/invocations?Qualifier=live"
        versions = publish_all(server, name, model, args.swaps * args.rounds)
        ask(server, f"{name}:live", json.loads(events.read_text().splitlines()[0]))
        for number in range(args.rounds):
            with load(url, events, args.connections, args.seconds) as steady:
                pass
            with load(url, events, args.connections, args.seconds) as swapped:
                took = swap_all(lam, name, versions[number * args.swaps:(number + 1) * args.swaps], args.seconds)
            rounds.append({"steady": steady, "swapped": swapped, "update_alias_ms": statistics.median(took)})
            print(f"  round {number + 1}: {args.swaps} swaps in {args.seconds} s at {args.connections} connections: p99 "
                  f"{swapped['p99']} us with, {steady['p99']} us without; {swapped['wrong']} of {swapped['requests']} failed; "
                  f"UpdateAlias {rounds[-1]['update_alias_ms']:.0f} ms", flush=True)
        live = lam.get_alias(FunctionName=name, Name="live")["FunctionVersion"]
    ratio = statistics.median(r["swapped"]["p99"] / r["steady"]["p99"] for r in rounds)
    held = {"no call failed": all(r["swapped"]["wrong"] + r["steady"]["wrong"] == 0 for r in rounds),
            f"the 99th percentile stayed within 2 times ({ratio:.2f})": ratio <= 2,
            "the last version serves": live == versions[-1]}
    for promise, kept in held.items():
        print(f"  {'held' if kept else 'MISSED'}: {promise}")
    (BUILD / "swap.json").write_text(json.dumps({"date": time.strftime("%Y-%m-%d"), **vars(args), "held": held,
                                                 "results": rounds}, indent=2) + "\n")
    return 0 if all(held.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
