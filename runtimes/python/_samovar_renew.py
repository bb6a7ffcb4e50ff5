"""What a clone makes anew, so that it shares nothing with other clones of its template but memory.

Order    Files and working directory first, then loops, then random state; the function's own hooks
         (snapshot_restore_py) run after all of it, when what they call works.
"""

import os
import struct
import sys

import _samovar_context as context
import _samovar_random as randoms


def renew(plan, environment):
    """All of it. `environment` is a list of NAME=value from the server."""
    for entry in environment:
        name, _, value = entry.partition("=")
        os.environ[name] = value
    context.take_environment()
    if plan.folder is not None:
        os.chdir(plan.folder)  # of the same name, in a /tmp of its own
    for file in plan.files:
        reopen(*file)
    for loop in plan.loops:
        rebuild_loop(loop)
    for which, seconds, interval in plan.timers:
        sys.modules["signal"].setitimer(which, seconds, interval)  # a fork clears them
    if "threading" in sys.modules:
        attempt(sys.modules["threading"].main_thread()._set_native_id)
    renew_random(plan)
    renew_network()


def renew_network():
    """rtnetlink, which tells of interfaces, is closed in a clone: other calls tell the same."""
    import _socket

    own = getattr(_socket, "if_nameindex", None)
    _socket.if_nameindex = if_nameindex
    module = sys.modules.get("socket")
    if module is not None and getattr(module, "if_nameindex", None) is own:
        module.if_nameindex = if_nameindex


def if_nameindex():
    """if_nameindex()

    Returns a list of network interface information (index, name) tuples."""
    import _socket

    with open("/proc/net/dev") as file:
        names = [line.partition(":")[0].strip() for line in file if ":" in line]
    return sorted((_socket.if_nametoindex(name), name) for name in names)


def reopen(fd, path, flags, position, inheritable):
    """The same file at the same place, but with an offset that no other clone moves."""
    new = os.open(path, flags)
    os.lseek(new, position, os.SEEK_SET)
    os.dup2(new, fd, inheritable)
    os.close(new)


def rebuild_loop(loop):
    """New epoll instance and self-pipe for an idle asyncio loop. The old ones are the template's too:
    they are closed here, never changed."""
    import selectors

    old = loop._selector
    loop._selector = (
        type(old)() if isinstance(old, selectors.BaseSelector) else selectors.DefaultSelector()
    )
    loop._ssock.close()
    loop._csock.close()
    loop._ssock = loop._csock = None
    loop._internal_fds = 0
    loop._make_self_pipe()
    old.close()
    if getattr(loop, "_signal_handlers", None):
        sys.modules["signal"].set_wakeup_fd(loop._csock.fileno())


def renew_random(plan):
    """New state for every generator that drew its first from the system. What `random` itself draws from
    CPython seeds anew after a fork, and OpenSSL when it sees another process id, which costs only who uses it."""
    modules = sys.modules
    if "_ssl" in modules and os.getpid() == plan.process:
        modules["_ssl"].RAND_add(os.urandom(32), 32.0)
    attempt(randoms.renew)
    if "numpy.random" in modules:
        attempt(lambda: renew_generator(modules["numpy.random"].mtrand._rand._bit_generator))
        for generator in plan.generators:
            renew_generator(generator)
    if "uuid" in modules:
        renew_uuid(modules["uuid"])
    if "tempfile" in modules:
        modules["tempfile"]._name_sequence = None
    if "torch" in modules:
        attempt(lambda: modules["torch"].default_generator.seed())
    if "tensorflow" in modules:
        attempt(lambda: modules["tensorflow"].random.set_seed(int.from_bytes(os.urandom(6), "little")))


def renew_generator(generator):
    """256 bits into a numpy bit generator. A new MT19937 would take half a millisecond to make."""
    seed = getattr(generator, "_legacy_seeding", None)
    if seed is not None:
        seed(list(struct.unpack("8I", os.urandom(32))))
    else:
        generator.state = type(generator)().state


def renew_uuid(uuid):
    """uuid1() is made of a node, a clock sequence and the time. libuuid keeps the first two where they
    cannot be reached, so clones use Python's own way, which draws the sequence each time."""
    uuid._generate_time_safe = None
    uuid._node = int.from_bytes(os.urandom(6), "big") | (1 << 40)  # a multicast address: nobody's card
    uuid._last_timestamp = None


def attempt(change):
    """A library that is half loaded or of another version keeps its state."""
    try:
        change()
    except Exception:
        pass
