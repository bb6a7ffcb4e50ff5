"""Clones of a Python template: what each has of its own, how it ends, what it outlives (docs/clones.md)."""

import os
import pathlib
import signal

import pytest

from channel import INIT_ERROR, RESPONSE, SHUTDOWN

HANDLER = """
def handler(event, context):
    scope = {"app": globals(), "context": context}
    exec(event["do"], scope)
    return scope.get("answer")
"""


def ask(clone, do):
    """What `answer` is after the lines `do` have run in the clone's handler."""
    frame = clone.invoke({"do": do})
    assert frame and frame.kind == RESPONSE, (frame, clone.log())
    return frame.json


def clones(template, text, count=2, **more):
    made = template(text + HANDLER, **more)
    said = made.said()
    assert said["clonable"], said
    both = [made.clone(NUMBER=str(number)) for number in range(count)]
    for clone in both:
        clone.ready()
    return both


def test_a_clone_is_process_2_in_namespaces_of_its_own(template, python):
    both = clones(template, "import os", python=python)
    look = """
import os
namespaces = {name: os.readlink('/proc/self/ns/' + name) for name in os.listdir('/proc/self/ns')}
processes = [entry for entry in os.listdir('/proc') if entry.isdigit()]
answer = [os.getpid(), namespaces, processes, sorted(map(int, os.listdir('/proc/self/fd')))]
"""
    (pid, first, processes, fds), (_, second, _, _) = (ask(clone, look) for clone in both)
    assert pid == 2 and sorted(processes) == ["1", "2"]
    for name in ("pid", "ipc", "mnt", "uts", "net", "user"):
        assert first[name] != second[name], name
    assert fds[:4] == [0, 1, 2, 3] and len(fds) == 5  # the fifth lists the folder


def test_a_clone_has_no_capability_and_may_make_no_namespace(template):
    (clone,) = clones(template, "import ctypes", count=1)
    status = ask(clone, "answer = open('/proc/self/status').read()")
    sets = {line.split()[0]: line.split()[1] for line in status.splitlines() if line.startswith("Cap")}
    assert set(sets.values()) == {"0" * 16}, sets
    # Process 1 has the same memory, which the function may write.
    look = "import os\nanswer = [[line.split()[1] for line in open(f'/proc/{p}/status') " \
           "if line.startswith(('Cap', 'NoNewPrivs', 'Seccomp'))] for p in (1, os.getpid())]"
    first, own = ask(clone, look)
    assert first == own and first[:5] == ["0" * 16] * 5, (first, own)
    do = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
answer = [libc.unshare(0x7c020000), ctypes.get_errno()]
"""
    assert ask(clone, do) == [-1, 1]


def test_loopback_is_up_and_private(template):
    first, second = clones(template, "import socket")
    listen = """
import socket
s = socket.create_server(('127.0.0.1', 8000))
c = socket.create_connection(('127.0.0.1', 8000))
app['kept'] = s, c
answer = 'both'
"""
    assert ask(first, listen) == ask(second, listen) == "both"


def test_environment_context_and_log_are_the_clones(template):
    made = template("import os\nprint('made once')\n" + HANDLER)
    made.said()
    clone = made.clone(AWS_LAMBDA_LOG_STREAM_NAME="2026/11/24/[7]mine", AWS_LAMBDA_INITIALIZATION_TYPE="snap-start")
    clone.ready()
    do = """
import os
print('in the clone')
answer = [context.log_stream_name, context.function_name, os.environ['AWS_LAMBDA_INITIALIZATION_TYPE']]
"""
    assert ask(clone, do) == ["2026/11/24/[7]mine", "tried", "snap-start"]
    assert clone.log(until="in the clone") == "in the clone\n" and made.log() == "made once\n"


STREAMS = {
    "random": "random.random()",
    "an instance without a seed": "own.random()",
    "one of a class of the user's": "users.gauss(0, 1)",
    "one that was given a seed and then none": "again.random()",
    "numbers": "random.getrandbits(64)",
    "system random": "random.SystemRandom().random()",
    "secrets": "secrets.token_hex()",
    "uuid4": "str(uuid.uuid4())",
    "uuid1's node": "uuid.uuid1().node",
    "openssl": "ssl.RAND_bytes(16).hex()",
    "names of temporary files": "os.path.basename(tempfile.mktemp())",
    "numpy's legacy functions": "numpy.random.rand()",
    "numpy's generator without a seed": "generator.random()",
    "another kind of it": "other.standard_normal()",
    "key of cryptography": "ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value",
    "fernet": "Fernet.generate_key().decode()",
}


def test_random_streams_differ(template, libraries):
    text = (
        "import os, random, secrets, ssl, tempfile, uuid, numpy\n"
        "from cryptography.fernet import Fernet\nfrom cryptography.hazmat.primitives.asymmetric import ec\n"
        "generator, other = numpy.random.default_rng(), numpy.random.Generator(numpy.random.SFC64())\n"
        "numpy.random.seed(1); random.seed(1); seeded = numpy.random.default_rng(7)\n"
        "class Users(random.Random): pass\n"
        "own, users, again, mine, put = random.Random(), Users(), random.Random(1), random.Random(7), random.Random()\n"
        "again.seed(); put.setstate(mine.getstate())\n"
        f"STREAMS = {STREAMS}\n"
        "def draw(): return {name: eval(one) for name, one in STREAMS.items()}\n"
        "draw()\n"
    )
    three = clones(template, text, count=3, environment={"PYTHONPATH": str(libraries)})
    drawn = [ask(clone, "answer = app['draw']()") for clone in three]
    alike = [name for name in STREAMS if len({str(one[name]) for one in drawn}) < len(drawn)]
    assert not alike
    seeded = {ask(clone, "answer = app['seeded'].random()") for clone in three}
    assert len(seeded) == 1, "a generator with a seed of the user's goes on as it was"


def test_open_files_have_an_offset_of_their_own(template, python):
    text = """
