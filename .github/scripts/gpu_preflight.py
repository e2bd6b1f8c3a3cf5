#!/usr/bin/env python3
"""Looks whether a GPU runner is fit to test and measure on, and writes what it found as JSON.

Read-only: it queries nvidia-smi and starts one program, the smoke kernel. It never sets a clock, resets a card or ends
a process. See docs/runners.md for what each check means.

Exit status: 0 if all is well or there is no card, 1 if a check failed, 2 if there is no card and FHE_REQUIRE_GPU=1.
"""

import argparse
import datetime
import json
import os
import re
import shlex
import stat
import subprocess
import sys
from pathlib import Path

SCHEMA = 1
OLDEST_DRIVER = 550
QUERY_SECONDS = 30
# Bits of clocks_event_reasons.active that make a result worthless; idle, application clocks and the power cap do not.
HARMFUL = {0x8: "hardware slowdown", 0x20: "software thermal", 0x40: "hardware thermal", 0x80: "power brake"}
HARMLESS = {0x1: "idle", 0x2: "application clocks", 0x4: "power cap", 0x10: "sync boost", 0x100: "display clocks"}
FIELDS = [
    "index",
    "uuid",
    "name",
    "driver_version",
    "compute_cap",
    "pstate",
    "memory.total",
    "memory.used",
    "clocks.current.sm",
    "clocks.current.memory",
    "clocks.max.sm",
    "clocks.max.memory",
    "temperature.gpu",
    "power.draw",
    "power.limit",
    "ecc.mode.current",
    "ecc.errors.uncorrected.volatile.total",
    "ecc.errors.uncorrected.aggregate.total",
]
# Named otherwise, or absent, in some drivers: asked one by one.
OPTIONAL = {
    "throttle_reasons": ["clocks_event_reasons.active", "clocks_throttle_reasons.active"],
    "remap_pending": ["remapped_rows.pending"],
    "remap_failure": ["remapped_rows.failure"],
}


class NoDevice(Exception):
    """There is no card to look at."""


class Failed(Exception):
    """A check failed; `found` is what it saw."""

    def __init__(self, reason, found=None):
        super().__init__(reason)
        self.found = found


class Skipped(Failed):
    """A check has nothing to say here."""


