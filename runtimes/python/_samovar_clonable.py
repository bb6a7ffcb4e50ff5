"""Whether a process that has initialised may be cloned: what fork() would break or what clones would share.

How      Reads /proc/self: threads, descriptors, mappings; and /proc for other processes of the sandbox.
         Each finding is a reason, {"problem", "remedy"}, in words for the function's author.
         What clones can make anew (open files, idle asyncio loops, generators without a seed of the
         user's) is no reason but goes into the Plan (_samovar_renew.py).
"""

import fcntl
import gc
import os
import stat
import sys
import time

MOST_REASONS = 20
PRIVATE_PLACES = ("/tmp/", "/dev/shm/")  # every clone gets its own copy of what lies there
COLLECTIONS = "/var/samovar/collection"

# Libraries that stop their threads around a fork and start them again when next used.
SAFE_THREADS = (
    "libopenblas",
    "libscipy_openblas",
    "libgomp",
    "libiomp5",
    "libomp",
    "libarrow",
    "pypocketfft",
)

IN_A_HOOK = "do it in the handler, or in a hook that snapshot_restore_py.register_after_restore() sets"
THREAD_REMEDIES = (
    (
        "onnxruntime",
        "give InferenceSession a SessionOptions with "
        "intra_op_num_threads = 1 and inter_op_num_threads = 1, "
        "and set ORT_DISABLE_TELEMETRY = 1 in the function's environment",
    ),
    ("tensorflow", "load the model in the handler (importing is no obstacle), or export it to ONNX"),
    (
        "libtorch",
        "call torch.set_num_threads(1) and torch.set_num_interop_threads(1) before the first use",
    ),
    ("polars", "import it in the handler; its thread pool cannot be stopped"),
    ("libgomp", "set OMP_NUM_THREADS = 1 in the function's environment: this copy is older than GCC 9"),
)


class Plan:
    """What a clone makes anew; found in the template, done in each clone."""

    def __init__(self):
        self.process = os.getpid()
        self.files = []  # (descriptor, path, flags, position, inheritable)
        self.loops = []  # idle asyncio event loops
        self.generators = []  # numpy bit generators that drew their seed from the system
        self.folder = None  # the working directory, where it is in a private place
        self.timers = []  # (which, seconds, interval)


def reason(problem, remedy):
    return {"problem": problem, "remedy": remedy}


def examine(native, control, table):
    """(reasons, plan) of this process. `table` is the address range of the runtime's own mapping."""
    plan = Plan()
    find_objects(plan)
    reasons = examine_threads(native)
    reasons += examine_processes()
    reasons += examine_descriptors(plan, control)
    reasons += examine_mappings(table)
    examine_folder(plan)
    examine_timers(plan)
    return reasons[:MOST_REASONS], plan


# ---- threads and processes ---------------------------------------------------------------------


def settled_threads(native):
    """The threads, after GNU OpenMP's have been ended. Ending takes them a moment."""
    stuck = native.pause_openmp()
    threads = native.threads()
    end = time.monotonic() + 0.2
    while not stuck and time.monotonic() < end and any(is_openmp(t[2]) for t in threads):
        time.sleep(0.005)
        threads = native.threads()
    return threads, stuck.splitlines()


def is_openmp(library):
    return os.path.basename(library).startswith("libgomp")


def examine_threads(native):
    threads, stuck = settled_threads(native)
    if not threads:
        return []
    by_python = {}
    if "threading" in sys.modules:
        for thread in sys.modules["threading"].enumerate():
            by_python[getattr(thread, "native_id", None)] = thread
    reasons, counts = [], {}
    for tid, name, library in threads:
        if tid in by_python:
            reasons.append(of_python_thread(by_python[tid]))
        elif not os.path.basename(library).startswith(SAFE_THREADS) or library in stuck:
            owner = (
                os.path.basename(library) or 'an unknown library (its threads are named "%s")' % name
            )
            counts[owner, library] = counts.get((owner, library), 0) + 1
    for (owner, library), count in counts.items():
        what = "%s has started %d thread%s" % (owner, count, "" if count == 1 else "s")
        reasons.append(reason(what, thread_remedy(library)))
    return reasons