import os
lines = open('lines.txt')
lines.readline()
raw = os.open('lines.txt', os.O_RDONLY)
os.read(raw, 4)
folder = os.open('.', os.O_RDONLY)
"""
    both = clones(template, text, python=python, files={"lines.txt": "one\ntwo\nthree\n" + "x" * 20000})
    for clone in both:
        assert ask(
            clone,
            "import os; answer = [app['lines'].readline(), os.read(app['raw'], 3).decode(), os.listdir(app['folder'])]",
        )[:2] == ["two\n", "two"]
    assert ask(both[0], "import os; answer = os.get_inheritable(app['raw'])") is False


def test_what_lies_in_tmp_is_copied_and_then_private(template):
    text = """
import os
os.makedirs('/tmp/cache')
os.chdir('/tmp/cache')
note = open('/tmp/note', 'w+')
print('from init', file=note, flush=True)
open('/dev/shm/shared', 'w').write('s')
"""
    first, second = clones(template, text)
    write = """
import os
app['note'].write(os.environ['NUMBER'])
app['note'].flush()
open('own' + os.environ['NUMBER'], 'w').close()
answer = open('/tmp/note').read()
"""
    assert [ask(first, write), ask(second, write)] == ["from init\n0", "from init\n1"]
    look = "import os; answer = [os.getcwd(), os.listdir('/tmp/cache'), os.listdir('/dev/shm')]"
    assert ask(first, look) == ["/tmp/cache", ["own0"], ["shared"]]


def test_asyncio_loops_work_and_share_nothing(template, python):
    text = """
import asyncio
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
loop.run_until_complete(asyncio.sleep(0))
"""
    both = clones(template, text, python=python)
    do = """
import asyncio, os, threading
loop = app["loop"]
async def work():
    event = asyncio.Event()
    threading.Thread(target=lambda: loop.call_soon_threadsafe(event.set)).start()
    await asyncio.wait_for(event.wait(), 20)
    return await loop.run_in_executor(None, lambda: "done")
result = loop.run_until_complete(work())
info = open("/proc/self/fdinfo/%d" % loop._selector.fileno()).read()
answer = [result, os.fstat(loop._ssock.fileno()).st_ino, info.count("tfd:")]
"""
    (first, one, watched), (second, two, _) = (ask(clone, do) for clone in both)
    assert first == second == "done" and one != two and watched == 1


def test_the_thread_is_whole_after_the_change_of_process(template, python):
    """glibc's id of the thread, its restartable sequence, the interval timer and the signal stack."""
    text = """
import faulthandler, signal
faulthandler.enable()
fired = []
signal.signal(signal.SIGUSR1, lambda *_: fired.append('usr1'))
signal.signal(signal.SIGALRM, lambda *_: fired.append('alarm'))
signal.setitimer(signal.ITIMER_REAL, 3600)
"""
    (clone,) = clones(template, text, count=1, python=python)
    do = """
import ctypes, os, signal, threading
main = threading.main_thread()
signal.pthread_kill(main.ident, signal.SIGUSR1)
libc = ctypes.CDLL(None, use_errno=True)
area = ctypes.create_string_buffer(96)
start = (ctypes.addressof(area) + 31) // 32 * 32
left = signal.getitimer(signal.ITIMER_REAL)[0]
again = libc.syscall(334, ctypes.c_void_p(start), 32, 0, 0x53053053)  # rseq
answer = [app["fired"], main.native_id, left > 3000, again, ctypes.get_errno()]
"""
    fired, native, timer, again, error = ask(clone, do)
    assert fired == ["usr1"] and native == 2 and timer
    assert (again, error) == (-1, 22)  # EINVAL: another one is registered
    clone.send_event({"do": "import ctypes; ctypes.string_at(0)"})
    assert os.WTERMSIG(clone.exit_status()[0]) == signal.SIGSEGV
    assert "Fatal Python error: Segmentation fault" in clone.whole_log()


