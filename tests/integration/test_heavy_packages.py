"""Five of the libraries of bench/packages, deployed as people deploy them: they run, give no alarm, and are kept once."""

import json
import os
import sys

from harness import ROOT, Server, disk_of_packages, unique

sys.path.insert(0, str(ROOT / "bench/packages"))
import things  # noqa: E402

FIVE = ["numpy", "pillow", "lxml", "cryptography", "shapely"]
PINNED = (ROOT / "tests/packages/five.txt").read_text()
CACHE = ROOT / "build/packages/uv-cache"  # so that only the first run of all downloads them


def test_five_heavy_libraries_run_give_no_alarm_and_are_kept_once(tmp_path):
    CACHE.mkdir(parents=True, exist_ok=True)
    with Server() as server:
        sizes = []
        for thing in FIVE:
            name, folder, before = unique(thing), tmp_path / thing, disk_of_packages(server)
            answer = things.write(folder, thing, PINNED, thing)
            done = server.samovar("deploy", folder, "--name", name, "--runtime", "python3.11", "--handler", "app.handler",
                                  "--memory", "1769", "--timeout", "60", UV_CACHE_DIR=str(CACHE),
                                  XDG_CACHE_HOME=str(tmp_path / "trees"))
            assert "warning" not in done.err, done.err
            assert ("uv installs" in done.err) == (thing == FIVE[0]), f"one lock is installed once\n{done.err}"
            assert server.invoke(name).payload == answer
            sizes.append(disk_of_packages(server) - before)
        assert sizes[0] > 50 << 20 and max(sizes[1:]) < sizes[0] / 20, sizes
        listing = json.loads(server.samovar("packages", "--json").out)
        numpy = [row for row in listing["libraries"] if row["name"] == "numpy"]
        assert len(numpy) == 1 and len(numpy[0]["used_by"]) == 5 and numpy[0]["bytes"] > 20 << 20
        modules = list((server.data_dir / "packages/trees").glob("*/numpy/_core/_multiarray_umath*.so"))
        assert len(modules) == 5 and len({os.lstat(path).st_ino for path in modules}) == 1
