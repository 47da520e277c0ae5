#!/usr/bin/env python3
"""make chaos: the promises in their long sizes, one part after the other.

    deploy/dev/chaos.py [PART...]      parts by their promise (P2, L3, …); the default is all

Each part is a set of tests, or a suite, that run with CHAOS=long and end with the proof of the books (L9). What they promise
they say in a line `promise P2: …`; their figures, seeds and outcomes go to bench/results/chaos.json and into the README, each with
the commit that it was run on: a run of some parts leaves the others' as they are. CHAOS_MINUTES (60) bounds the whole: parts for which no time is
left are not run, and the results say so. CHAOS_PROFILE is cargo's profile (default `fast`; `dev` builds sooner, and asserts no
absolute rate).
"""

import datetime
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "bench/results/chaos.json"
LOGS = ROOT / "target/chaos"
PROFILE = os.environ.get("CHAOS_PROFILE", "fast")

# Promise, what it is about, its tests (nextest's filter) or its command, minutes at most.
PARTS = [
    ("L1", "rates of the ledger, batched beside one by one, and one hot account (L2)", "test(rates::)", 5),
    ("L3", "kill -9 of server and PostgreSQL in turn", "test(crash::)", 12),
    ("L4", "the ledger beside a model, its writer simulated", "package(tollgate-actors) & test(ledger::tests)", 6),
    ("L5", "the same operation again and again", "test(exactly_once::)", 3),
    ("L6", "overspending over three servers", "test(overspend::)", 3),
    ("L7", "expiry, and its race with the settle", "test(expiry::)", 4),
    ("L8", "tampering with history", "test(tamper::)", 4),
    ("L9", "PostgreSQL away", "test(outage::)", 2),
    ("P2", "faults of providers", "test(upstream_faults::)", 10),
    ("P3", "clients that leave streams", "test(clients_gone::)", 6),
    ("P4", "slow clients", "test(abuse::slow)", 3),
    ("P5", "malformed requests", "test(abuse::framing) | test(abuse::json) | test(abuse::lawful)", 2),
    ("P5", "fuzzed parsers", "test(fuzz_)", 6),
    ("P5", "generated requests beside the API's description", ["tests/sdk/run.sh", "schema"], 12),
    ("P6", "above capacity", "test(abuse::overload)", 3),
    ("P7", "SIGTERM under load", "test(sigterm_under_load)", 4),
    ("P8", "a panic in each actor", "test(a_panic_in_each_actor) | test(panics::)", 3),
    ("L3", "kill -9 of the whole server under load", "test(kill_9)", 4),
]


def command(tests):
    """The program and its arguments."""
    if isinstance(tests, list):
        return ["bash", *tests]
    chosen = ["cargo", "nextest", "run", "--workspace", "--locked", "--profile", "chaos", "--no-capture"]
    return [*chosen, "--cargo-profile", PROFILE, "--filterset", tests]


def run(tests, limit_s, log):
    """Runs it with CHAOS=long for at most that long; how it ended, and what it said."""
    environment = {**os.environ, "CHAOS": "long"}
    with log.open("wb") as out:
        # A session of its own: what it started ends with it.
        child = subprocess.Popen(
            command(tests), cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        )
        try:
            outcome = "passed" if child.wait(limit_s) == 0 else "FAILED"
        except subprocess.TimeoutExpired:
            end(child)
            outcome = f"FAILED: not done in {limit_s:.0f} s"
    return outcome, log.read_text(errors="replace")


def end(child):
    """Asks it to stop, then makes it."""
    os.killpg(child.pid, signal.SIGTERM)
    try:
        child.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def part(promise, about, tests, minutes, ends_at):
    """One part's result."""
    log = LOGS / (re.sub(r"\W+", "-", f"{promise} {about}") + ".log")
    left = ends_at - time.monotonic()
    result = {"promise": promise, "about": about, "tests": tests}
    if left < 30:
        return {**result, "outcome": "not run: no time left", "seconds": 0, "figures": [], "seeds": []}
    print(f"== {promise}: {about}", flush=True)
    began = time.monotonic()
    outcome, text = run(tests, min(60 * minutes, left), log)
    figures = re.findall(r"promise \w+: (.*)", text)
    seeds = sorted(set(re.findall(r"(?:\(seed |SEED=)(\d+)", text)))
    print("\n".join(f"   {figure}" for figure in figures))
    print(f"   {outcome} after {time.monotonic() - began:.0f} s; {log.relative_to(ROOT)}", flush=True)
    return {**result, "outcome": outcome, "seconds": round(time.monotonic() - began), "figures": figures, "seeds": seeds}


def build(chosen):
    """The tests and the server, so that no part's time goes to it."""
    subprocess.run(["cargo", "nextest", "run", "--workspace", "--locked", "--no-run", "--cargo-profile", PROFILE], cwd=ROOT, check=True)
    # The suites call the server of target/debug.
    if any(isinstance(tests, list) for _, _, tests, _ in chosen):
        subprocess.run(["cargo", "build", "--workspace", "--locked", "--bins"], cwd=ROOT, check=True)


def commit():
    """Of what was run; marked when there was more than that, but for the figures of a run just before."""
    changed = git("status", "--porcelain", "--", ".", ":!bench/results", ":!README.md")
    return git("rev-parse", "--short", "HEAD") + ("+" if changed else "")


def git(*arguments):
    """What it says of this work tree."""
    said = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return said.stdout.strip()


def key(result):
    return (result["promise"], result["about"])


def merged(before, now):
    """The results of now in place of those that there were, in the order of PARTS."""
    results = {**{key(it): it for it in before}, **{key(it): it for it in now}}
    return [results[part[:2]] for part in PARTS if part[:2] in results]


def main(arguments):
    before = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    unknown = set(arguments) - {promise for promise, *_ in PARTS}
    if unknown:
        sys.exit(f"chaos.py: no part {', '.join(sorted(unknown))}")
    LOGS.mkdir(parents=True, exist_ok=True)
    chosen = [it for it in PARTS if not arguments or it[0] in arguments]
    build(chosen)
    ends_at = time.monotonic() + 60 * float(os.environ.get("CHAOS_MINUTES", "60"))
    about = {"date": datetime.date.today().isoformat(), "commit": commit(), "cores": os.cpu_count(), "profile": PROFILE}
    results = [{**part(*it, ends_at), **about} for it in chosen]
    RESULTS.write_text(json.dumps(merged(before, results), indent=1) + "\n")
    subprocess.run([ROOT / "deploy/dev/figures.py"], check=True)
    return 1 if any(result["outcome"].startswith("FAILED") for result in results) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
