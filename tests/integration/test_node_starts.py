"""Node.js functions in processes that were booted before anybody called: they see what fresh ones do."""

import contextlib
import pathlib
import re

from harness import pack, unique, until
from test_scaling import instances

CODE = """
const fs = require('node:fs');
exports.handler = async () => ({
  ahead: fs.readFileSync('/proc/self/environ', 'latin1').includes('SAMOVAR_GENERIC=1'),
  env: Object.fromEntries(Object.entries(process.env).filter(([name]) => !/STREAM|GROUP|FUNCTION_NAME|TRACE/.test(name))),
  name: process.env.AWS_LAMBDA_FUNCTION_NAME, cwd: process.cwd(), task: fs.readdirSync('/var/task'),
  tmp: fs.readdirSync('/tmp'), size: fs.statfsSync('/tmp').blocks, control: fs.existsSync('/proc/self/fd/4'),
  resolved: require('in-layer'), zone: Intl.DateTimeFormat().resolvedOptions().timeZone,
});
"""


def start(server, layer, **more):
    name = unique("node")
    server.create({"index.js": CODE}, name=name, runtime=server.runtime("nodejs"), handler="index.handler", Layers=[layer],
                  Environment={"Variables": {"OWN": "mine", "TZ": "Europe/Prague"}}, **more)
    answer = server.invoke(name, {})
    assert not answer.error, answer.payload
    assert answer.payload["name"] == name
    return answer.payload


def test_a_booted_process_takes_a_function_in_as_if_it_were_fresh(server, lam):
    files = {"nodejs/node_modules/in-layer/index.js": "module.exports = 'from the layer';"}
    layer = lam.publish_layer_version(LayerName=unique("layer"), Content={"ZipFile": pack(files)})["LayerVersionArn"]
    fresh = start(server, layer, Tags={"samovar:clone": "off"})
    assert not fresh["ahead"] and fresh["resolved"] == "from the layer" and fresh["zone"] == "Europe/Prague"

    def ahead():
        seen = start(server, layer)
        return seen if seen["ahead"] else None
    taken = until(ahead, 60, "a process that was booted ahead")
    for what in ("env", "cwd", "task", "tmp", "size", "resolved", "zone"):
        assert taken[what] == fresh[what], what
    assert taken["env"]["OWN"] == "mine" and not taken["control"]


def waiting(server):
    """Processes that were booted ahead; those in which a function runs, too."""
    server.note()
    found = []
    for pid in server.seen:
        with contextlib.suppress(OSError):
            if b"SAMOVAR_GENERIC=1" in pathlib.Path(f"/proc/{pid}/environ").read_bytes():
                found.append(pid)
    return found


def memory(server):
    return float(re.search(r"^samovar_instances_memory_bytes (\S+)", server.raw("GET", "/metrics").data.decode(), re.M)[1])


def test_booted_processes_count_as_measured_and_end_before_anything_is_refused(fresh):
    server = fresh("limits.memory_budget=450MB", "keep_alive.policy=fixed", "keep_alive.fixed=1s")
    node, hungry = unique("node"), unique("hungry")
    server.create({"index.js": CODE.replace("require('in-layer')", "0")}, name=node, runtime=server.runtime("nodejs"),
                  handler="index.handler")

    def ahead():
        answer = server.invoke(node, {})
        assert not answer.error, answer.payload
        until(lambda: not instances(server, node), 60, "zero")
        return answer.payload["ahead"]
    until(ahead, 60, "a process that was booted ahead")
    until(lambda: waiting(server), 60, "another one")
    # As measured, soon, and no guess any more; 16 MiB is the least that a process counts with.
    until(lambda: 16 << 20 <= memory(server) < 48 << 20, 60, "what the processes are measured to take")
    server.create("HELD = b'x' * (430 << 20)\ndef handler(e, c):\n    return len(HELD)\n", name=hungry, MemorySize=1024,
                  Timeout=30, Tags={"samovar:clone": "off"})
    assert server.invoke(hungry, {}).payload == 430 << 20
    until(lambda: not waiting(server), 60, "their end")
    assert [i["state"] for i in instances(server, hungry)] == ["idle"]  # which nothing was taken from
