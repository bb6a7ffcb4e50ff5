"""Programs in C that become templates through libsamovar_clone."""

import subprocess

import pytest

from channel import READY, RESPONSE, ROOT, SHUTDOWN
from conftest import BUILT, BUILD
from spawner import Template

HERE = ROOT / "tests/runtimes"


@pytest.fixture(scope="module")
def program():
    out = BUILD / "native_template"
    out.parent.mkdir(parents=True, exist_ok=True)
    library = BUILT.parent / "native/libsamovar_clone.a"
    subprocess.run(
        [
            "clang-19",
            "-std=gnu11",
            "-O2",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-D_GNU_SOURCE",
            "-I",
            ROOT / "runtimes/native/include",
            "-o",
            out,
            HERE / "native_template.c",
            library,
            "-pthread",
        ],
        check=True,
    )
    return out


@pytest.fixture
def native(program, place):
    started = []

    def begin(**environment):
        started.append(Template([program], place, environment))
        return started[-1]

    yield begin
    for one in started:
        one.close()


def test_each_clone_goes_on_from_where_the_template_was(native):
    made = native()
    assert made.said()["clonable"]
    clones = [made.clone(NUMBER=number) for number in ('naïve "1"', "2")]
    for clone, number in zip(clones, ('naïve "1"', "2")):
        assert clone.ready() == "counter 1"
        frame = clone.invoke({})
        assert frame.kind == RESPONSE
        assert frame.payload.decode() == '{"pid":2,"count":41,"number":"%s"}' % number
    clones[0].send(SHUTDOWN)
    assert clones[0].exit_status()[0] == 0
    assert b'"count":42' in clones[1].invoke({}).payload


@pytest.mark.parametrize("variable, problem", [("THREADS", "a thread runs code of "), ("SOCKET", "a socket, pipe")])
def test_what_cannot_be_cloned_is_named_and_answers_itself(native, variable, problem):
    made = native(**{variable: "1"})
    said = made.said()
    assert not said["clonable"] and said["reasons"][0]["problem"].startswith(problem), said
    assert b'"count":41' in made.invoke({}).payload


def test_it_is_an_ordinary_program_where_nobody_wants_clones(native):
    made = native(SAMOVAR_TEMPLATE="")
    assert made.recv().kind == READY
    assert b'"count":41' in made.invoke({}).payload


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"{",
        b"[]",
        b'{"clone": {"env": ["A=1"]}}',
        b'{"clone": {"env": [1]}}',
        b'{"clone":{"env":["\\ud800=1"]}}',
        b'{"clone":{"env":["A=\\',
    ],
)
def test_a_request_that_makes_no_sense_is_passed_over(native, request_bytes):
    made = native()
    made.said()
    made.control.send(request_bytes)
    made.clone(NUMBER="3").ready()


def test_an_event_on_its_own_channel_is_answered(native):
    made = native()
    made.said()
    assert b'"count":41' in made.invoke({}).payload


def test_a_program_says_itself_how_many_calls_it_takes_and_why_it_must_not_be_cloned(native):
    made = native(CALLS="64")
    assert made.said()["clonable"]
    assert made.clone().recv().meta[:2] == ["counter 1", "64"]
    said = native(PROBLEM='it "draws"').said()
    assert said["reasons"] == [{"problem": "it ?draws?", "remedy": "none"}] and not said["clonable"]


def test_later_clones_have_the_pages_that_the_first_answer_took(native):
    made = native(PAGES="1")
    made.said()
    first = made.clone()
    first.ready()
    assert first.invoke({}).payload == b'{"written":0,"mapped":0}'
    assert first.invoke({}).payload == b'{"written":1,"mapped":1}'  # and it has left word
    later = made.clone()
    later.ready()
    assert later.invoke({}).payload == b'{"written":1,"mapped":1}'