def thread_remedy(library):
    for part, remedy in THREAD_REMEDIES:
        if part in library:
            return remedy
    return "keep the library from starting threads while the function initialises, or use it first in the handler"


def of_python_thread(thread):
    target = getattr(thread, "_target", None)
    where = getattr(target, "__module__", None) or type(thread).__module__
    return reason(
        'the Python thread "%s" of %s runs' % (thread.name, where),
        "end it before initialisation is over; to start it, " + IN_A_HOOK,
    )


def examine_processes():
    """Other processes of the sandbox, whether children or not. Process 1 is the sandbox's own."""
    names = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) in (1, os.getpid()):
            continue
        try:
            with open("/proc/%s/stat" % entry) as file:
                text = file.read()
        except OSError:
            continue
        name, rest = text[text.index("(") + 1 : text.rindex(")")], text[text.rindex(")") + 2 :]
        if rest[:1] not in ("Z", "X"):
            names.append(name)
    if not names:
        return []
    what = "another process runs" if len(names) == 1 else "%d other processes run" % len(names)
    shown = ", ".join(sorted(set(names))[:5])
    return [
        reason(
            "%s in the sandbox: %s" % (what, shown),
            "end it before initialisation is over; to start it, " + IN_A_HOOK,
        )
    ]


# ---- descriptors -------------------------------------------------------------------------------


def examine_descriptors(plan, control):
    of_loops = set()
    for loop in plan.loops:
        of_loops.update((loop._selector.fileno(), loop._ssock.fileno(), loop._csock.fileno()))
    reasons = []
    for entry in os.listdir("/proc/self/fd"):
        fd = int(entry)
        if fd <= control or fd in of_loops:
            continue
        try:
            target, status = os.readlink("/proc/self/fd/%d" % fd), os.fstat(fd)
        except OSError:
            continue  # the one that listed the folder
        found = of_descriptor(plan, fd, target, status)
        if found and found not in reasons:
            reasons.append(found)
    return reasons


def of_descriptor(plan, fd, target, status):
    mode = status.st_mode
    if stat.S_ISSOCK(mode):
        return reason(
            "%s is open" % name_socket(fd),
            "close it in a hook that snapshot_restore_py.register_before_snapshot() sets; to open it, "
            + IN_A_HOOK,
        )
    if stat.S_ISFIFO(mode):
        return reason(
            "a pipe is open (descriptor %d)" % fd,
            "close it before initialisation is over; to open it, " + IN_A_HOOK,
        )
    if stat.S_ISCHR(mode):
        return None  # null, zero, full and random have no state
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        return of_kernel_object(target, fd)
    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    if target.startswith(COLLECTIONS) and flags & os.O_ACCMODE == os.O_RDONLY:
        return None  # mapped, read-only; a merge may remove its name while the mapping is good
    if status.st_nlink == 0:
        return reason(
            "%s is open and deleted" % target.replace(" (deleted)", ""),
            "close it before initialisation is over; to open it, " + IN_A_HOOK,
        )
    try:
        now = os.stat(target)
    except OSError:
        now = None
    if now is None or (now.st_dev, now.st_ino) != (status.st_dev, status.st_ino):
        return reason(
            "%s is open and no longer found there" % target, "close it before initialisation is over"
        )
    position = os.lseek(fd, 0, os.SEEK_CUR)
    flags &= ~(os.O_CREAT | os.O_EXCL | os.O_TRUNC)
    plan.files.append((fd, target, flags, position, os.get_inheritable(fd)))
    return None


def of_kernel_object(target, fd):
    kind = target.partition("[")[2].rstrip("]") or target
    if "eventpoll" in kind and "uvloop" in sys.modules:
        return reason(
            "a uvloop event loop exists",
            "make the loop in the handler, or use asyncio's own loop while the function initialises",
        )
    known = {
        "eventpoll": "an epoll instance",
        "eventfd": "an eventfd",
        "timerfd": "a timerfd",
        "inotify": "an inotify instance",
        "signalfd": "a signalfd",
        "pidfd": "a pidfd",
    }
    return reason(
        "%s is open (descriptor %d)" % (known.get(kind, kind), fd),
        "close it before initialisation is over; to open it, " + IN_A_HOOK,
    )


