"""The handler alone, in an ordinary process: how long it takes after pauses. Prints JSON: {pause: [[first, second], ...]}, in seconds.

Nothing of Samovar is in it: what a pause costs here, it costs each process of this machine, cloned or not.
"""

import gc
import json
import time

import primed

PAUSES = {0: 60, 0.01: 60, 0.1: 15, 0.5: 12, 1.5: 6}


def call():
    begin = time.perf_counter()
    primed.handler({"row": [1.0, 0.2, 0.3, 0.4]}, None)
    return time.perf_counter() - begin


def after(pause):
    time.sleep(pause)
    return call(), call()


gc.collect()
gc.freeze()  # as Samovar's runtime does
print(json.dumps({pause: [after(pause) for _ in range(count)] for pause, count in PAUSES.items()}))
