"""Instances as clones of a template: what each has of its own, what is rebuilt, what is dropped, what is left."""

import contextlib
import json
import os
import pathlib
import signal

import pytest

from harness import is_samovar, pack, starttime, unique, until
from test_scaling import burst, instances

NUMBERS = """
import os, random, secrets, socket, tempfile, time, uuid
BORN = time.time()
LISTENER = None
def handler(event, context):
    global LISTENER
    if event.get("sleep"):
        time.sleep(event["sleep"])
    if event.get("exit"):
        os._exit(3)
    if event.get("listen"):
        LISTENER = socket.create_server(("127.0.0.1", 7777))
    if event.get("write"):
        with open("/tmp/" + event["write"], "w") as out:
            out.write(event["write"])
    return {"random": random.random(), "uuid": str(uuid.uuid4()), "secret": secrets.token_hex(8),
            "urandom": os.urandom(8).hex(), "born": BORN, "pid": os.getpid(), "tmp": sorted(os.listdir("/tmp")),
            "temp": os.path.basename(tempfile.mktemp()), "type": os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"],
            "stream": os.environ["AWS_LAMBDA_LOG_STREAM_NAME"], "left": context.get_remaining_time_in_millis()}
"""


def template(server, function, version="$LATEST"):
    rows = [t for t in server.get("/samovar/v1/instances")["templates"]
            if (t["function"], t["version"]) == (function, version)]
    return rows[0] if rows else {"stage": "none", "spares": 0, "reasons": []}


def states(server, function):
    return sorted(i["state"] for i in instances(server, function))


def clonable(server, function, **more):
    """A function that has been called once, with its template and a spare."""
    server.create(NUMBERS, name=function, **more)
    first = server.invoke(function, {})
    assert not first.error, first.payload
    until(lambda: template(server, function)["spares"] > 0, 60, f"a spare ({template(server, function)})")
    return first.payload


def kill_template(server, function):
    """kill -9 of the template's program, which its clones know by its environment, from outside."""
    (made,) = [i for i in instances(server, function) if i["state"] == "template"]
    server.note()
    pids = []
    for pid in server.seen:
        with contextlib.suppress(OSError, IndexError):
            environment = pathlib.Path(f"/proc/{pid}/environ").read_text(errors="replace")
            status = pathlib.Path(f"/proc/{pid}/status").read_text()
            depth = len(status.split("NSpid:")[1].splitlines()[0].split())
            if made["id"] in environment and depth == 2 and not is_samovar(pid):  # a clone is one deeper
                pids.append(pid)
    assert len(pids) == 1, (made, pids)
    os.kill(pids[0], signal.SIGKILL)
    return made["id"]


def at_once(server, function, count, event):
    """Calls that are all under way together, when the event has each sleep for longer than the last takes to start."""
    answers = burst(server, function, count, json.dumps(event).encode())
    assert [a[0] for a in answers] == [200] * count, answers[:3]
    return [json.loads(a[2]) for a in answers]


def test_clones_share_what_was_initialised_and_no_stream_of_random_numbers(server, name):
    clonable(server, name, Timeout=30)
    answers = at_once(server, name, 8, {"sleep": 2})
    assert len({a["stream"] for a in answers}) == 8
    assert len({a["born"] for a in answers}) == 1  # one initialisation for all
    for what in ("random", "uuid", "secret", "urandom", "temp"):
        assert len({a[what] for a in answers}) == 8, what
    assert all(a["type"] == "on-demand" and a["left"] > 25_000 for a in answers)


def test_clones_have_a_tmp_and_a_network_of_their_own(server, name):
    clonable(server, name)
    answers = at_once(server, name, 4, {"sleep": 2, "listen": True, "write": "mine"})
    assert [a["tmp"] for a in answers] == [["mine"]] * 4  # nobody's else; and each could take the port
    assert len({a["stream"] for a in answers}) == 4


def test_clones_see_their_network_interfaces_as_fresh_instances_do(server):
    code = "import socket\ndef handler(e, c):\n    return socket.if_nameindex()\n"
    cloned, fresh = unique(), unique()
    server.create(code, name=cloned)
    server.create(code, name=fresh, Tags={"samovar:clone": "off"})
    answers = [server.invoke(function, {}).payload for function in (cloned, fresh)]
    assert [i["kind"] for i in instances(server, cloned) if i["state"] == "idle"] == ["clone"]
    assert answers == [[[1, "lo"]]] * 2


