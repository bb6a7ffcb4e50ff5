"""The same recommender twice: film embeddings in a collection, or in Redis and loaded at start (SOURCE says which).

A user's vector is the mean of the films that they like; the answer is the ten nearest that they do not know. The
one with Redis keeps its matrix as new as the other's: each call asks for what was appended to the list `changes`.
"""

import os
import time

import numpy as np

K, AT_A_TIME = 10, 10_000


class InRedis:
    def __init__(self, address):
        import redis

        self.redis = redis.Redis(unix_socket_path=address)
        self.seen = self.redis.llen("changes")
        self.ids = [key.decode() for key in self.redis.lrange("films", 0, -1)]
        pieces = [self.redis.mget([f"film:{key}" for key in self.ids[start:start + AT_A_TIME]])
                  for start in range(0, len(self.ids), AT_A_TIME)]
        packed = b"".join(vector for piece in pieces for vector in piece)
        self.matrix = np.frombuffer(packed, np.float32).reshape(len(self.ids), -1).copy()
        self.place = {key: row for row, key in enumerate(self.ids)}

    def catch_up(self):
        changed = self.redis.lrange("changes", self.seen, -1)
        for key in (change.decode() for change in changed):
            vector = np.frombuffer(self.redis.get(f"film:{key}"), np.float32)
            if key in self.place:
                self.matrix[self.place[key]] = vector
            else:
                self.place[key] = len(self.ids)
                self.ids.append(key)
                self.matrix = np.vstack([self.matrix, vector])
        self.seen += len(changed)

    def recommend(self, likes, exact):
        self.catch_up()
        rows = [self.place[key] for key in likes]
        scores = self.matrix @ self.matrix[rows].mean(axis=0)
        scores[rows] = -np.inf
        best = np.argpartition(-scores, K)[:K]
        return [self.ids[row] for row in best[np.argsort(-scores[best])]]


class InCollection:
    def __init__(self, name):
        from samovar import collection

        self.films = collection(name)

    def recommend(self, likes, exact):
        with self.films.snapshot() as films:
            user = np.mean([films.get(key).vector for key in likes], axis=0, dtype=np.float32)
            hits = films.search(user, k=K + len(likes), exact=exact)
        return [hit.id for hit in hits if hit.id not in likes][:K]


FILMS = InRedis(os.environ["ADDRESS"]) if os.environ["SOURCE"] == "redis" else InCollection(os.environ["ADDRESS"])


def handler(event, context):
    """{"users": [[film, ...], ...], "exact": false}: an answer and its microseconds for each user."""
    answers, times = [], []
    for likes in event["users"]:
        began = time.perf_counter_ns()
        answers.append(FILMS.recommend(likes, event.get("exact", False)))
        times.append((time.perf_counter_ns() - began) / 1000)
    return {"answers": answers, "us": times}
