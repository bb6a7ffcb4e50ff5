"""What several workers of the test runner want at the same time is made once."""

import multiprocessing

from once import once


def want(folder, me, other):
    def make(part):
        assert other.wait(60)  # the other one wants it too by now
        part.mkdir()
        (part / "whole").write_text("yes")

    me.set()
    assert once(folder, make) == folder and (folder / "whole").read_text() == "yes"


def test_two_that_want_it_at_once_both_get_it(tmp_path):
    forks = multiprocessing.get_context("fork")
    first, second = forks.Event(), forks.Event()
    both = [forks.Process(target=want, args=(tmp_path / "made", *events)) for events in ((first, second), (second, first))]
    for one in both:
        one.start()
    for one in both:
        one.join(120)
    assert [one.exitcode for one in both] == [0, 0]
    assert not (tmp_path / "made.part").exists()