def test_a_function_that_primes_itself_as_the_documentation_has_it_is_primed_in_each_clone(server, name):
    text = (pathlib.Path(__file__).parents[2] / "docs/clones.md").read_text()
    snippet = text.split("<!-- the tests run this -->\n```python\n")[1].split("```")[0]
    server.create("import time\nSEEN = []\ndef predict(row):\n    SEEN.append(row)\n    time.sleep(row[0])\n"
                  "    return [len(SEEN), sum(SEEN[0])]\n" + snippet, name=name)
    answers = at_once(server, name, 3, {"row": [2]})
    assert answers == [[11, 0]] * 3  # ten times before the snapshot, once in each clone
    assert {i["kind"] for i in instances(server, name) if i["state"] in ("idle", "busy")} == {"clone"}


def test_c_code_in_a_clone_is_refused_its_interfaces_by_rtnetlink_and_gets_them_by_ioctl(server):
    code = """
import ctypes, errno, fcntl, os, socket, struct
libc = ctypes.CDLL(None, use_errno=True)
def handler(event, context):
    found = ctypes.c_void_p()
    code = 0 if libc.getifaddrs(ctypes.byref(found)) == 0 else ctypes.get_errno()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:  # SIOCGIFCONF, SIOCGIFADDR
        room = ctypes.create_string_buffer(1024)
        size = struct.unpack("iP", fcntl.ioctl(link, 0x8912, struct.pack("iP", 1024, ctypes.addressof(room))))[0]
        name = room.raw[:16].split(b"\\0")[0].decode()
        address = socket.inet_ntoa(fcntl.ioctl(link, 0x8915, struct.pack("256s", name.encode()))[20:24])
    return [errno.errorcode.get(code, code), size, name, address]
"""
    cloned, fresh = unique(), unique()
    server.create(code, name=cloned)
    server.create(code, name=fresh, Tags={"samovar:clone": "off"})
    assert server.invoke(fresh, {}).payload == [0, 40, "lo", "127.0.0.1"]
    assert server.invoke(cloned, {}).payload == ["EPERM", 40, "lo", "127.0.0.1"]
    assert [i["kind"] for i in instances(server, cloned) if i["state"] == "idle"] == ["clone"]


def test_files_that_initialisation_left_in_tmp_are_copied(server, name):
    code = "import os\nopen('/tmp/model', 'w').write('weights')\ndef handler(e, c):\n" \
           "    text = open('/tmp/model').read()\n    open('/tmp/model', 'w').write(str(e))\n    return text\n"
    server.create(code, name=name)
    answers = burst(server, name, 4, b"7")
    assert {a[2] for a in answers} <= {b'"weights"', b'"7"'}
    assert b'"weights"' in {a[2] for a in answers}
    assert template(server, name)["stage"] == "clonable", template(server, name)


def test_a_call_at_zero_takes_a_spare_which_is_replaced(fresh):
    server = fresh("keep_alive.policy=fixed", "keep_alive.fixed=1s")
    function = unique()
    clonable(server, function)
    until(lambda: states(server, function) == ["spare", "template"], 60, "nothing but template and spare")
    server.invoke(function, {}, LogType="Tail")
    usage = server.get(f"/samovar/v1/usage?function={function}")["usage"][0]
    assert (usage["cold_starts"], usage["spares"]) == (2, 1), usage
    until(lambda: "spare" in states(server, function), 60, "another spare")
    metrics = server.raw("GET", "/metrics").data.decode()
    assert 'samovar_templates{stage="clonable"} 1' in metrics
    # The platform's cost, not the user's: it counts in the budget, and nothing more is billed.
    assert int(metrics.split("\nsamovar_spares_memory_bytes ")[1].split("\n")[0]) > 0
    assert server.get(f"/samovar/v1/usage?function={function}")["usage"][0] == usage
    assert f'samovar_cold_starts_total{{function="{function}",version="$LATEST",kind="spare"}} 1' in metrics


