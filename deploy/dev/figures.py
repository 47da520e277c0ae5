#!/usr/bin/env python3
"""The README's figures, made from the last results in bench/results/, so that they can't drift.

    deploy/dev/figures.py            writes them between their marks in the README
    deploy/dev/figures.py --check    fails when they are not what the results say
"""

import json
import re
import sys
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "bench/results"
README = ROOT / "README.md"
# Of one part of a chaos run.
FIGURES_MAX = 5


def read(name):
    return json.loads((RESULTS / name).read_text())


def origin(result):
    """Where a figure is from."""
    return f"{result['date']}, commit {result['commit']}, {result['cores']} cores"


def middle(runs, field):
    return median(run[field] for run in runs)


def proxy():
    """P0: the server beside a bare nginx."""
    result = read("proxy.json")
    rounds, seconds = len(result["server"]), result["seconds"]
    lines = [f"| {result['connections']} connections, median of {rounds} runs of {seconds} s | requests/s | p50 | p99 |", "|---|---|---|---|"]
    for name, field in [("the provider alone", "provider"), ("bare nginx, one worker", "nginx"), ("Tollgate", "server")]:
        runs = result[field]
        rate, p50, p99 = (middle(runs, figure) for figure in ("requests_per_second", "p50_ms", "p99_ms"))
        lines.append(f"| {name} | {rate:,.0f} | {p50:.1f} ms | {p99:.1f} ms |")
    server = result["server"]
    ratio = middle(server, "requests_per_second") / middle(result["nginx"], "requests_per_second")
    own, database = (middle(server, field) for field in ("cpu_us_per_request", "database_cpu_us_per_request"))
    lines.append("")
    lines.append(
        f"That is {ratio:.2f} of nginx (promised: 0.3). A request costs {own:.0f} µs of CPU in the server and {database:.0f} µs in "
        f"PostgreSQL; {result['batch']:.0f} holds and settles share a commit; the process peaks at {result['memory_peak_mib']:.0f} MiB. "
        f"({origin(result)})"
    )
    return lines


def streams():
    """P1: what the server adds to a stream."""
    result = read("streams.json")
    added = {q: result["server"][q] - result["direct"][q] for q in ("p50_ms", "p99_ms")}
    commit, many = result["commit_ms"], result["streams"]
    return [
        f"At {result['rate']} calls a second to a provider that thinks for 60 ms the server adds {added['p50_ms']:.2f} ms (p50) and "
        f"{added['p99_ms']:.2f} ms (p99), where a commit of one row at that pace takes {commit:.2f} ms (promised, as calls go out before "
        f"their hold is written: {commit + 0.5:.2f} and {commit + 10.5:.2f}). {many['at_once']:,} streams at once, for {many['seconds']} s: "
        f"{many['failed']} of {many['whole']:,} fail, {many['kib_each']:.0f} KiB of memory each (promised: 64). ({origin(result)})"
    ]


def shown(figures):
    """Each once; of many rounds the first two."""
    once = list(dict.fromkeys(figures))
    return once if len(once) <= FIGURES_MAX else [*once[:2], f"and {len(once) - 2} more rounds"]


def chaos():
    """The promises in their long sizes."""
    if not (RESULTS / "chaos.json").exists():
        return ["Not run yet."]
    lines = ["| promise | long run | figure | outcome |", "|---|---|---|---|"]
    for part in read("chaos.json"):
        figures = "<br>".join(figure.replace("|", "\\|") for figure in shown(part["figures"]))
        run = f"{part['outcome']} ({part['seconds']} s; {origin(part)}, profile {part['profile']})"
        lines.append(f"| {part['promise']} | {part['about']} | {figures} | {run} |")
    return lines


def filled(text):
    """The README with what stands between its marks made anew."""
    for section in (proxy, streams, chaos):
        name = section.__name__
        between = re.compile(rf"(?s)(<!-- {name} -->\n).*?(<!-- /{name} -->)")
        if not between.search(text):
            sys.exit(f"figures.py: the README has no marks <!-- {name} --> and <!-- /{name} -->")
        block = "\n".join(section())
        text = between.sub(lambda found: f"{found[1]}{block}\n{found[2]}", text)
    return text


def main(arguments):
    before = README.read_text()
    after = filled(before)
    if arguments == ["--check"]:
        if after != before:
            sys.exit("the README's figures are not those of bench/results/: run deploy/dev/figures.py")
    else:
        README.write_text(after)


if __name__ == "__main__":
    main(sys.argv[1:])
