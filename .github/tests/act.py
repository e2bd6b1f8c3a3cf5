"""Runs workflows on this machine with act; external actions are the stand-ins of `stubs`."""

import os
import re
import subprocess
from pathlib import Path

import support

USES = re.compile(r"uses: ([\w.-]+)/([\w.-]+)((?:/[\w.-]+)*)@([0-9a-f]{40})")


def stand_ins():
    """Options that replace every external action of the workflows; an action without a stand-in is an error."""
    options = set()
    for folder in ("workflows", "actions"):
        for file in (support.GITHUB / folder).rglob("*.yml"):
            for owner, name, inner, commit in USES.findall(file.read_text(encoding="utf-8")):
                stub = support.GITHUB / "tests/stubs" / name
                if not (stub / inner.lstrip("/") / "action.yml").exists():
                    raise AssertionError(f"{file.name} uses {owner}/{name}{inner}, which has no stand-in in {stub}")
                options.add(f"--local-repository={owner}/{name}@{commit}={stub}")
    return sorted(options)


def run(folder, event, *options, seconds=600, **environment):
    """Exit code and output of act in `folder`."""
    command = ["act", event, "--pull=false", "--concurrent-jobs=1", *stand_ins(), *options]
    # Nothing is downloaded, and no container is started.
    command += ["-P=ubuntu-latest=-self-hosted", "-P=self-hosted=-self-hosted", "-P=gpu=-self-hosted"]
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
        check=False,
    )
    return done.returncode, done.stdout


def artifacts(folder):
    """The names of the artifacts in a folder."""
    return sorted(path.name for path in Path(folder).iterdir())
