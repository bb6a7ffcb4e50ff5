"""Folders of test servers below /tmp, and the removal of those whose run was killed.

A folder is its process's as long as that holds a lock on the file `held` in it. A server may outlive a run that was killed, so
its folder stays as long as a process names it in its command line.
"""

import contextlib
import fcntl
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

PREFIX = "samovar-test-"
DISK = "disk"  # a file system that a test mounted in its folder, if there is one
YOUNG = 60  # seconds in which a folder may not have its lock yet


class Folder:
    """One of our own, readable by every user; remove() takes it away."""

    def __init__(self, within="/tmp"):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix=PREFIX, dir=within))
        self.path.chmod(0o755)
        self.held = open(self.path / "held", "w")
        fcntl.flock(self.held, fcntl.LOCK_EX)

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)
        self.held.close()


def sweep(within="/tmp"):
    """Removes the folders that nobody has any more."""
    for path in pathlib.Path(within).glob(PREFIX + "*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime < YOUNG or in_use(path):
                continue
            with open(path / "held", "r+") as held:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.ismount(path / DISK):
                    subprocess.run(["umount", "--lazy", path / DISK], check=True, timeout=60)
                shutil.rmtree(path, ignore_errors=True)


def in_use(path):
    """Whether a server mounted something there or a process was started with it."""
    mounts = [line.split()[4] for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()]
    if any(mount.startswith(f"{path}/") and mount != f"{path}/{DISK}" for mount in mounts):
        return True
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if str(path).encode() in pathlib.Path(f"/proc/{entry}/cmdline").read_bytes():
                return True
    return False
