"""Which instances of random.Random drew their seed from the system, for their clones to draw another.

Why      A generator does not tell afterwards. Seeded by the user it gives the same numbers in all clones.
How      While a template initialises, seed() notes it; in a clone random.Random is as it was.
"""

import functools
import random
import weakref

_unseeded = weakref.WeakSet()
_seed, _setstate = random.Random.seed, random.Random.setstate


@functools.wraps(_seed)
def _noting_seed(self, a=None, *rest, **more):
    (_unseeded.add if a is None else _unseeded.discard)(self)
    return _seed(self, a, *rest, **more)


@functools.wraps(_setstate)
def _noting_setstate(self, state):
    _unseeded.discard(self)
    return _setstate(self, state)


def watch():
    random.Random.seed, random.Random.setstate = _noting_seed, _noting_setstate


def unwatch():
    if random.Random.seed is _noting_seed:
        random.Random.seed, random.Random.setstate = _seed, _setstate


def renew():
    unwatch()
    for generator in list(_unseeded):
        generator.seed()
    _unseeded.clear()
