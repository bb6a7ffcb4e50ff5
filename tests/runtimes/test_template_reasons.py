"""What keeps a process from being cloned, in words; the hooks around a snapshot; hostile programs."""

import os
import signal
import subprocess

import pytest

from channel import INIT_ERROR, READY, RESPONSE, ROOT, SHUTDOWN
from spawner import TEMPLATE
from test_template import HANDLER, ask

REFUSED = {
    "a Python thread": (
        "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), name='ticker', daemon=True).start()",
        'the Python thread "ticker" of time runs',
        "register_after_restore",
    ),
    "a pool of threads": (
        "from concurrent.futures import ThreadPoolExecutor\npool = ThreadPoolExecutor(1); pool.submit(int).result()",
        'the Python thread "ThreadPoolExecutor-0_0" of concurrent.futures.thread runs',
        "in the handler",
    ),
    "a connection": (
        "import socket\ns = socket.create_server(('127.0.0.1', 8000)); c = socket.create_connection(('127.0.0.1', 8000))",
        "a connection to 127.0.0.1:8000 is open",
        "register_before_snapshot",
    ),
    "a socket that listens": (
        "import socket\ns = socket.create_server(('127.0.0.1', 8001))",
        "a socket at 127.0.0.1:8001 is open",
        "hook",
    ),
    "a Unix socket": ("import socket\npair = socket.socketpair()", "a Unix socket (descriptor", "hook"),
    "a pipe": ("import os\nends = os.pipe()", "a pipe is open", "close it"),
    "an epoll instance": ("import select\ne = select.epoll()", "an epoll instance is open", "close it"),
    "an eventfd": ("import ctypes\nctypes.CDLL(None).eventfd(0, 0)", "an eventfd is open", "close it"),
    "a deleted file": ("import tempfile\nf = tempfile.TemporaryFile()", " is open and deleted", "close it"),
    "a file that was replaced": (
        "import os\nf = open('/tmp/x', 'w'); os.rename('/tmp/x', '/tmp/y'); open('/tmp/x', 'w').close()",
        None,
        None,
    ),  # /proc knows the new name, under which it can be opened again
    "shared memory": ("import mmap\nm = mmap.mmap(-1, 4096)", "memory shared between processes is mapped", "privately"),
    "shared memory of multiprocessing": (
        "import mmap\nblock = open('/dev/shm/block', 'w+b'); block.truncate(4096); m = mmap.mmap(block.fileno(), 4096)",
        "/dev/shm/block is mapped for writing, shared",
        "memmap",
    ),
    "a child process": (
        "import subprocess\np = subprocess.Popen(['sleep', '600'])",
        "another process runs in the sandbox: sleep",
        "end it",
    ),
    "a daemon that let go of its parent": (
        "import os, time\nif os.fork() == 0:\n  os.setsid()\n  if os.fork() == 0: time.sleep(600)\n"
        "  os._exit(0)\nos.wait()",
        "another process runs in the sandbox: python",
        "end it",
    ),
    "descriptor 4 closed": ("import os\nos.close(4)", "descriptor 4, which is the platform's, has been closed", "only"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_reason_says_what_is_wrong_and_what_would_help(template, case):
    text, problem, remedy = REFUSED[case]
    made = template(text + "\n" + HANDLER)
    said = made.said()
    if problem is None:
        assert said["clonable"], said
        return
    assert not said["clonable"]
    assert any(problem in one["problem"] and remedy in one["remedy"] for one in said["reasons"]), said["reasons"]
    assert ask(made, "answer = 'served'") == "served"


def test_a_process_that_cannot_be_cloned_loses_what_only_templates_may_do(template):
    made = template("import os\nends = os.pipe()\n" + HANDLER)
    assert not made.said()["clonable"]
    do = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
answer = [libc.unshare(0x7c020000), ctypes.get_errno()]
"""
    assert ask(made, do) == [-1, 1]


def test_a_uvloop_loop_is_named(template, libraries):
    made = template(
        "import uvloop\nloop = uvloop.new_event_loop()\n" + HANDLER, environment={"PYTHONPATH": str(libraries)}
    )
    said = made.said()
    assert "a uvloop event loop exists" in [one["problem"] for one in said["reasons"]], said


NATIVE = r"""
#include <pthread.h>
#include <unistd.h>
static void* work(void* unused) { for (;;) pause(); return unused; }
void start(int count) { pthread_t thread; while (count-- > 0) pthread_create(&thread, 0, work, 0); }
"""


def test_a_library_that_starts_threads_is_named(template, place):
    (place / "ticking.c").write_text(NATIVE)
    subprocess.run(
        ["clang-19", "-shared", "-fPIC", "-O2", "-o", place / "libticking.so", place / "ticking.c"], check=True
    )
    made = template("import ctypes\nctypes.CDLL('/%s').start(3)\n" % str(place / "libticking.so").lstrip("/") + HANDLER)
    said = made.said()
    assert said["threads"] == 4
    assert [one["problem"] for one in said["reasons"]] == ["libticking.so has started 3 threads"]


def test_without_the_extension_the_function_runs_and_says_why_it_is_not_cloned(template):
    made = template(HANDLER, runtime=ROOT / "runtimes/python")
    said = made.said()
    assert not said["clonable"] and "_samovar_native" in said["reasons"][0]["problem"]
    assert ask(made, "answer = 'served'") == "served"


# ---- hooks -------------------------------------------------------------------------------------

HOOKS = """
import snapshot_restore_py as hooks
for n in (1, 2):
    hooks.register_before_snapshot(print, "before", n)
    hooks.register_after_restore(print, "after", n)
"""
DECORATED = """
from snapshot_restore_py import register_after_restore, register_before_snapshot
@register_before_snapshot
def first(): print("before 1")
@register_before_snapshot
def second(): print("before 2")
@register_after_restore
def third(): print("after 1")
@register_after_restore
def fourth(): print("after 2")
"""


@pytest.mark.parametrize("text, package", [(HOOKS, False), (DECORATED, False), (HOOKS, True), (DECORATED, True)])
def test_hooks_run_once_before_in_reverse_and_after_in_each_clone(template, awslambdaric, text, package):
    """With our module of that name, and with the package from PyPI."""
    environment = {"PYTHONPATH": str(awslambdaric)} if package else {}
    made = template(text + HANDLER, environment=environment)
    assert made.said()["clonable"]
    for _ in range(2):
        clone = made.clone()
        clone.ready()
        where = ask(clone, "import sys; answer = sys.modules['snapshot_restore_py'].__file__")
        assert where.startswith(str(awslambdaric)) == package
        assert clone.log(until="after 2") == "after 1\nafter 2\n"
    assert made.log() == "before 2\nbefore 1\n"


def test_hooks_run_in_pairs_where_nothing_is_cloned(template):
    """Not clonable; and clonable, but asked to answer itself."""
    refused = template("import os\nends = os.pipe()\n" + HOOKS + HANDLER)
    assert not refused.said()["clonable"]
    assert refused.log(until="after 2").split("\n")[:4] == ["before 2", "before 1", "after 1", "after 2"]


def test_a_clonable_template_that_gets_an_event_answers_it(template):
    made = template(HOOKS + HANDLER)
    assert made.said()["clonable"]
    assert ask(made, "answer = 'served'") == "served"
    assert made.log(until="after 2").split("\n")[:4] == ["before 2", "before 1", "after 1", "after 2"]
    do = "import ctypes; libc = ctypes.CDLL(None, use_errno=True); answer = libc.unshare(0x7c020000)"
    assert ask(made, do) == -1


def test_a_hook_before_may_close_what_is_in_the_way(template):
    text = """
import socket, snapshot_restore_py as hooks
pair = socket.socketpair()
hooks.register_before_snapshot(lambda: [end.close() for end in pair])
"""
    assert template(text + HANDLER).said()["clonable"]


def test_a_failed_hook_before_the_snapshot_ends_the_template_as_on_lambda(template):
    made = template("import snapshot_restore_py as hooks\nhooks.register_before_snapshot(lambda: 1 / 0)\n" + HANDLER)
    frame = made.recv()
    assert frame.kind == INIT_ERROR and frame.meta == ["Runtime.BeforeSnapshotError"]
    assert frame.json["errorType"] == "ZeroDivisionError"
    assert made.exit_code() == 64 and "[ERROR] ZeroDivisionError" in made.log()


def test_a_failed_hook_after_it_ends_that_clone_as_on_lambda(template):
    text = """
import os, sys, snapshot_restore_py as hooks
hooks.register_after_restore(lambda: os.environ.get('FAIL') and sys.exit('no'))
"""
    made = template(text + HANDLER)
    made.said()
    clone = made.clone(FAIL="1")
    frame = clone.recv()
    assert frame.kind == INIT_ERROR and frame.meta == ["Runtime.AfterRestoreError"]
    assert frame.json["errorType"] == "SystemExit"
    assert os.waitstatus_to_exitcode(clone.exit_status()[0]) == 65
    made.clone().ready()


# ---- the end, and hostile programs -------------------------------------------------------------


def test_a_template_ends_when_told_or_when_the_server_has_gone(template):
    told, left = template(HANDLER), template(HANDLER)
    for made in (told, left):
        assert made.said()["clonable"]
    told.send(SHUTDOWN)
    left.socket.close()
    assert (told.exit_code(), left.exit_code()) == (0, 0)


def test_a_template_without_its_control_socket_still_answers(template):
    made = template(HANDLER)
    made.said()
    made.control.close()
    assert ask(made, "answer = 'served'") == "served"


@pytest.mark.parametrize(
    "request_bytes", [b"{", b"[]", b'{"clone": 1}', b'{"clone": {"env": ["A=1"]}}', b'{"clone": {"env": [1]}}']
)
def test_a_request_that_makes_no_sense_is_passed_over(template, request_bytes):
    made = template(HANDLER)
    made.said()
    made.control.send(request_bytes)
    made.clone().ready()


def test_a_program_that_closes_every_descriptor_ends(template):
    made = template("import os\nos.closerange(3, 256)\n" + HANDLER)
    assert made.recv() is None
    assert made.exit_code() != 0


def test_a_program_that_forks_by_itself_is_not_cloned(template):
    """The child stays in its import; that process is named."""
    made = template("import os, time\nif os.fork() == 0:\n    time.sleep(600)\n" + HANDLER)
    said = made.said()
    assert not said["clonable"] and "another process" in said["reasons"][0]["problem"]


def test_a_clone_whose_mounts_never_come_says_so_and_ends(template):
    """The spawner closes its end: no clone waits on for ever."""
    made = template(HANDLER)
    made.said()
    clone = made.clone(mounted=False)
    clone.setup.close()
    assert clone.recv() is None
    clone.whole_log()
    made.clone().ready()


def test_environment_of_a_request_may_hold_anything_a_name_can(template):
    made = template(HANDLER)
    made.said()
    clone = made.clone(EMPTY="", EQUALS="a=b=c", WIDE="naïve ☕", QUOTED='"\\n')
    assert clone.recv().kind == READY
    do = "import os; answer = [os.environ[name] for name in ('EMPTY', 'EQUALS', 'WIDE', 'QUOTED')]"
    assert ask(clone, do) == ["", "a=b=c", "naïve ☕", '"\\n']


def test_a_user_handler_that_ends_the_template_leaves_its_clones(template):
    """An event on the template's own channel, after it has been cloned."""
    made = template(HANDLER)
    made.said()
    clone = made.clone()
    clone.ready()
    made.send_event({"do": "import os; os._exit(9)"})
    assert made.exit_code() == 9
    assert clone.invoke({"do": "answer = 'here'"}).kind == RESPONSE
    clone.send_event({"do": "import os; os.abort()"})
    assert os.WTERMSIG(clone.exit_status()[0]) == signal.SIGABRT


def test_the_frame_that_tells_comes_right_after_ready(template):
    made = template(HANDLER)
    assert [made.recv().kind, made.recv().kind] == [READY, TEMPLATE]
