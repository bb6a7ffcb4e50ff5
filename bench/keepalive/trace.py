"""The trace that replay reads, from the Azure Functions 2019 files.

One line a function: name, MB, then MINUTE:COUNT for each minute of the day in which it was called.
`python3 trace.py FOLDER COUNT` writes it to stdout (FOLDER holds COUNT_inv.csv and COUNT_mem.csv).
"""

import csv
import pathlib
import sys


def convert(folder, count):
    folder = pathlib.Path(folder)
    with open(folder / f"{count}_mem.csv", newline="") as file:
        memory = {row["HashApp"]: int(row["AverageAllocatedMb"]) for row in csv.DictReader(file)}
    lines = []
    with open(folder / f"{count}_inv.csv", newline="") as file:
        rows = csv.reader(file)
        next(rows)
        for function, app, _owner, *minutes in rows:
            calls = [f"{minute}:{calls}" for minute, calls in enumerate(minutes) if int(calls) > 0]
            lines.append(" ".join([function[:12], str(memory[app]), *calls]))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(convert(sys.argv[1], sys.argv[2]))
