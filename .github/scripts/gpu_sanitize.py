#!/usr/bin/env python3
"""Runs the tests of the CUDA backend under one tool of compute-sanitizer.

First the tool has to find a planted bug, and to find nothing in a twin without it: a sanitizer that sees nothing, because
it does not fit the driver or the kernels, must not pass for a clean run.

Exit status: 0 if all is well, 1 if the tool found an error or a test failed, 2 if the tool cannot be relied on or is absent.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

TOOLS = ["memcheck", "racecheck", "synccheck", "initcheck"]
# Told apart from the exit codes of tests (101) and of compute-sanitizer itself (1, 255).
ERROR = 86
PLANTED = Path(__file__).parent.parent / "tests/gpu/planted.cu"


def program(options, name):
    """A program of the CUDA tools: of the folder that was named, else on the search path."""
    return str(options.cuda / "bin" / name) if options.cuda else name


def build_planted(options):
    """Compiles the program with the mistakes; its path. To machine code of all cards, since the PTX of a compiler that is
    newer than the driver cannot be translated."""
    file = Path("target/ci/planted")
    file.parent.mkdir(parents=True, exist_ok=True)
    line = [program(options, "nvcc"), "-O1", "-lineinfo", "-arch=all-major"]
    if options.cuda:
        line += ["-L", str(options.cuda / "lib")]
    subprocess.run([*line, "-o", str(file), str(PLANTED)], check=True)
    return str(file.absolute())


def sanitize(options, command):
    """Exit code of the command under the tool; the tool's findings become ERROR."""
    tool, seconds = options.tool, options.seconds
    line = [program(options, "compute-sanitizer"), "--tool", tool, "--error-exitcode", str(ERROR), "--print-limit", "20"]
    print("+", *line, *command, flush=True)
    return subprocess.run([*line, *command], timeout=seconds, check=False).returncode


def test_executable():
    """The path of the backend's test executable, as cargo names it."""
    line = "cargo test --release --features gpu --test gpu --no-run --message-format json-render-diagnostics"
    done = subprocess.run(line.split(), stdout=subprocess.PIPE, text=True, check=True)
    for message in map(json.loads, done.stdout.splitlines()):
        if message.get("reason") == "compiler-artifact" and message["target"]["name"] == "gpu" and message["executable"]:
            return message["executable"]
    raise SystemExit("cargo built no test executable named gpu")


def stages(options):
    """Name, exit code and expected exit code of each stage, in order."""
    planted = str(options.planted.absolute()) if options.planted else build_planted(options)
    yield "planted bug", sanitize(options, [planted, options.tool]), ERROR
    yield "planted twin", sanitize(options, [planted, "none"]), 0
    command = options.command or [test_executable(), *options.filter, "--test-threads", "1"]
    yield "tests", sanitize(options, command), 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tool", choices=TOOLS)
    parser.add_argument("--cuda", type=Path, help="folder of the CUDA tools (default: they are on the search path)")
    parser.add_argument("--planted", type=Path, help="the compiled program with mistakes (default: it is compiled)")
    parser.add_argument("--filter", action="append", default=[], help="only tests whose names contain this")
    parser.add_argument("--seconds", type=int, default=3000, help="limit of each stage (default %(default)s)")
    parser.add_argument("--json", type=Path, help="writes the outcome to this file")
    parser.add_argument("--command", type=shlex.split, help="what to run instead of the tests")
    options = parser.parse_args()

    os.environ["FHE_REQUIRE_GPU"] = "1"
    rows, status = [], 0
    start = time.monotonic()
    try:
        for name, code, expected in stages(options):
            passed = code == expected
            rows.append({"name": name, "exit_code": code, "expected": expected, "outcome": "passed" if passed else "failed"})
            print(f"{rows[-1]['outcome']} {options.tool}, {name}: exit code {code}, expected {expected}", flush=True)
            if not passed:
                status = 1 if name == "tests" else 2
                break
    except FileNotFoundError as error:
        rows.append({"name": "start", "outcome": "failed", "reason": f"{error.filename} is not installed"})
        status = 2
    except subprocess.CalledProcessError as error:
        rows.append({"name": "build", "outcome": "failed", "reason": f"{error.cmd[0]} ended with {error.returncode}"})
        status = 2
    except subprocess.TimeoutExpired:
        rows.append({"name": "time", "outcome": "failed", "reason": f"a stage took more than {options.seconds} s"})
        status = 1
    failed = sum(row["outcome"] == "failed" for row in rows)
    report = {"schema_version": 1, "lane": f"sanitize-{options.tool}", "seconds": round(time.monotonic() - start, 1)}
    report |= {"passed": len(rows) - failed, "failed": failed, "skipped": 0, "stages": rows}
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    for row in rows:
        if "reason" in row:
            print(row["reason"])
    print(f"{len(rows) - failed} passed, {failed} failed, 0 skipped")
    return status


if __name__ == "__main__":
    sys.exit(main())