def test_what_cannot_be_cloned_starts_afresh_and_says_why(server, name):
    server.create("import threading, time\nthreading.Thread(target=time.sleep, args=(999,), daemon=True).start()\n"
                  "def handler(e, c):\n    return 'served'\n", name=name)
    assert server.invoke(name).payload == "served"
    seen = template(server, name)
    assert seen["stage"] == "not clonable" and seen["reasons"], seen
    shown = server.samovar("show", name).out
    assert "afresh" in shown and seen["reasons"][0]["problem"] in shown, shown
    (one,) = instances(server, name)
    assert (one["kind"], one["state"]) == ("fresh", "idle")


def test_the_tag_turns_clones_off_for_a_function(server, name):
    server.create(NUMBERS, name=name, Tags={"samovar:clone": "off"})
    assert not server.invoke(name, {}).error
    assert [i["kind"] for i in instances(server, name)] == ["fresh"]
    assert template(server, name)["stage"] == "off"


def test_the_configuration_turns_clones_off_for_all_functions(fresh):
    server = fresh("clones.enabled=false")
    server.create(NUMBERS, name="any")
    assert len({a["born"] for a in at_once(server, "any", 3, {"sleep": 2})}) == 3
    assert {i["kind"] for i in instances(server, "any")} == {"fresh"}


def test_hooks_run_once_before_and_once_in_each_clone(server, name):
    code = "import os, uuid\nfrom snapshot_restore_py import register_before_snapshot, register_after_restore\n" \
           "SEEN = []\n@register_before_snapshot\ndef hang_up():\n    SEEN.append('before')\n" \
           "@register_after_restore\ndef dial():\n    SEEN.append(str(uuid.uuid4()))\n" \
           "def handler(event, context):\n    __import__('time').sleep(event)\n    return SEEN\n"
    server.create(code, name=name)
    answers = at_once(server, name, 4, 2)
    assert {a[0] for a in answers} == {"before"} and {len(a) for a in answers} == {2}
    assert len({a[1] for a in answers}) == 4
    assert {i["kind"] for i in instances(server, name) if i["state"] in ("idle", "busy")} == {"clone"}


@pytest.mark.parametrize("why", ["tag", "thread"])
def test_hooks_run_in_each_instance_that_is_no_clone(server, name, why):
    code = "import threading, time\nfrom snapshot_restore_py import register_before_snapshot, register_after_restore\n" \
           "SEEN = []\nregister_before_snapshot(SEEN.append, 2); register_before_snapshot(SEEN.append, 1)\n" \
           "register_after_restore(SEEN.append, 3); register_after_restore(SEEN.append, 4)\n" \
           "def handler(event, context):\n    time.sleep(event)\n    return SEEN\n"
    if why == "thread":
        code += "threading.Thread(target=time.sleep, args=[1000], daemon=True).start()\n"
    server.create(code, name=name, Tags={"samovar:clone": "off"} if why == "tag" else {})
    assert server.invoke(name, 0).payload == [1, 2, 3, 4]
    assert at_once(server, name, 3, 0.5) == [[1, 2, 3, 4]] * 3
    assert {i["kind"] for i in instances(server, name)} == {"fresh"}


@pytest.mark.parametrize("when", ["before_snapshot", "after_restore"])
@pytest.mark.parametrize("clone", ["on", "off"])
def test_a_hook_that_fails_ends_the_start_and_says_so(server, name, clone, when):
    code = f"from snapshot_restore_py import register_{when}\n" \
           f"@register_{when}\ndef hook(): raise ValueError('no such luck')\ndef handler(event, context): return 1\n"
    server.create(code, name=name, Tags={"samovar:clone": clone} if clone == "off" else {})
    answer = server.invoke(name, {}, LogType="Tail")
    assert answer.error == "Unhandled" and answer.payload["errorMessage"] == "no such luck", answer.payload
    kind = "Runtime." + "".join(word.title() for word in when.split("_")) + "Error"
    assert f"Error Type: {kind}" in answer.log, answer.log


