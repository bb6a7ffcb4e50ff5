"""What tests need and the first of them makes, for all that run side by side and after."""

import fcntl
import shutil


def once(folder, make):
    """`folder`, made by make(its path so far) where it is not there yet; it appears whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = folder.parent / f"{folder.name}.part"
    with open(folder.parent / f"{folder.name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            shutil.rmtree(part, ignore_errors=True)
            make(part)
            part.rename(folder)
    return folder
