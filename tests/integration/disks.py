"""A small file system that tests fill."""

import os

from folders import DISK, Folder
from harness import run


class SmallDisk:
    """In memory, of so many bytes; whatever the ballast takes is given back by make_room()."""

    def __init__(self, size):
        self.folder = Folder()
        self.path = self.folder.path / DISK
        self.path.mkdir()
        run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "small", self.path])
        self.ballast = self.path / "ballast"

    def free(self):
        about = os.statvfs(self.path)
        return about.f_bavail * about.f_frsize

    def fill(self, leave):
        """Until only so many bytes are left."""
        with open(self.ballast, "ab") as file:
            file.write(bytes(max(0, self.free() - leave)))

    def make_room(self):
        self.ballast.unlink()

    def remove(self):
        run(["umount", "--lazy", self.path])
        self.folder.remove()