@pytest.mark.parametrize("what", ["code", "environment", "layer", "memory", "runtime"])
def test_a_change_makes_a_new_template(server, lam, name, what):
    others = [r["name"] for r in server.get("/samovar/v1/runtimes")["runtimes"]
              if r["name"].startswith("python3") and r["name"] != server.runtime()]
    if what == "runtime" and not others:
        pytest.skip("the host has one Python")
    first = clonable(server, name, Environment={"Variables": {"XX": "1"}})
    old = {i["id"] for i in instances(server, name)}
    if what == "code":
        lam.update_function_code(FunctionName=name, ZipFile=pack("# changed\n" + NUMBERS))
    elif what == "layer":
        layer = lam.publish_layer_version(LayerName=unique("layer"), Content={"ZipFile": pack({"python/x.py": ""})})
        lam.update_function_configuration(FunctionName=name, Layers=[layer["LayerVersionArn"]])
    else:
        change = {"environment": {"Environment": {"Variables": {"XX": "2"}}}, "memory": {"MemorySize": 256},
                  "runtime": {"Runtime": others[0] if others else None}}[what]
        lam.update_function_configuration(FunctionName=name, **change)
    server.updated(name)
    second = server.invoke(name, {}).payload
    assert second["born"] > first["born"]  # initialised anew
    until(lambda: not old & {i["id"] for i in instances(server, name)}, 60, "the end of the old ones")
    assert template(server, name)["stage"] == "clonable"


def test_a_killed_template_is_rebuilt_and_its_clones_live_on(server, name):
    first = clonable(server, name)
    old = kill_template(server, name)
    until(lambda: old not in {i["id"] for i in instances(server, name)}, 60, "the template's end")
    again = server.invoke(name, {}).payload
    assert again["stream"] == first["stream"]  # the same clone
    until(lambda: template(server, name)["stage"] == "clonable", 60, "another template")
    answers = at_once(server, name, 6, {"sleep": 2})
    assert len({a["stream"] for a in answers}) == 6


def test_a_killed_spawner_is_replaced_and_clones_are_made_again(fresh):
    server = fresh()
    function = unique()
    clonable(server, function)
    server.note()
    spawners = [pid for pid in server.seen if is_samovar(pid) and is_parent_of_instances(pid, server)]
    assert spawners
    os.kill(spawners[0], signal.SIGKILL)
    gone = {pid: start for pid, start in server.seen.items() if not is_samovar(pid)}
    until(lambda: not [p for p, start in gone.items() if starttime(p) == start], 60, "the end of its sandboxes")
    until(lambda: not call_error(server, function), 60, "an answer after the spawner's end")
    until(lambda: template(server, function)["stage"] == "clonable", 60, "another template")
    server.stop()


def is_parent_of_instances(pid, server):
    """The spawner is a root process of ours with children that are not."""
    with contextlib.suppress(OSError, ValueError):
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        return "Uid:\t0" in status and "spawner" in pathlib.Path(f"/proc/{pid}/comm").read_text()
    return False


def call_error(server, function):
    with contextlib.suppress(Exception):
        return server.invoke(function, {}).error
    return "no answer"


def test_nothing_is_left_of_clones_after_kill_9_of_everything(fresh):
    server = fresh()
    function = unique()
    clonable(server, function)
    at_once(server, function, 5, {"sleep": 0.2})
    server.kill9()
    server.start()
    assert not server.invoke(function, {}).error
    until(lambda: template(server, function)["stage"] == "clonable", 60, "a template")
    server.stop()


def test_the_end_of_the_server_leaves_no_template_clone_or_spare(fresh):
    server = fresh()
    for function in (unique(), unique()):
        clonable(server, function)
        at_once(server, function, 4, {"sleep": 0.2})
    server.stop()  # checks processes, mounts and cgroups


def test_memory_pressure_drops_spares_then_templates_of_idle_functions(fresh):
    server = fresh("limits.memory_budget=256MB", "keep_alive.policy=fixed", "keep_alive.fixed=1s")
    idle, busy = unique("idle"), unique("busy")
    clonable(server, idle)
    until(lambda: states(server, idle) == ["spare", "template"], 60, "nothing but template and spare")
    hungry = "import time\nHELD = b'x' * (205 << 20)\ndef handler(e, c):\n    time.sleep(e)\n    return len(HELD)\n"
    server.create(hungry, name=busy, MemorySize=512, Timeout=30)
    answers = burst(server, busy, 2, b"1")
    assert [a[2] for a in answers] == [str(205 << 20).encode()] * 2  # nothing was refused
    seen = states(server, idle)
    assert "spare" not in seen, seen  # a spare went first
    assert not server.invoke(idle, {}).error