def name_socket(fd):
    """ "a connection to 10.0.0.7:5432", as far as can be told."""
    import _socket

    sock = _socket.socket(fileno=fd)
    try:
        if sock.family == _socket.AF_UNIX:
            return "a Unix socket (descriptor %d)" % fd
        for call, words in (
            (sock.getpeername, "a connection to %s:%d"),
            (sock.getsockname, "a socket at %s:%d"),
        ):
            try:
                return words % call()[:2]
            except (OSError, TypeError):
                pass
        return "a socket (descriptor %d)" % fd
    finally:
        sock.detach()


# ---- memory, folder, timers --------------------------------------------------------------------


def examine_mappings(table):
    reasons = []
    with open("/proc/self/maps") as file:
        for line in file:
            fields = line.split(None, 5)
            if fields[1][1] != "w" or fields[1][3] != "s":
                continue
            begin = int(fields[0].split("-")[0], 16)
            path = fields[5].strip() if len(fields) > 5 else ""
            if table[0] <= begin < table[1] or path.startswith("/dev/shm/__KMP_REGISTERED_LIB_"):
                continue  # ours, and LLVM OpenMP's, which registers anew after a fork
            what = "memory shared between processes is mapped"
            if path and not path.startswith("/dev/zero"):
                what = "%s is mapped for writing, shared" % path.replace(" (deleted)", "")
            found = reason(what, mapping_remedy(path))
            if found not in reasons:
                reasons.append(found)
    return reasons


def mapping_remedy(path):
    if "/.onnxruntime/" in path:
        return "set ORT_DISABLE_TELEMETRY = 1 in the function's environment"
    return 'map it in the handler, or privately (numpy.memmap: mode "r" or "c")'


def examine_folder(plan):
    try:
        folder = os.getcwd()
    except OSError:
        return
    if (folder + "/").startswith(PRIVATE_PLACES):
        plan.folder = folder


def examine_timers(plan):
    if "signal" in sys.modules:
        signal = sys.modules["signal"]
        for which in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF):
            seconds, interval = signal.getitimer(which)
            if seconds:
                plan.timers.append((which, seconds, interval))


# ---- objects -----------------------------------------------------------------------------------


def find_objects(plan):
    """asyncio's loops and numpy's bit generators. Before gc.freeze(), which hides them."""
    kinds = []
    if "asyncio.selector_events" in sys.modules:
        kinds.append(sys.modules["asyncio.selector_events"].BaseSelectorEventLoop)
    numpy_random = sys.modules.get("numpy.random")
    bits = getattr(numpy_random, "BitGenerator", None)
    if bits is not None:
        kinds += [bits, numpy_random.Generator]
    if not kinds:
        return
    kinds, wanted, generators = tuple(kinds), {}, {}
    for found in gc.get_objects():
        kind = type(found)  # not isinstance(): proxies answer it with code of their own
        if kind not in wanted:
            wanted[kind] = issubclass(kind, kinds)
        if not wanted[kind]:
            continue
        if bits is not None and issubclass(kind, bits):
            generators[id(found)] = found
        elif bits is not None and issubclass(kind, numpy_random.Generator):
            generators[id(found.bit_generator)] = found.bit_generator
        elif not found.is_closed() and getattr(found, "_ssock", None) is not None:
            plan.loops.append(found)
    if bits is not None:  # the one behind numpy.random.random() is renewed anyway
        generators.pop(id(numpy_random.mtrand._rand._bit_generator), None)
    plan.generators = [g for g in generators.values() if seeded_by_system(g)]


def seeded_by_system(generator):
    """numpy draws 128 bits where the user gave no seed."""
    source = getattr(generator, "seed_seq", None) or getattr(generator, "_seed_seq", None)
    entropy = getattr(source, "entropy", None)
    return isinstance(entropy, int) and entropy >> 64 != 0