def smi(*arguments):
    """Rows of a query, as lists of words."""
    command = ["nvidia-smi", *arguments, "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=QUERY_SECONDS, check=False)
    except FileNotFoundError:
        raise NoDevice("nvidia-smi is not installed") from None
    except subprocess.TimeoutExpired:
        raise Failed(f"nvidia-smi did not answer in {QUERY_SECONDS} s") from None
    if done.returncode != 0:
        words = (done.stdout + done.stderr).strip() or f"nvidia-smi ended with {done.returncode}"
        if "No devices were found" in words or "couldn't communicate" in words:
            raise NoDevice(words)
        raise Failed(words)
    return [[word.strip() for word in line.split(",")] for line in done.stdout.splitlines() if line.strip()]


def number(text):
    """A number, or None where nvidia-smi says [N/A], [Not Supported] and the like."""
    try:
        return float(text)
    except ValueError:
        return None


def query_devices(wanted):
    devices = []
    for row in smi("--query-gpu=" + ",".join(FIELDS)):
        if len(row) != len(FIELDS):
            raise Failed(f"nvidia-smi answered {len(row)} of {len(FIELDS)} fields")
        devices.append(dict(zip(FIELDS, row)))
    for name, spellings in OPTIONAL.items():
        for spelling in spellings:
            try:
                column = smi(f"--query-gpu={spelling}")
            except Failed:
                continue
            for device, row in zip(devices, column):
                device[name] = row[0]
            break
    if wanted is not None:
        devices = [device for device in devices if device["index"] == str(wanted)]
    if not devices:
        raise NoDevice("there is no such card" if wanted is not None else "nvidia-smi lists no card")
    return devices


def check_nodes(options, devices):
    names = ["nvidiactl", "nvidia-uvm"] + [f"nvidia{device['index']}" for device in devices]
    bad = {}
    for name in names:
        path = options.dev / name
        try:
            if not stat.S_ISCHR(path.stat().st_mode):
                bad[name] = "not a character device"
            elif not os.access(path, os.R_OK | os.W_OK):
                bad[name] = "not readable and writable by this user"
        except OSError as error:
            bad[name] = error.strerror
    if bad:
        raise Failed("; ".join(f"{name}: {why}" for name, why in bad.items()), bad)
    return {"nodes": names}


def check_driver(_, devices):
    versions = sorted({device["driver_version"] for device in devices})
    for version in versions:
        major = number(version.split(".")[0])
        if major is None or major < OLDEST_DRIVER:
            raise Failed(f"driver {version}, needed: {OLDEST_DRIVER} or later", versions)
    return {"versions": versions}


def check_memory(options, devices):
    found = {}
    for device in devices:
        total, used = number(device["memory.total"]), number(device["memory.used"])
        found[device["index"]] = {"total_mib": total, "used_mib": used}
        if not total or used is None:
            raise Failed(f"card {device['index']}: memory unknown", found)
        if total - used < options.free_mib:
            raise Failed(f"card {device['index']}: {total - used:.0f} MiB free, needed: {options.free_mib}", found)
        if used > options.used_mib:
            raise Failed(f"card {device['index']}: {used:.0f} MiB in use, at most {options.used_mib} expected", found)
    return found


def check_ecc(_, devices):
    found = {}
    for device in devices:
        counters = {
            "mode": device["ecc.mode.current"],
            "uncorrected_volatile": number(device["ecc.errors.uncorrected.volatile.total"]),
            "uncorrected_aggregate": number(device["ecc.errors.uncorrected.aggregate.total"]),
            "remap_pending": device.get("remap_pending"),
            "remap_failure": device.get("remap_failure"),
        }
        found[device["index"]] = counters
        # Aggregate errors were repaired by a remapped row long ago; they are written down, not held against the card.
        if counters["uncorrected_volatile"]:
            raise Failed(f"card {device['index']}: uncorrected memory errors since the driver was loaded", found)
        if any(str(counters[name]).lower() in ("yes", "1") for name in ("remap_pending", "remap_failure")):
            raise Failed(f"card {device['index']}: a memory row waits to be remapped or could not be", found)
    if all(counters["uncorrected_volatile"] is None for counters in found.values()):
        raise Skipped("no card reports memory errors", found)
    return found


def check_clocks(options, devices):
    found = {}
    for device in devices:
        names = ["clocks.current.sm", "clocks.current.memory", "clocks.max.sm", "clocks.max.memory"]
        clocks = {name.removeprefix("clocks.").replace(".", "_") + "_mhz": number(device[name]) for name in names}
        clocks |= {"pstate": device["pstate"], "power_limit_w": number(device["power.limit"])}
        found[device["index"]] = clocks
        limit = clocks["max_sm_mhz"]
        if limit is None:
            raise Failed(f"card {device['index']}: the highest clock is unknown", found)
        if limit < options.clock_mhz:
            raise Failed(f"card {device['index']}: at most {limit:.0f} MHz, needed: {options.clock_mhz}", found)
    return found


def check_throttling(_, devices):
    found = {}
    for device in devices:
        try:
            bits = int(device.get("throttle_reasons", ""), 16)
        except ValueError:
            continue
        names = [name for bit, name in (HARMFUL | HARMLESS).items() if bits & bit]
        found[device["index"]] = {"reasons": names, "temperature_c": number(device["temperature.gpu"])}
        harmful = [name for bit, name in HARMFUL.items() if bits & bit]
        if harmful:
            raise Failed(f"card {device['index']} is slowed down: {', '.join(harmful)}", found)
    if not found:
        raise Skipped("no card tells why it is slow")
    return found


def check_processes(_, devices):
    uuids = {device["uuid"]: device["index"] for device in devices}
    # Names of programs may hold commas: the last column is the memory, the first two are the card and the process.
    rows = smi("--query-compute-apps=gpu_uuid,pid,process_name,used_memory")
    found = [
        {"card": uuids[row[0]], "pid": row[1], "name": os.path.basename(",".join(row[2:-1])), "used_mib": number(row[-1])}
        for row in rows
        if row[0] in uuids
    ]
    if found:
        raise Failed("other programs use the card: " + ", ".join(f"{row['name']} ({row['pid']})" for row in found), found)
    return {"processes": []}


def check_smoke(options, _):
    if not options.smoke:
        raise Skipped("no smoke kernel was given (--smoke)")
    command = shlex.split(options.smoke)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=options.smoke_seconds, check=False)
    except OSError as error:
        raise Failed(f"{command[0]}: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise Failed(f"the smoke kernel took more than {options.smoke_seconds} s") from None
    tail = (done.stdout + done.stderr).strip().splitlines()[-5:]
    if done.returncode != 0:
        raise Failed(f"the smoke kernel ended with {done.returncode}", {"last_lines": tail})
    return {"last_lines": tail}


CHECKS = [
    ("device nodes", check_nodes),
    ("driver", check_driver),
    ("memory", check_memory),
    ("ecc", check_ecc),
    ("clocks", check_clocks),
    ("throttling", check_throttling),
    ("foreign processes", check_processes),
    ("smoke kernel", check_smoke),
]


def run_check(check, options, devices):
    try:
        return {"outcome": "passed", "found": check(options, devices)}
    except Skipped as skipped:
        return {"outcome": "skipped", "reason": str(skipped), "found": skipped.found}
    except Failed as failed:
        return {"outcome": "failed", "reason": str(failed), "found": failed.found}
    except NoDevice as gone:
        return {"outcome": "failed", "reason": f"the card went away: {gone}"}


def inspect(options):
    """All checks, in order; after a failure the smoke kernel is not started."""
    report = {"schema_version": SCHEMA, "tool": "gpu_preflight", "started_utc": utc(), "devices": [], "checks": []}
    try:
        devices = query_devices(options.device)
    except NoDevice as none:
        report |= {"verdict": "skipped", "reason": str(none)}
        if os.environ.get("FHE_REQUIRE_GPU") == "1":
            report |= {"verdict": "failed", "reason": f"FHE_REQUIRE_GPU=1, but {none}"}
        return report
    except Failed as failed:
        return report | {"verdict": "failed", "reason": str(failed)}
    report["devices"] = devices
    report["class"] = re.sub(r"[^a-z0-9]+", "-", devices[0]["name"].lower()).strip("-")
    for name, check in CHECKS:
        failed = any(row["outcome"] == "failed" for row in report["checks"])
        if failed and check is check_smoke:
            row = {"outcome": "skipped", "reason": "an earlier check failed"}
        else:
            row = run_check(check, options, devices)
        report["checks"].append({"name": name} | row)
    failed = [row for row in report["checks"] if row["outcome"] == "failed"]
    report["verdict"] = "failed" if failed else "passed"
    if failed:
        report["reason"] = "; ".join(f"{row['name']}: {row['reason']}" for row in failed)
    return report


def utc():
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def exit_status(report):
    if report["verdict"] == "failed":
        return 1 if report["devices"] or "FHE_REQUIRE_GPU" not in report.get("reason", "") else 2
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="writes the findings to this file")
    parser.add_argument("--device", type=int, help="number of the only card to look at")
    parser.add_argument("--free-mib", type=int, default=4096, help="least free memory (default %(default)s)")
    parser.add_argument("--used-mib", type=int, default=1024, help="most memory in use (default %(default)s)")
    parser.add_argument("--clock-mhz", type=int, default=0, help="least maximal clock (default: any)")
    parser.add_argument("--smoke", help="command of the smoke kernel")
    parser.add_argument("--smoke-seconds", type=int, default=600, help="its limit (default %(default)s)")
    # For this script's own tests.
    nodes = os.environ.get("FHE_DEVICE_NODES", "/dev")
    parser.add_argument("--dev", type=Path, default=nodes, help=argparse.SUPPRESS)
    options = parser.parse_args()

    report = inspect(options)
    report["ended_utc"] = utc()
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    for row in report["checks"]:
        print(f"{row['outcome']:8} {row['name']}" + (f": {row['reason']}" if "reason" in row else ""))
    counts = [sum(row["outcome"] == outcome for row in report["checks"]) for outcome in ("passed", "failed", "skipped")]
    if not report["checks"]:
        print(f"preflight {report['verdict']}: {report['reason']}")
        counts = [0, int(report["verdict"] == "failed"), int(report["verdict"] == "skipped")]
    print("{} passed, {} failed, {} skipped".format(*counts))
    return exit_status(report)


if __name__ == "__main__":
    sys.exit(main())
