#!/usr/bin/env python3
"""From zero to the reply, side by side: bench/coldstart/run [--rounds N] [--only PART]...

A function that imports pandas and scikit-learn and loads a small model; its handler takes about a
millisecond. Measured from the request, with no instance alive, to the whole reply: a fresh process, a clone
of the template, a spare clone, beside a warm call; and from the start of the process to the reply: the AWS
Runtime Interface Emulator with awslambdaric, and FastAPI with uvicorn, serving the same package. The function
is measured as it is and primed, that is with ten predictions made while it initialises; and once more with a
forest in the model's place, whose handler takes twice as long. Rounds go through all in turn, so that a slow
minute hits each alike; every answer is checked against the model's own.

Then: what pauses cost an ordinary process; a model file that is a function by itself; how a clone's time grows
with the template's memory, what memory each further instance costs, and a hundred instances at once. Written to build/bench/coldstart.json; exits 1 where a promise is missed.
"""

import argparse
import contextlib
import itertools
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import threading
import time

import prepare
from prepare import BUILD

from calls import Function, post
from harness import Server, until
import memory
import model_starts

PARTS = ("starts", "pauses", "models", "state", "memory", "many")
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}  # as the function has


class Events:
    """Rows and their answers, a different one each time."""

    def __init__(self, answers):
        self.turn = itertools.cycle(answers)

    def ask(self, call, model="model", **more):
        case = next(self.turn)
        body = json.dumps({"row": case["row"], **more}).encode()
        begin = time.perf_counter()
        reply = call(body)
        took = time.perf_counter() - begin
        assert abs(json.loads(reply) - case[model]) < 1e-9, (reply, case)
        return took


def servers(stack):
    zero = ["keep_alive.policy=fixed", "keep_alive.fixed=1s"]
    return (stack.enter_context(Server(*zero)), stack.enter_context(Server(*zero, "clones.max_spares=0")))


def from_nothing(events, command, path, port, **more):
    """Seconds from the start of a process to its reply."""
    child = None

    def call(body):
        nonlocal child
        child = prepare.spawn(command, "others.log", **more)
        return post(("127.0.0.1", port), path, body, patience=60)
    try:
        return events.ask(call)
    finally:
        prepare.end(child)


def emulated(events, bin_, emulator, folder):
    port, api = prepare.free_port(), prepare.free_port()
    return from_nothing(
        events, [emulator, "--runtime-interface-emulator-address", f"127.0.0.1:{port}", "--runtime-api-address",
                 f"127.0.0.1:{api}", bin_ / "python", "-m", "awslambdaric", "app.handler"],
        "/2015-03-31/functions/function/invocations", port, cwd=folder,
        env={**os.environ, **ONE_THREAD, "PYTHONPATH": str(folder), "AWS_LAMBDA_FUNCTION_TIMEOUT": "60", "LOG_LEVEL": "error"})


def fastapi(events, bin_, folder):
    port = prepare.free_port()
    return from_nothing(
        events, [bin_ / "uvicorn", "fastapi_app:app", "--port", port, "--loop", "uvloop", "--http", "httptools",
                 "--no-access-log", "--log-level", "warning"],
        "/", port, cwd=folder, env={**os.environ, **ONE_THREAD, "PYTHONPATH": f"{folder}:{prepare.HERE}"})


# What is said before the names of the ways: the function's handler, its model, whether a clone without spare is made.
KINDS = {"": ("app.handler", "model", True), "primed ": ("primed.handler", "model", True),
         "forest ": ("primed.handler", "forest", False)}


def starts_of(kind, with_spares, without, zip_, events, itself):
    """The ways to start one function: what is to be waited for, and the call. How long its handler takes goes to `itself`."""
    handler, model, bare = KINDS[kind]
    more = {"handler": handler, "environment": {"MODEL": f"{model}.pickle"}}
    name = kind.strip()
    fresh = Function(with_spares, f"{name}fresh", zip_, tags={"samovar:clone": "off"}, **more)
    spare = Function(with_spares, f"{name}spare", zip_, **more)
    clone = Function(without, f"{name}clone", zip_, **more) if bare else None
    for function in (spare, clone) if bare else (spare,):
        events.ask(function.call, model)  # which makes the template

    def warm():
        events.ask(spare.call, model)
        took = statistics.median(events.ask(spare.call, model) for _ in range(7))
        itself.setdefault(model, []).append(  # in a loop, without the way there and back
            (events.ask(spare.call, model, repeat=51) - events.ask(spare.call, model)) / 50)
        return took

    ways = {f"{kind}fresh": (lambda: fresh.wait("zero"), lambda: events.ask(fresh.call, model))}
    if bare:
        ways[f"{kind}clone"] = (lambda: clone.wait("a template, nothing else", template=True, spare=False),
                                lambda: events.ask(clone.call, model))
    ways[f"{kind}spare"] = (lambda: spare.wait("a spare, nothing else", template=True, spare=True),
                            lambda: events.ask(spare.call, model))
    ways[f"{kind}warm"] = (lambda: None, warm)  # follows the spare's call
    if kind == "primed ":
        ways[f"{kind}idle"] = idle(Function(with_spares, f"{name}idle", zip_, **more), events, model)
    return ways


