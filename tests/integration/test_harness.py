"""What the other tests stand on: what they leave behind goes, and what hangs says where."""

import os
import shutil
import subprocess
import sys

import pytest

from folders import DISK, Folder, sweep
from harness import run
from images import said

LONG_AGO = (0, 0)  # access and change
HANGS = "import faulthandler, signal, time; faulthandler.register(signal.SIGQUIT, chain=True); print('there', flush=True); time.sleep(600)"


def test_folders_of_runs_that_were_killed_go_and_no_others(tmp_path):
    mine, killed, young = (Folder(tmp_path) for _ in range(3))
    served = Folder(tmp_path)
    other = tmp_path / "another"
    other.mkdir()
    for folder in (killed, young, served):
        folder.held.close()  # as the end of its process does
    for path in (mine.path, killed.path, served.path, other):
        os.utime(path, LONG_AGO)
    server = subprocess.Popen([sys.executable, "-c", "input()", "--data-dir", served.path / "data"], stdin=subprocess.PIPE)
    sweep(tmp_path)
    assert mine.path.exists() and young.path.exists() and served.path.exists() and other.exists()
    assert not killed.path.exists()
    server.communicate()
    sweep(tmp_path)
    assert not served.path.exists() and mine.path.exists()
    mine.remove()
    assert not mine.path.exists()


def test_the_small_disk_of_a_run_that_was_killed_goes(tmp_path):
    folder = Folder(tmp_path)
    disk = folder.path / DISK
    disk.mkdir()
    run(["mount", "-t", "tmpfs", "-o", "size=64k", "small", disk])
    os.utime(folder.path, LONG_AGO)
    sweep(tmp_path)
    assert os.path.ismount(disk)
    folder.held.close()
    sweep(tmp_path)
    assert not os.path.ismount(disk) and not folder.path.exists()


def test_a_program_that_does_not_end_says_where_it_is():
    with pytest.raises(AssertionError, match="(?s)did not end within 2 s:.*Current thread.*line 1"):
        said(sys.executable, "-c", HANGS, seconds=2)
    assert said(shutil.which("echo"), "there") == "there\n"
    with pytest.raises(AssertionError, match="no such thing"):
        said("sh", "-c", "echo no such thing >&2; exit 1")
