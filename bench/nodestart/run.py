"""Node.js from zero to the reply: bench/nodestart/run [--rounds N]; see README.md."""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/integration"))

from harness import Server, pack, until  # noqa: E402

CODE = """
const https = require('node:https'), crypto = require('node:crypto'), fs = require('node:fs');
const ahead = fs.readFileSync('/proc/self/environ', 'latin1').includes('SAMOVAR_GENERIC=1');
exports.handler = async () => ({ ahead, hash: crypto.createHash('sha256').update('x').digest('hex') });
"""
SNAPSHOT = """
for (const name of ['util', 'fs', 'path', 'stream', 'crypto', 'zlib']) require(`node:${name}`);
require('node:v8').startupSnapshot.setDeserializeMainFunction(() => process.exit(0));
"""


def timed(act):
    begin = time.perf_counter()
    answer = act()
    return time.perf_counter() - begin, answer


def call(server, name, ahead):
    """Seconds of a call at zero, in the kind of process that was asked for; nothing where it came in another."""
    until(lambda: not [i for i in server.get("/samovar/v1/instances")["instances"] if i["function"] == name], 60, "zero")
    time.sleep(0.7)  # a process is booted ahead meanwhile
    took, answer = timed(lambda: server.invoke(name, {}))
    assert not answer.error, answer.payload
    return took if answer.payload["ahead"] == ahead else None


def node_alone(node, folder):
    (folder / "empty.cjs").write_text("process.exit(0);\n")
    (folder / "snapshot.cjs").write_text(SNAPSHOT)
    subprocess.run([node, "--snapshot-blob", folder / "blob", "--build-snapshot", folder / "snapshot.cjs"], check=True)
    return {"node alone, booting": [node, folder / "empty.cjs"],
            "node alone, from a snapshot": [node, "--snapshot-blob", folder / "blob", "x"]}


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=9)
    args = options.parse_args()
    times = {}
    with Server("keep_alive.policy=fixed", "keep_alive.fixed=1s") as server, tempfile.TemporaryDirectory() as folder:
        runtime = server.runtime("nodejs")
        for name, tags in ("fresh", {"samovar:clone": "off"}), ("ahead", {}):
            server.create({"index.js": CODE}, name=name, runtime=runtime, handler="index.handler", MemorySize=1769, Tags=tags)
            server.invoke(name, {})
        commands = node_alone("node", pathlib.Path(folder))
        for _ in range(args.rounds):
            times.setdefault("fresh process", []).append(call(server, "fresh", False))
            times.setdefault("booted ahead", []).append(call(server, "ahead", True))
            times.setdefault("warm", []).append(timed(lambda: server.invoke("ahead", {}))[0])
            for name, command in commands.items():
                times.setdefault(name, []).append(timed(lambda: subprocess.run(command, check=True))[0])
    found = {name: [t * 1e3 for t in all_ if t is not None] for name, all_ in times.items()}
    for name, all_ in found.items():
        print(f"  {name:<30}{statistics.median(all_):>8.1f} ms  ({min(all_):.1f} to {max(all_):.1f}; {len(all_)} times)")
    print(json.dumps({name: statistics.median(all_) for name, all_ in found.items()}))
    assert found["booted ahead"], "no process was booted ahead"


if __name__ == "__main__":
    main()