def idle(function, events, model):
    """An instance that has served, and has had nothing to do since the last round: what a spare is to be measured by."""
    lam = function.server.client()
    version = lam.publish_version(FunctionName=function.name)["Version"]
    lam.put_provisioned_concurrency_config(FunctionName=function.name, Qualifier=version, ProvisionedConcurrentExecutions=1)
    until(lambda: lam.get_provisioned_concurrency_config(FunctionName=function.name, Qualifier=version)["Status"] == "READY",
          60, "a provisioned instance")
    function.name += f":{version}"
    for _ in range(8):
        events.ask(function.call, model)
    return (lambda: time.sleep(0.2)), (lambda: events.ask(function.call, model))


def measure_starts(stack, args, events, tools):
    bin_, emulator, folder, zip_, _ = tools
    with_spares, without = servers(stack)
    ways, itself = {}, {}
    for kind in KINDS:
        ways |= starts_of(kind, with_spares, without, zip_, events, itself)
    ways |= {
        "emulator": (lambda: None, lambda: emulated(events, bin_, emulator, folder)),
        "fastapi": (lambda: None, lambda: fastapi(events, bin_, folder)),
    }
    if emulator is None:
        del ways["emulator"]
    times = {name: [] for name in ways}
    for number in range(args.rounds + 1):  # the first round is not counted: caches, templates
        for name, (ready, ask) in ways.items():
            ready()
            took = ask()
            if number:
                times[name].append(took)
        print(f"  round {number} of {args.rounds}", flush=True)
    return {"times": times, "itself": itself}


def measure_pauses(stack, args, events, tools):
    return json.loads(subprocess.check_output(
        [str(prepare.invoke.python311()), "-c", (prepare.HERE / "pauses.py").read_text()],
        cwd=tools[2], env={**os.environ, **ONE_THREAD}))


def measure_models(stack, args, events, tools):
    return model_starts.measure(*servers(stack), args.rounds)


def measure_state(stack, args, events, tools):
    """The same function with 100 MB and with 1 GB of private objects: clones, no spares."""
    _, without = servers(stack)
    made = {mb: Function(without, f"state-{mb}", tools[3], memory_size=3008, environment={"STATE_MB": str(mb)})
            for mb in (100, 1000)}
    times = {mb: [] for mb in made}
    for number in range(args.rounds + 2):
        for mb, function in made.items():
            function.wait("a template, nothing else", template=True, spare=False) if number else None
            took = events.ask(function.call)
            if number >= 2:
                times[mb].append(took)
            elif not number:
                time.sleep(5)  # idle: its memory becomes huge pages
    return times


@contextlib.contextmanager
def held(function, events, count, token, seconds):
    """That many calls at once, each in an instance of its own; yields their processes."""
    failures = []

    def one():
        try:
            events.ask(function.call, hold=token, seconds=seconds, repeat=20)
        except Exception as error:  # told below, in the main thread
            failures.append(error)
    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    most = []

    def all_there():
        nonlocal most
        now = memory.holders(f"held-{token}")
        most = max(most, now, key=len)
        return len(most) >= count or not any(t.is_alive() for t in threads)
    until(all_there, 120, f"{count} instances at once")
    try:
        yield most
    finally:
        for thread in threads:
            thread.join(120)
        if failures:
            raise failures[0]


def measure_memory(stack, args, events, tools):
    """Private MB of a fresh process, and of each of six warm clones at once."""
    with_spares, _ = servers(stack)
    fresh = Function(with_spares, "fresh", tools[3], tags={"samovar:clone": "off"})
    cloned = Function(with_spares, "spare", tools[3])
    found = {}
    for name, function, count in ("fresh", fresh, 1), ("clone", cloned, 6):
        events.ask(function.call)
        if name == "clone":  # further instances: the first keeps small pages that the template has made into huge ones
            function.wait("a spare, nothing else", template=True, spare=True)
        with held(function, events, count, f"memory-{name}", 5) as pids:
            found[name] = [memory.private_mb(pid) for pid in pids]
    return found


def measure_many(stack, args, events, tools):
    """A hundred at once: how many there were, what they cost together, how long until all were busy."""
    with_spares, _ = servers(stack)
    function = Function(with_spares, "many", tools[3])
    events.ask(function.call)
    begin = time.monotonic()
    with held(function, events, 100, "many", 45) as pids:
        took = time.monotonic() - begin
        costs = [memory.private_mb(pid) for pid in pids]
    return {"instances": len(pids), "seconds": took, "private_mb": sum(costs)}


