"""kill -9 at random points under load; after each restart everything acknowledged is there."""

import json
import os
import random
import signal
import threading

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from harness import BINARY, ROLE, pack, run, unique, until

SEED = int(os.environ.get("SAMOVAR_CRASH_SEED", random.SystemRandom().randrange(10 ** 6)))
# The log is on disk within 200 ms, before the event's end can be: so a line lost is an event lost.
EVENT_SINK = "import time\ndef handler(event, context):\n    print('GOT', event, flush=True)\n    time.sleep(1)\n"


class Load:
    """Threads that change things until the server dies, and remember what was acknowledged."""

    def __init__(self, server, seed, runtime, sink):
        self.server, self.random, self.runtime, self.sink = server, random.Random(seed), runtime, sink
        self.lock = threading.Lock()
        self.functions = {}  # name -> {"description": acknowledged, "maybe": sent without an answer}
        self.deleted, self.versions, self.aliases, self.events = set(), {}, {}, set()
        self.count = 0

    def run(self, workers=4):
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self.work, args=(random.Random(self.random.random()),))
                        for _ in range(workers)]
        for thread in self.threads:
            thread.start()

    def join(self):
        self.stop.set()
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive()

    def work(self, dice):
        lam = self.server.client()
        mine = []
        while not self.stop.is_set():
            action = dice.choice(["create", "update", "update", "publish", "event", "event", "event", "delete"])
            try:
                getattr(self, action)(lam, mine, dice)
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] in (409, 429):
                    continue  # an update is still in progress, or a limit: said so, nothing changed
                raise
            except BotoCoreError:
                return  # the server is gone; what was on its way may or may not have happened
            self.count += 1

    def create(self, lam, mine, dice):
        name = unique("crash")
        with self.lock:
            self.functions[name] = {"description": None, "maybe": {"0"}}
        lam.create_function(FunctionName=name, Runtime=self.runtime, Role=ROLE, Handler="app.handler",
                            Description="0", Code={"ZipFile": pack(f"def handler(e, c): return '{name}'\n")})
        self.functions[name] = {"description": "0", "maybe": set()}
        mine.append(name)

    def update(self, lam, mine, dice):
        if not mine:
            return
        name, text = dice.choice(mine), str(dice.randrange(10 ** 9))
        self.functions[name]["maybe"].add(text)
        lam.update_function_configuration(FunctionName=name, Description=text)
        self.functions[name] = {"description": text, "maybe": set()}

    def publish(self, lam, mine, dice):
        if not mine:
            return
        name = dice.choice(mine)
        made = lam.publish_version(FunctionName=name)
        self.versions.setdefault(name, {})[made["Version"]] = made["Description"]
        alias = unique("a")
        lam.create_alias(FunctionName=name, Name=alias, FunctionVersion=made["Version"])
        self.aliases[name, alias] = made["Version"]

    def event(self, lam, mine, dice):
        mark = unique("e")
        lam.invoke(FunctionName=self.sink, InvocationType="Event", Payload=json.dumps(mark))
        self.events.add(mark)

    def delete(self, lam, mine, dice):
        if len(mine) < 4:
            return
        name = mine.pop(dice.randrange(len(mine)))
        self.functions[name]["maybe"].add("deleted")
        lam.delete_function(FunctionName=name)
        self.deleted.add(name)

    def check(self):
        lam = self.server.client()
        there = {f["FunctionName"]: f for page in lam.get_paginator("list_functions").paginate()
                 for f in page["Functions"]}
        for name, known in self.functions.items():
            if name in self.deleted:
                assert name not in there, f"{name} was deleted and came back"
            elif known["description"] is None:  # its creation was not answered
                assert name not in there or there[name]["Description"] == "0"
            elif "deleted" in known["maybe"] and name not in there:
                pass
            else:
                assert name in there, f"{name} was acknowledged and is gone"
                assert there[name]["Description"] in {known["description"], *known["maybe"]}, (name, known)
        gone = self.deleted | {n for n, k in self.functions.items() if n not in there}
        for name, versions in self.versions.items():
            if name not in gone:
                listed = {v["Version"]: v["Description"] for page in
                          lam.get_paginator("list_versions_by_function").paginate(FunctionName=name)
                          for v in page["Versions"]}
                assert versions.items() <= listed.items(), (name, versions, listed)
        for (name, alias), version in self.aliases.items():
            if name not in gone:
                assert lam.get_alias(FunctionName=name, Name=alias)["FunctionVersion"] == version
        return there

    def got(self):
        reply = self.server.raw("GET", f"/samovar/v1/logs/{self.sink}")
        return {json.loads(line)["message"].split()[1] for line in reply.data.splitlines()
                if line and json.loads(line)["message"].startswith("GOT")}


@pytest.mark.timeout(600)
def test_nothing_acknowledged_is_lost(fresh):
    print(f"SAMOVAR_CRASH_SEED={SEED}")
    dice = random.Random(SEED)
    server = fresh("async.retry_backoff=200ms", "async.max_queue=100000")
    runtime, sink = server.runtime(), unique("sink")
    server.create(EVENT_SINK, name=sink)
    load = Load(server, SEED, runtime, sink)
    for round_ in range(6):
        load.run()
        # Some rounds die at once, some after a while: the moment is random, bounded by work done.
        goal = load.count + dice.randrange(5, 250)
        until(lambda: load.count >= goal, 60, "enough load")
        server.kill9()
        load.join()
        server.start()
        there = load.check()
        print(f"round {round_}: {load.count} changes, {len(there)} functions, {len(load.events)} events")
    assert len(load.events) > 20 and len(load.functions) > 10, "the load was too small to prove anything"
    until(lambda: load.events <= load.got(), 120, "every acknowledged event")
    alive = [n for n, k in load.functions.items() if k["description"] and n not in load.deleted
             and "deleted" not in k["maybe"]]
    for name in dice.sample(alive, min(5, len(alive))):
        server.active(name)
        assert server.invoke(name).payload == name


def test_a_crash_leaves_nothing_behind_after_the_next_stop(fresh):
    server = fresh()
    function = unique()
    server.create(name=function)
    server.invoke(function)
    server.kill9()
    server.start()
    assert server.invoke(function, 1).payload == 1
    server.stop()  # fails on any process, mount or cgroup, of this life or the one before


def test_a_function_that_was_pending_at_the_crash_becomes_active(fresh):
    server = fresh()
    names = [unique() for _ in range(5)]
    for name in names:
        server.client().create_function(FunctionName=name, Runtime=server.runtime(), Role=ROLE, Handler="app.handler",
                                        Code={"ZipFile": pack("def handler(e, c): return 1\n")})
    server.kill9()
    server.start()
    for name in names:
        server.active(name)
        assert server.invoke(name).payload == 1


def test_only_the_spawner_dies(fresh):
    server = fresh()
    function = unique()
    server.create(name=function)
    assert server.invoke(function, 1).payload == 1
    server.note()
    spawner = next(p for p in server.seen if open(f"/proc/{p}/comm").read().strip() == "samovar-spawner")
    os.kill(spawner, signal.SIGKILL)

    def answers():
        try:
            return server.invoke(function, 2).payload == 2
        except (ClientError, BotoCoreError):
            return False

    until(answers, 60, "an answer with a new spawner")


def test_the_data_of_a_running_server_is_not_shared(fresh):
    server = fresh()
    second = run([BINARY, "serve", "--listen", "127.0.0.1:0", "--data-dir", server.data_dir], check=False)
    assert second.returncode != 0 and str(server.data_dir) in second.err, second.err