def test_snap_start_initialises_at_publishing_and_reports_a_restore(server, lam, name):
    server.create(NUMBERS, name=name, SnapStart={"ApplyOn": "PublishedVersions"})
    lam.publish_version(FunctionName=name)
    until(lambda: lam.get_function_configuration(FunctionName=name, Qualifier="1")["State"] == "Active", 60, "Active")
    reported = lam.get_function_configuration(FunctionName=name, Qualifier="1")["SnapStart"]
    assert reported == {"ApplyOn": "PublishedVersions", "OptimizationStatus": "On"}
    assert template(server, name, "1")["stage"] == "clonable"
    answer = server.invoke(name, {}, Qualifier="1", LogType="Tail")
    assert answer.payload["type"] == "snap-start"
    assert "Restore Duration: " in answer.log and "Billed Restore Duration: " in answer.log, answer.log
    assert "Init Duration" not in answer.log


def test_snap_start_without_a_word_when_is_off(server, lam, name):
    off = {"ApplyOn": "None", "OptimizationStatus": "Off"}
    assert server.create(NUMBERS, name=name)["SnapStart"] == off
    assert lam.update_function_configuration(FunctionName=name, SnapStart={})["SnapStart"] == off


def test_a_version_whose_code_fails_cannot_be_published_with_snap_start(server, lam, name):
    server.create("raise ImportError('no such thing')\n", name=name, SnapStart={"ApplyOn": "PublishedVersions"})
    lam.publish_version(FunctionName=name)
    def state():
        return lam.get_function_configuration(FunctionName=name, Qualifier="1")
    until(lambda: state()["State"] == "Failed", 60, "Failed")
    assert "no such thing" in state()["StateReason"], state()


def test_provisioned_instances_are_ready_tell_the_truth_and_are_replaced(server, lam, name):
    server.create(NUMBERS, name=name)
    version = lam.publish_version(FunctionName=name)["Version"]
    lam.put_provisioned_concurrency_config(FunctionName=name, Qualifier=version, ProvisionedConcurrentExecutions=3)

    def config():
        return lam.get_provisioned_concurrency_config(FunctionName=name, Qualifier=version)
    until(lambda: config()["Status"] == "READY", 60, f"READY ({config()})")
    assert config()["AvailableProvisionedConcurrentExecutions"] == 3
    assert sum(i["provisioned"] for i in instances(server, name)) == 3
    (listed,) = lam.list_provisioned_concurrency_configs(FunctionName=name)["ProvisionedConcurrencyConfigs"]
    assert listed["FunctionArn"].endswith(f":{name}:{version}") and listed["AllocatedProvisionedConcurrentExecutions"] == 3
    answer = server.invoke(name, {}, Qualifier=version, LogType="Tail")
    assert answer.payload["type"] == "provisioned-concurrency" and "Init Duration" not in answer.log
    types = [a["type"] for a in at_once(server, f"{name}:{version}", 5, {"sleep": 3})]
    assert sorted(types) == ["on-demand"] * 2 + ["provisioned-concurrency"] * 3  # two spilled over
    def provisioned():
        return {i["id"] for i in instances(server, name) if i["provisioned"] and i["state"] in ("idle", "busy")}
    before = provisioned()
    assert server.invoke(name, {"exit": True}, Qualifier=version).error
    until(lambda: len(provisioned()) == 3 and provisioned() != before, 60, "another one")
    assert config()["AvailableProvisionedConcurrentExecutions"] == 3
    lam.delete_provisioned_concurrency_config(FunctionName=name, Qualifier=version)
    until(lambda: not any(i["provisioned"] for i in instances(server, name)), 60, "none")
    assert not lam.list_provisioned_concurrency_configs(FunctionName=name)["ProvisionedConcurrencyConfigs"]