@pytest.mark.parametrize(
    "do, code",
    [
        ("import sys; sys.exit(3)", 3),
        ("import os; os._exit(5)", 5),
        ("import os; os.abort()", -signal.SIGABRT),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
        ("import os; os.execv('/bin/sh', ['sh', '-c', 'exit 7'])", 7),
    ],
)
def test_the_end_of_a_clone_is_reported_as_it_was(template, do, code):
    first, second = clones(template, "")
    first.send_event({"do": do})
    status, memory = first.exit_status()
    assert os.waitstatus_to_exitcode(status) == code and memory > 1024
    assert ask(second, "answer = 1") == 1


def test_orphans_are_reaped_and_end_with_the_clone(template):
    (clone,) = clones(template, "", count=1)
    do = """
import os, time
if os.fork() == 0:
    if os.fork() == 0:
        os._exit(0)
    os._exit(0)
os.wait()
end = time.monotonic() + 30
while [e for e in os.listdir("/proc") if e.isdigit() and e not in ("1", "2")] and time.monotonic() < end:
    pass
answer = sorted(e for e in os.listdir("/proc") if e.isdigit())
"""
    assert ask(clone, do) == ["1", "2"]
    clone.send_event({"do": "import os, time\nif os.fork() == 0: time.sleep(600)\nos._exit(0)"})
    assert clone.exit_status()[0] == 0
    clone.whole_log()
    assert not clone._reader.is_alive(), "the orphan still holds the log"


def test_a_signal_to_the_whole_group_stays_inside(template):
    first, second = clones(template, "")
    first.send_event({"do": "import os, signal; os.kill(0, signal.SIGKILL)"})
    assert os.waitstatus_to_exitcode(first.exit_status()[0]) == -signal.SIGKILL
    assert ask(second, "answer = 2") == 2


def test_clones_outlive_their_template(template):
    made = template(HANDLER)
    made.said()
    clone = made.clone()
    clone.ready()
    os.kill(made.program(), signal.SIGKILL)
    assert made.exit_code() == -signal.SIGKILL
    assert ask(clone, "answer = 'here'") == "here"
    clone.send(SHUTDOWN)
    assert clone.exit_status()[0] == 0


def test_a_failed_start_after_the_mounts_is_told_and_the_template_goes_on(template):
    """A file that init left open is gone from the clone's /tmp: it cannot be opened again."""
    made = template("kept = open('/tmp/kept', 'w')\nimport os\n" + HANDLER)
    assert made.said()["clonable"]
    os.remove(f"/proc/{made.init}/root/tmp/kept")
    clone = made.clone()
    frame = clone.recv()
    assert frame.kind == INIT_ERROR and frame.meta == ["Runtime.CloneError"], frame
    assert "/tmp/kept" in frame.json["errorMessage"]
    assert os.waitstatus_to_exitcode(clone.exit_status()[0]) == 1
    kept = pathlib.Path(f"/proc/{made.init}/root/tmp/kept")
    kept.touch()
    kept.chmod(0o666)
    made.clone().ready()


def test_what_one_clone_wrote_the_next_copies_beforehand(template):
    """A call writes 3,000 pages of the template's: each costs the first clone a fault."""
    text = "import resource\nmemory = bytearray(b'x') * (16 << 20)\n"
    work = """
import resource
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
m = app['memory']
for at in range(0, 3000 * 4096, 4096): m[at] = 1
answer = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
"""
    made = template(text + HANDLER)
    made.said()
    shared = "answer = [line for line in open('/proc/self/maps') if ' rw-s ' in line]"
    faults = []
    # Not the first where the template was still making huge pages.
    while len(faults) < 2 or (faults[-1] >= 300 and len(faults) < 30):
        clone = made.clone()
        clone.ready()
        faults.append(ask(clone, work))
        assert [ask(clone, shared) == [] for _ in range(8)][-1]  # after eight answers the table is gone
    assert faults[0] >= 3000 and faults[-1] < 300, faults


def test_the_first_calls_of_the_twentieth_clone_have_their_pages_as_those_of_the_fourth(template):
    """Calls allocate, free and leave cycles behind. What tells is the first clones'; nothing that is
    done between may move the heap that all later ones find."""
    work = """
import json, resource
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
kept = [json.loads('{"a": [1.5, "text", {"b": null}]}') for _ in range(40)]
for one in kept: one['me'] = one
answer = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
"""
    made = template(HANDLER)
    made.said()
    faults = []
    for _ in range(20):
        clone = made.clone()
        clone.ready()
        faults.append([ask(clone, work) for _ in range(8)])
    assert sum(faults[0]) > 0 and sum(faults[-1]) <= 8, faults
