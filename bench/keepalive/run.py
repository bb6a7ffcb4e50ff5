"""Keep-alive policies on a day of Azure's functions: bench/keepalive/run [--docs]; see README.md."""

import argparse
import gzip
import json
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BINARY = pathlib.Path(os.environ.get("SAMOVAR_BINARY", ROOT / "build/release/samovar")).resolve().parent
REPLAY = BINARY / "src/instances/keepalive_replay"
TRACE = HERE / "azure2019-200.gz"
DOCS, PLOT = ROOT / "docs/keepalive.md", ROOT / "docs/keepalive.svg"
BEGIN, END = "<!-- bench/keepalive: begin -->", "<!-- bench/keepalive: end -->"
SHARES = {"cold_p75": "cold starts of a function, 75th percentile (%)", "cold_all": "cold starts of all calls (%)"}


def replay(days, keep=lambda line: True):
    """What keepalive_replay says of the trace's functions that `keep` takes."""
    with gzip.open(TRACE, "rt") as file:
        text = "".join(line for line in file if keep(line))
    done = subprocess.run([REPLAY, str(days)], input=text, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def table(found):
    """Markdown; idle time relative to a fixed keep-alive of ten minutes, as in the paper."""
    base = next(p for p in found["policies"] if p["policy"] == "fixed 10 min")
    lines = ["| policy | cold, median function | cold, 75th percentile | cold, all calls | idle time | idle memory |",
             "|---|---|---|---|---|---|"]
    for p in found["policies"]:
        lines.append(f"| {p['policy']} | {p['cold_p50']:.1f} % | {p['cold_p75']:.1f} % | {p['cold_all']:.3f} % | "
                     f"{p['idle_hours'] / base['idle_hours']:.2f} | {p['idle_gb_hours'] / base['idle_gb_hours']:.2f} |")
    return "\n".join(lines)


def dominance(found):
    """For each share: which fixed policies the learned one beats at no more idle time, and which beat it."""
    learned = next(p for p in found["policies"] if p["policy"] == "learned")
    fixed = [p for p in found["policies"] if p["policy"].startswith("fixed")]
    said = {}
    for share in ("cold_p50", "cold_p75", "cold_all"):
        beats = [p["policy"] for p in fixed if learned[share] < p[share] and learned["idle_hours"] <= p["idle_hours"]]
        beaten = [p["policy"] for p in fixed if p[share] <= learned[share] and p["idle_hours"] < learned["idle_hours"]]
        said[share] = (beats, beaten)
    return said


NAMES = {"cold_p50": "the median function", "cold_p75": "the 75th percentile", "cold_all": "all calls together"}


def verdict(found):
    lines = []
    for share, (beats, beaten) in dominance(found).items():
        less = f"fewer cold starts than {', '.join(beats)}, with no more idle time" if beats else "dominates no fixed time"
        more = f"; {', '.join(beaten)} does better with less" if beaten else "; no fixed time dominates it"
        lines.append(f"- {NAMES[share]}: {less}{more}.")
    return "\n".join(lines)


# ---- the plot ---------------------------------------------------------------------------------------

WIDTH, HEIGHT, LEFT, TOP = 420, 300, 60, 40


def panel(found, share, at):
    """Points of all policies, and the line of the fixed ones, as SVG at x offset `at`."""
    policies = [p for p in found["policies"] if p["policy"] != "none"]
    base = next(p for p in policies if p["policy"] == "fixed 10 min")["idle_hours"]
    points = {p["policy"]: (p["idle_hours"] / base, p[share]) for p in policies}
    right, high = max(x for x, _ in points.values()) * 1.05, max(y for _, y in points.values()) * 1.1

    def place(x, y):
        return at + LEFT + x / right * WIDTH, TOP + HEIGHT - y / high * HEIGHT
    svg = [f'<text x="{at + LEFT}" y="24" class="title">{SHARES[share]}</text>',
           f'<path d="M{at + LEFT},{TOP} v{HEIGHT} h{WIDTH}" class="axis"/>',
           f'<text x="{at + LEFT + WIDTH / 2}" y="{TOP + HEIGHT + 36}" class="middle">'
           "idle instance time (1: ten minutes fixed)</text>"]
    for step in range(1, 5):
        x, _ = place(right * step / 4, 0)
        _, y = place(0, high * step / 4)
        svg.append(f'<text x="{x:.0f}" y="{TOP + HEIGHT + 16}" class="middle">{right * step / 4:.1f}</text>')
        svg.append(f'<text x="{at + LEFT - 6}" y="{y + 4:.0f}" class="end">{high * step / 4:.3g}</text>')
    line = " ".join("{:.1f},{:.1f}".format(*place(*points[name])) for name in points if name.startswith("fixed"))
    svg.append(f'<polyline points="{line}" class="fixed"/>')
    for name, point in points.items():
        x, y = place(*point)
        kind = "fixed" if name.startswith("fixed") else "learned" if name == "learned" else "variant"
        svg.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{5 if kind == "learned" else 3.5}" class="{kind}"/>')
        if kind != "variant":
            text = name.removeprefix("fixed ")
            svg.append(f'<text x="{x + 7:.1f}" y="{y - 6:.1f}" class="{kind}">{text}</text>')
    return svg


def plot(found):
    parts = [line for i, share in enumerate(SHARES) for line in panel(found, share, i * (WIDTH + LEFT + 40))]
    width, height = 2 * (WIDTH + LEFT + 40) + 20, TOP + HEIGHT + 50
    style = ("text{font:12px sans-serif;fill:#333}.title{font-weight:bold}.middle{text-anchor:middle}.end{text-anchor:end}"
             ".axis{stroke:#333;fill:none}polyline.fixed{stroke:#888;fill:none}circle.fixed{fill:#888}"
             "circle.learned{fill:#c00}text.learned{fill:#c00;font-weight:bold}circle.variant{fill:#e99}")
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">\n'
            f'<style>{style}</style>\n<rect width="{width}" height="{height}" fill="#fff"/>\n' + "\n".join(parts) + "\n</svg>\n")


def document(day, week):
    return "\n\n".join([
        f"The day seven times over ({week['functions']} functions, {week['calls']:,} calls):", table(week),
        "The learned policy against fixed times:", verdict(week),
        f"The day once ({day['calls']:,} calls), when there is little to learn from:", table(day), verdict(day)])


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--docs", action="store_true", help="write the table and the plot into docs/")
    args = options.parse_args()
    if not REPLAY.exists():
        sys.exit(f"{REPLAY} is missing: build the project")
    day, week = replay(1), replay(7)
    text = document(day, week)
    print(text)
    if args.docs:
        before = DOCS.read_text()
        DOCS.write_text(before[: before.index(BEGIN) + len(BEGIN)] + "\n" + text + "\n" + before[before.index(END):])
        PLOT.write_text(plot(week))


if __name__ == "__main__":
    main()
