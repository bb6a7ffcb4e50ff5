"""A model file that is a function by itself, from zero to its answer: fresh, clone, spare, warm; and its memory.

The model is bench/models' forest: 200 trees over 100 features, which the worker reads when it starts.
"""

import importlib.util
import itertools
import json
import statistics
import time
import zipfile

from calls import Function
from harness import until
import memory
from prepare import BUILD, ROOT

COUNT = 6  # provisioned instances, whose memory is looked at


def model():
    """A package of the forest, and its rows with their answers."""
    spec = importlib.util.spec_from_file_location("modelbench", ROOT / "bench/models/run.py")
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    folder, _ = bench.trained()
    out = BUILD / "model.zip"
    with zipfile.ZipFile(out, "w") as archive:
        archive.write(folder / "forest.onnx", "model.onnx")
    made = json.loads((folder / "forest.json").read_text())
    return out, itertools.cycle(zip(made["rows"], made["want"]))


def measure(with_spares, without, rounds):
    package, cases = model()

    def made(server, name, **more):
        return Function(server, name, package, runtime="onnx", handler="model.onnx", **more)

    def ask(function):
        row, want = next(cases)
        body = json.dumps({"instances": [row]}).encode()
        begin = time.perf_counter()
        reply = function.call(body)
        took = time.perf_counter() - begin
        got = json.loads(reply)["predictions"][0]
        got = got[0] if isinstance(got, list) else got
        assert abs(got - want) < 1e-3, (got, want)
        return took

    fresh = made(with_spares, "freshmodel", tags={"samovar:clone": "off"})
    spare, clone = made(with_spares, "sparemodel"), made(without, "clonemodel")
    ask(spare), ask(clone)  # which makes the templates
    times = {name: [] for name in ("fresh", "clone", "spare", "warm")}
    for number in range(rounds + 1):  # the first round is not counted
        fresh.wait("zero")
        took = {"fresh": ask(fresh)}
        clone.wait("a template, nothing else", template=True, spare=False)
        took["clone"] = ask(clone)
        spare.wait("a spare, nothing else", template=True, spare=True)
        took["spare"] = ask(spare)
        took["warm"] = statistics.median(ask(spare) for _ in range(7))
        for name, seconds in took.items() if number else ():
            times[name].append(seconds)
    return {"times": times, "private_mb": private(with_spares, fresh, spare, ask)}


def private(server, fresh, cloned, ask):
    """Private MB of a fresh instance, and of each of some provisioned ones, after a call each."""
    def processes(depth):
        server.note()
        return {pid for pid in server.seen if memory.depth(pid) == depth}
    fresh.wait("zero")
    before = processes(2)
    ask(fresh)
    alone = [memory.private_mb(pid) for pid in processes(2) - before]
    lam = server.client()
    version = lam.publish_version(FunctionName=cloned.name)["Version"]
    before = processes(3)
    lam.put_provisioned_concurrency_config(FunctionName=cloned.name, Qualifier=version, ProvisionedConcurrentExecutions=COUNT)
    until(lambda: lam.get_provisioned_concurrency_config(FunctionName=cloned.name, Qualifier=version)["Status"] == "READY",
          60, "provisioned instances")
    cloned.name += f":{version}"
    for _ in range(4 * COUNT):
        ask(cloned)
    return {"fresh": max(alone), "clone": [memory.private_mb(pid) for pid in processes(3) - before]}


def show(found):
    print("\n  a model, 200 trees:")
    times = {name: statistics.median(all_) for name, all_ in found["times"].items()}
    for name, middle in times.items():
        all_ = found["times"][name]
        print(f"  {name:<28}{middle * 1e3:>11.1f}{min(all_) * 1e3:>10.1f}{max(all_) * 1e3:>10.1f}"
              f"{'1/' + format(times['fresh'] / middle, '.0f') if name != 'fresh' else '1':>12}")
    mb = found["private_mb"]
    print(f"  private memory: fresh {mb['fresh']:.0f} MB; clones " + ", ".join(f"{m:.1f}" for m in mb["clone"]) + " MB")


def promises(found):
    times = {name: statistics.median(all_) for name, all_ in found["times"].items()}
    most = max(found["private_mb"]["clone"])
    return {
        f"a model's clone answers in 1/50 of a fresh start (here 1/{times['fresh'] / times['clone']:.0f})":
            times["clone"] * 50 <= times["fresh"],
        f"each further instance of a model has under 10 MB of its own (here at most {most:.1f}, "
        f"a fresh process {found['private_mb']['fresh']:.0f})": most < 10}
