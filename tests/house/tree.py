"""The tracked files of the repository, for the checks beside it."""

import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / "build/house"


def tracked(*suffixes):
    """Paths (relative to the root) of tracked files that exist, with one of these suffixes, or all."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
    paths = [pathlib.Path(name) for name in listing.stdout.split("\0") if name]
    return [p for p in paths if (ROOT / p).is_file() and (not suffixes or p.suffix in suffixes)]


def text(path):
    """The file's text, or None where it is not text."""
    try:
        return (ROOT / path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None
