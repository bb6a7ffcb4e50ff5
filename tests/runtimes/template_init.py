"""Process 1 of a template in tests: makes its namespaces, starts the program, reaps for ever.

Writes to the status pipe its own pid as the host has it, then the program's wait status at its end.
"""

import ctypes
import fcntl
import json
import os
import signal
import socket
import struct
import sys

libc = ctypes.CDLL(None, use_errno=True)
NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
BIND, REC, PRIVATE = 0x1000, 0x4000, 0x40000
HOST_USER, INSIDE = 64999, 993
SHIFT = 3  # so that the program is not process 2, as a clone is


def call(name, *arguments):
    if getattr(libc, name)(*arguments) != 0:
        error = ctypes.get_errno()
        raise OSError(error, "%s: %s" % (name, os.strerror(error)))


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def run(plan, go):
    os.read(go, 1)
    null = os.open("/dev/null", os.O_RDONLY)
    inherited = (null, plan["log"], plan["log"], plan["channel"], plan["control"])
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 64) for fd in inherited]  # above all targets
    os.setsid()
    os.setgroups([])
    os.setresgid(HOST_USER, HOST_USER, HOST_USER)
    os.setresuid(HOST_USER, HOST_USER, HOST_USER)
    call("prctl", 4, 1, 0, 0, 0)  # PR_SET_DUMPABLE
    call("unshare", NEWUSER)
    write("/proc/self/setgroups", "deny")
    write("/proc/self/uid_map", "%d %d 1" % (INSIDE, HOST_USER))
    write("/proc/self/gid_map", "%d %d 1" % (INSIDE, HOST_USER))
    call("prctl", 38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
    for low, fd in enumerate(high):
        os.dup2(fd, low)
    os.closerange(5, 1024)
    os.chdir(plan["cwd"])
    os.execve(plan["argv"][0], plan["argv"], plan["env"])


def show_through(home, folders):
    """Folders below a home that only root may enter become reachable, and nothing else of it."""
    folders = [folder for folder in folders if folder.startswith(home + "/")]
    held = [os.open(folder, os.O_PATH | os.O_DIRECTORY) for folder in folders]
    if folders:
        call("mount", b"samovar", home.encode(), b"tmpfs", 0, b"mode=755")
    for folder, fd in zip(folders, held):
        os.makedirs(folder, exist_ok=True)
        call("mount", b"/proc/self/fd/%d" % fd, folder.encode(), None, BIND | REC, None)
        os.close(fd)


def be_process_1(plan):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as net:
        fcntl.ioctl(net, 0x8914, struct.pack("16sh14x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP
    call("mount", b"none", b"/", None, REC | PRIVATE, None)
    show_through("/root", plan["folders"])
    for at in (b"/tmp", b"/dev/shm"):
        call("mount", b"samovar", at, b"tmpfs", 0, b"mode=1777")
    call("mount", b"proc", b"/proc", b"proc", 0, None)
    for _ in range(SHIFT):
        if os.fork() == 0:
            os._exit(0)
        os.wait()
    go, start = os.pipe()
    program = os.fork()
    if program == 0:
        try:
            run(plan, go)
        finally:
            os._exit(127)
    os.write(start, b"g")
    for fd in ("log", "channel", "control"):
        os.close(plan[fd])
    while True:
        try:
            ended, status = os.waitpid(-1, 0)
        except ChildProcessError:
            signal.pause()
        if ended == program:
            os.write(plan["status"], b"%d\n" % status)


def main():
    plan = json.loads(sys.argv[1])
    libc.prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
    call("unshare", NEWNS | NEWUTS | NEWIPC | NEWPID | NEWNET)
    child = os.fork()
    if child == 0:
        libc.prctl(1, signal.SIGKILL, 0, 0, 0)
        be_process_1(plan)
    for fd in ("log", "channel", "control"):
        os.close(plan[fd])
    os.write(plan["status"], b"%d\n" % child)
    os.waitpid(child, 0)


main()
