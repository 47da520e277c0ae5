#!/usr/bin/env python3
"""Checks licences, banned crates and sources of every dependency against deny.toml, without a network.

Reads Cargo.lock through `cargo metadata`. Exits 1 with one line per offender.
"""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def is_allowed(expression: str, allowed: set[str]) -> bool:
    """Evaluates an SPDX expression: AND binds tighter than OR; the old `MIT/Apache-2.0` means OR."""
    tokens = re.findall(r"\(|\)|[^\s()]+", expression.replace("/", " OR "))

    def alternatives() -> bool:
        result = conjunction()
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            result = conjunction() or result
        return result

    def conjunction() -> bool:
        result = term()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            result = term() and result
        return result

    def term() -> bool:
        licence = tokens.pop(0)
        if licence == "(":
            result = alternatives()
            tokens.pop(0)
            return result
        if tokens and tokens[0] == "WITH":
            licence = f"{licence} WITH {tokens[1]}"
            del tokens[:2]
        return licence in allowed

    return alternatives()


def packages(targets: list[str]) -> list[dict]:
    """Every package that a build for one of the targets can pull in, tests included."""
    command = ["cargo", "metadata", "--locked", "--format-version", "1"]
    for target in targets:
        command += ["--filter-platform", target]
    metadata = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)
    used = {node["id"] for node in metadata["resolve"]["nodes"]}
    return [package for package in metadata["packages"] if package["id"] in used]


def complaints(package: dict, rules: dict) -> list[str]:
    name = f"{package['name']} {package['version']}"
    found = []
    licence = package["license"]
    if not licence:
        found.append(f"{name}: no licence expression")
    elif not is_allowed(licence, set(rules["licenses"]["allow"])):
        found.append(f"{name}: licence {licence} is not in the allow list")
    if package["name"] in {ban["crate"] for ban in rules["bans"]["deny"]}:
        found.append(f"{name}: banned")
    source = package["source"]
    # Other registries have a name in cargo's configuration, which this repository does not carry.
    if source and not source.startswith("registry+"):
        found.append(f"{name}: comes from {source}")
    if not source and not Path(package["manifest_path"]).is_relative_to(ROOT):
        found.append(f"{name}: comes from a folder outside the repository")
    if not source:
        found += [f"{name}: wants any version of {need['name']}" for need in package["dependencies"] if need["req"] == "*" and need["source"]]
    return found


def main() -> int:
    rules = tomllib.loads((ROOT / "deny.toml").read_text())
    checked = packages(rules["graph"]["targets"])
    found = [line for package in checked for line in complaints(package, rules)]
    print("\n".join(found) or f"{len(checked)} packages: licences, bans and sources are as deny.toml says")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
