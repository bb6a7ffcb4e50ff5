#!/usr/bin/env python3
"""Start time against package size: bench/startsize/run [--rounds N] [--only fresh|clone]

The same small Python function in packages of 10 MB, 250 MB and 2 GB, and with 2 GB in a layer. Measured from a
request at zero to its reply, for fresh processes and for clones (no spares), in rounds, each in another order;
the answers are checked. Written to build/bench/startsize.json; exits 1 where a start takes 1.25 times that of 10 MB.
"""

import argparse
import contextlib
import json
import os
import pathlib
import platform
import random
import shutil
import statistics
import sys
import time
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build/bench/startsize"
sys.path[:0] = [str(ROOT / "tests/integration"), str(ROOT / "bench/coldstart")]

from calls import Function, upload  # noqa: E402
from harness import Server  # noqa: E402

SIZES = {"10 MB": 10, "250 MB": 250, "2 GB": 2048}
LAYER = "2 GB layer"
MOST = 1.25
CODE = "import json\ndef handler(event, context):\n    return event['n'] * 2\n"


def package(name, megabytes, code=CODE):
    """A zip with the function and so many files of 1 MB that differ and do not compress."""
    path = BUILD / f"{name}.zip"
    if not path.exists():
        block = os.urandom((1 << 20) - 8)
        with zipfile.ZipFile(path.with_suffix(".part"), "w", zipfile.ZIP_STORED) as archive:
            if code:
                archive.writestr("app.py", code)
            for number in range(megabytes):
                archive.writestr(f"data/{number // 100:02}/{number:04}.bin", number.to_bytes(8, "little") + block)
        path.with_suffix(".part").rename(path)
    return path


def functions(server, ways):
    """{(way, size): Function}"""
    arn = server.client().publish_layer_version(
        LayerName="large", Content=upload(server, package("layer", SIZES["2 GB"], None)))["LayerVersionArn"]
    made = {}
    for way in ways:
        tags = {"samovar:clone": "off"} if way == "fresh" else {}
        for size, megabytes in SIZES.items():
            made[way, size] = Function(server, f"{way}-{megabytes}", package(str(megabytes), megabytes), tags=tags)
        made[way, LAYER] = Function(server, f"{way}-layer", package("10", 10), tags=tags, layers=[arn])
    return made


def measure(function, way, number):
    if way == "clone":
        function.wait("a template, nothing else", template=True, spare=False)
    else:
        function.wait("zero")
    begin = time.perf_counter()
    reply = function.call(json.dumps({"n": number}).encode())
    took = time.perf_counter() - begin
    assert json.loads(reply) == number * 2, reply
    return took


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=11)
    options.add_argument("--only", choices=["fresh", "clone"])
    options.add_argument("--json", type=pathlib.Path, default=BUILD.parent / "startsize.json")
    options.add_argument("--keep", action="store_true", help="keep the packages, 4.3 GB, for another run")
    args = options.parse_args()
    ways = [args.only] if args.only else ["fresh", "clone"]
    BUILD.mkdir(parents=True, exist_ok=True)
    settings = ["keep_alive.policy=fixed", "keep_alive.fixed=0s"]
    if "clone" in ways:
        settings.append("clones.max_spares=0")
    times = {}
    with contextlib.ExitStack() as stack:
        made = functions(stack.enter_context(Server(*settings)), ways)
        if not args.keep:
            shutil.rmtree(BUILD)
        for (way, _), function in made.items():  # unmeasured: templates
            function.call(b'{"n": 1}')
        turns = list(made.items())
        for number in range(args.rounds):
            random.Random(number).shuffle(turns)  # what goes before each is still on its way out
            for key, function in turns:
                times.setdefault(key, []).append(measure(function, key[0], number))
    held = {}
    print(f"\n  {'':<8}{'package':<12}{'median ms':>11}{'least':>9}{'most':>9}{'x 10 MB':>10}")
    for way, size in made:
        found = times[way, size]
        middle = statistics.median(found)
        ratio = middle / statistics.median(times[way, "10 MB"])
        print(f"  {way:<8}{size:<12}{middle * 1e3:>11.1f}{min(found) * 1e3:>9.1f}{max(found) * 1e3:>9.1f}{ratio:>10.2f}")
        if size != "10 MB":
            held[f"{way}: a start with {size} takes at most {MOST} times that with 10 MB"] = ratio <= MOST
    print()
    for promise, kept in held.items():
        print(f"  {'held' if kept else 'MISSED'}: {promise}")
    args.json.write_text(json.dumps({
        "date": time.strftime("%Y-%m-%d"), "cpus": os.cpu_count(), "kernel": platform.release(), "rounds": args.rounds,
        "held": held, "seconds": {f"{way}, {size}": found for (way, size), found in times.items()}}, indent=2) + "\n")
    return 0 if all(held.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
