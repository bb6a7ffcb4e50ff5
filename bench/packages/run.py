#!/usr/bin/env python3
"""What heavy libraries cost: bench/packages/run [THING...] [--rounds N] [--cache DIR]

For each of twenty libraries a folder with a two-line requirements.txt is deployed with an empty cache of wheels, then
a second function with the same libraries. Measured: the build (resolving, downloading, installing, compiling), the
deployment of what was built (packaging, sending, checking), the second function's deployment, the disk that the first
and the second take on the server, the first call, and a further clone (without spares). Answers are checked, and no
package may be warned of. Rows are kept in build/bench/packages.json and printed as a table.
"""

import argparse
import json
import os
import pathlib
import platform
import statistics
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/integration"), str(ROOT / "bench/coldstart")]

import things  # noqa: E402
from calls import post  # noqa: E402
from harness import BINARY, Server, disk_of_packages, run, until  # noqa: E402

RUNTIME = "python3.11"


def timed(do):
    begin = time.perf_counter()
    done = do()
    return time.perf_counter() - begin, done


def caches(folder):
    """uv's own, and what builds with the same lock share."""
    return {"UV_CACHE_DIR": str(folder), "XDG_CACHE_HOME": str(folder / "shared")}


def deploy(server, folder, name, cache):
    return server.samovar("deploy", folder, "--name", name, "--runtime", RUNTIME, "--handler", "app.handler",
                          "--memory", "1769", "--timeout", "120", **caches(cache))


def call(server, name):
    return json.loads(post(("127.0.0.1", server.port), f"/2015-03-31/functions/{name}/invocations", b"{}"))


def clone_times(server, name, rounds, answer):
    """Each from a request to its reply, where a template is there and nothing else."""
    def ready():
        report = server.get("/samovar/v1/instances")
        states = [i["state"] for i in report["instances"] if i["function"] == name]
        stages = [t["stage"] for t in report["templates"] if t["function"] == name]
        if "not clonable" in stages:
            return "never"
        return stages == ["clonable"] and set(states) <= {"template"}
    found = []
    for _ in range(rounds):
        if until(ready, 120, f"a template of {name}") == "never":
            return None
        time.sleep(0.2)
        took, got = timed(lambda: call(server, name))
        assert got == answer, got
        found.append(took)
    return found


def measure(server, thing, folder, cache, rounds):
    answer = things.write(folder / "first", thing, comment="the first")
    before = disk_of_packages(server)
    first = "first-" + thing
    build, _ = timed(lambda: run([BINARY, "build", folder / "first", "--name", first, "--runtime", RUNTIME, "--handler",
                                  "app.handler"], **caches(cache)))
    send, done = timed(lambda: deploy(server, folder / "first", first, cache))
    assert "warning" not in done.err, done.err
    alone = disk_of_packages(server) - before
    begin, got = timed(lambda: call(server, first))
    assert got == answer, (thing, got, answer)
    clones = clone_times(server, first, rounds, answer)
    things.write(folder / "second", thing, comment="the second")
    second, done = timed(lambda: deploy(server, folder / "second", "second-" + thing, cache))
    assert call(server, "second-" + thing) == answer
    added = disk_of_packages(server) - before - alone
    for name in (first, "second-" + thing):
        server.samovar("delete", name, "--yes")
    return {"build": build, "send": send, "second": second, "alone": alone, "added": added, "first call": begin,
            "clone": statistics.median(clones) if clones else None,
            "sent by the second": next(line for line in done.err.splitlines() if "uploaded" in line)}


def table(rows):
    out = ["| library | build, cold | deploy it | second function | disk alone | second adds | first call | further clone |",
           "|---|---|---|---|---|---|---|---|"]
    for thing in things.THINGS:
        if row := rows.get(thing):
            clone = f"{row['clone'] * 1e3:.0f} ms" if row["clone"] else "none"
            out.append(f"| {thing} | {row['build']:.1f} s | {row['send']:.1f} s | {row['second']:.1f} s | "
                       f"{row['alone'] / 2**20:.0f} MB | {row['added'] / 2**20:.1f} MB | {row['first call'] * 1e3:.0f} ms | "
                       f"{clone} |")
    return "\n".join(out)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("things", nargs="*", choices=[[], *things.THINGS])
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--json", type=pathlib.Path, default=ROOT / "build/bench/packages.json")
    args = options.parse_args()
    args.json.parent.mkdir(parents=True, exist_ok=True)
    kept = json.loads(args.json.read_text())["rows"] if args.json.exists() else {}
    for thing in args.things or things.THINGS:
        # A server of its own, so that nothing is shared with what was measured before.
        with (Server("keep_alive.policy=fixed", "keep_alive.fixed=0s", "clones.max_spares=0") as server,
              tempfile.TemporaryDirectory(prefix="samovar-packages-", dir="/tmp") as folder):
            kept[thing] = measure(server, thing, pathlib.Path(folder), pathlib.Path(folder) / "cache", args.rounds)
        print(thing, kept[thing], flush=True)
        args.json.write_text(json.dumps({"date": time.strftime("%Y-%m-%d"), "cpus": os.cpu_count(),
                                         "kernel": platform.release(), "rows": kept}, indent=2) + "\n")
    print("\n" + table(kept))
    return 0


if __name__ == "__main__":
    sys.exit(main())