def promises(found):
    held = {}
    if starts := found.get("starts"):
        middle = {name: statistics.median(times) for name, times in starts["times"].items()}
        held[f"a clone answers in 1/50 of a fresh start (here 1/{middle['fresh'] / middle['clone']:.0f})"] = (
            middle["clone"] * 50 <= middle["fresh"])
        # The bars of a spare are for a handler that itself takes about a millisecond; the forest's takes longer.
        for kind, what in ("", "as it is"), ("primed ", "primed"):
            fresh, spare, warm = (middle[kind + name] for name in ("fresh", "spare", "warm"))
            held[f"a spare, {what}, answers in 1/300 of a fresh start (here 1/{fresh / spare:.0f})"] = spare * 300 <= fresh
            held[f"a spare, {what}, answers within 2 times of warm (here {spare / warm:.2f})"] = spare <= 2 * warm
    if state := found.get("state"):
        ratio = statistics.median(state[1000]) / statistics.median(state[100])
        held[f"with 1 GB of private state at most 2 times slower than with 100 MB (here {ratio:.2f})"] = ratio <= 2
    if models := found.get("models"):
        held |= model_starts.promises(models)
    if memory_ := found.get("memory"):
        most = max(memory_["clone"])
        held[f"each further warm instance has under 10 MB of its own (here at most {most:.1f}, "
             f"a fresh process {memory_['fresh'][0]:.0f})"] = most < 10
    if many := found.get("many"):
        held[f"100 instances at once (here {many['instances']})"] = many["instances"] >= 100
    return held


NAMES = {"fresh": "fresh process", "clone": "clone", "spare": "spare clone", "warm": "warm",
         "idle": "warm, idle before"}
OTHERS = {"emulator": "AWS emulator, from nothing", "fastapi": "FastAPI, from nothing"}


def show_starts(starts):
    times = starts["times"]
    print(f"\n  {'':<28}{'median ms':>11}{'least':>10}{'most':>10}{'of fresh':>12}{'of warm':>10}")
    for name, all_ in times.items():
        kind = next((k for k in KINDS if k and name.startswith(k)), "")
        middle = statistics.median(all_)
        fresh, warm = (statistics.median(times[kind + way]) for way in ("fresh", "warm"))
        label = OTHERS.get(name) or f"{kind or 'as it is '}{NAMES[name.removeprefix(kind)]}"
        print(f"  {label:<28}{middle * 1e3:>11.1f}{min(all_) * 1e3:>10.1f}{max(all_) * 1e3:>10.1f}"
              f"{'1/' + format(fresh / middle, '.0f') if fresh / middle >= 1.5 else format(middle / fresh, '.2f'):>12}"
              f"{middle / warm:>10.2f}")
    for model, all_ in starts["itself"].items():
        print(f"  the handler itself, with the {model}, 50 times in a loop: {statistics.median(all_) * 1e3:.2f} ms a time")


def show(found):
    if starts := found.get("starts"):
        show_starts(starts)
    for pause, times in (found.get("pauses") or {}).items():
        first, second = (statistics.median(t) * 1e3 for t in zip(*times))
        print(f"  the handler in an ordinary process, {pause} s after the call before: {first:.2f} ms; then {second:.2f} ms")
    if models := found.get("models"):
        model_starts.show(models)
    if state := found.get("state"):
        for mb, times in state.items():
            print(f"  clone with {mb} MB of private state: {statistics.median(times) * 1e3:.1f} ms "
                  f"({min(times) * 1e3:.1f} to {max(times) * 1e3:.1f})")
    if memory_ := found.get("memory"):
        print(f"  private memory: fresh {memory_['fresh'][0]:.0f} MB; clones "
              + ", ".join(f"{mb:.1f}" for mb in memory_["clone"]) + " MB")
    if many := found.get("many"):
        print(f"  {many['instances']} instances busy at once after {many['seconds']:.1f} s, {many['private_mb']:.0f} MB of their own")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=9)
    options.add_argument("--only", action="append", choices=PARTS)
    options.add_argument("--json", type=pathlib.Path, default=BUILD.parent / "coldstart.json")
    args = options.parse_args()
    tools = prepare.all_of_it()
    events, found = Events(tools[4]), {}
    for part in args.only or PARTS:
        print(f"{part} ...", flush=True)
        with contextlib.ExitStack() as stack:
            found[part] = globals()[f"measure_{part}"](stack, args, events, tools)
    show(found)
    held_ = promises(found)
    print()
    for promise, kept in held_.items():
        print(f"  {'held' if kept else 'MISSED'}: {promise}")
    args.json.write_text(json.dumps({
        "date": time.strftime("%Y-%m-%d"), "cpus": os.cpu_count(), "kernel": platform.release(), "rounds": args.rounds,
        "held": held_, **found}, indent=2) + "\n")
    print(f"\n  written to {args.json}")
    return 0 if all(held_.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
