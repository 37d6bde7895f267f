"""From a fresh Debian to lines in a file, and away again: as a person does it, with uv, pipx and the README.

As root, with debootstrap. Each way has a copy of the same fresh system for itself, in namespaces of its own:
what it started ends with it. What it said is shown.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SUITES = ("bookworm", "trixie")
#: What a package's download needs of this machine: its proxy, and whom it trusts.
PASSED_ON = (
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
)
TRUSTED = Path("/etc/ssl/certs/ca-certificates.crt")
USER, HOME = "someone", "/home/someone"

#: What is done with a program that is installed; `{add}` is done as `reclog view` says it.
RECORD = r"""
reclog --version
reclog local --port {port} --file ~/kitchen.log --as kitchen
echo hello >/dev/tcp/127.0.0.1/{port}
reclog test-connection kitchen
reclog tail --no-follow kitchen | grep -x hello
reclog completion bash | bash -n
(reclog boot kitchen 2>&1 || true) | grep -m1 'crontab\|systemd'
reclog kill kitchen
grep -x hello ~/kitchen.log
add=$({ reclog view 2>&1 || true; } | grep -o '`[^`]*`' | tr -d '`'); echo "$add"; eval "$add"
{ timeout 15 reclog view --no-open || true; } | grep -m1 -o 'http://127.0.0.1:[0-9]*'
"""
#: By its name: what root does first, what the user does, and what takes it away.
WAYS = {
    "uv": (
        "apt-get install -qq -y pipx >/dev/null",
        "pipx install uv; uv tool install -q /dist/*.whl" + RECORD + "uv tool uninstall -q reclog",
    ),
    "uvx": (
        "apt-get install -qq -y pipx >/dev/null",
        "pipx install uv; uvx -q /dist/*.whl --version",
    ),
    "pipx": (
        f"apt-get install -qq -y pipx git >/dev/null; chown -R {USER} /clone",
        "pipx install /clone" + RECORD + "pipx uninstall reclog",
    ),
    "readme": (
        """cd /clone
sh bootstrap.sh && . .venv/bin/activate && inv local --port {port} --file file.log
echo hello >/dev/tcp/127.0.0.1/{port}
inv kill
grep -x hello file.log""",
        "true",
    ),
    "tests": ("cd /clone; sh bootstrap.sh tests && .venv/bin/pytest -q tests/unit/test_words.py", "true"),
}
#: What their installers keep for themselves.
INSTALLERS = (
    ".cache/",
    ".local/pipx/",
    ".local/share/uv",
    ".local/share/pipx",
    ".local/state/pipx",
    ".local/bin/uv",
    ".config/uv",
)


@dataclasses.dataclass
class Fresh:
    """A system that nobody has used yet, for one way."""

    folder: Path

    def run(self, script: str, user: str = "root") -> subprocess.CompletedProcess[str]:
        """Run a bash script there; all that it started ends with it."""
        passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        home = "/root" if user == "root" else HOME
        path = f"{home}/.local/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        env = {
            **passed,
            "SSL_CERT_FILE": str(TRUSTED),
            "PIP_CERT": str(TRUSTED),
            "HOME": home,
            "PATH": path,
            "LANG": "C.UTF-8",
            "DEBIAN_FRONTEND": "noninteractive",
        }
        become = [] if user == "root" else ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
        within = [
            "unshare",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            f"--root={self.folder}",
            "--mount-proc",
        ]
        return subprocess.run(
            [*within, *become, "bash", "-ec", f"cd; set -o pipefail\n{script}"],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def left(self) -> list[str]:
        """Return the files of the user's home, but for those that were there, and the installers' own."""
        home = Path(f"{self.folder}{HOME}")
        names = [str(path.relative_to(home)) for path in home.rglob("*") if not path.is_dir()]
        return sorted(name for name in names if not name.startswith(INSTALLERS))


def base(suite: str, cache: Path) -> Path:
    """Return a fresh system, made once."""
    folder = cache / suite
    if not (folder / "etc/os-release").exists():
        print(f"{suite}: debootstrap", flush=True)
        subprocess.run(
            ["debootstrap", "--variant=minbase", suite, str(folder)], check=True, stdout=subprocess.DEVNULL
        )
    return folder


def try_way(suite: str, way: str, cache: Path, dist: Path) -> list[str]:
    """Go one way; return what went wrong."""
    first, then = WAYS[way]
    with tempfile.TemporaryDirectory(dir=cache) as work:
        fresh = Fresh(Path(work) / "root")
        subprocess.run(["cp", "-a", str(base(suite, cache)), str(fresh.folder)], check=True)
        shutil.copy("/etc/resolv.conf", fresh.folder / "etc/resolv.conf")
        subprocess.run(
            ["git", "clone", "-q", "--no-hardlinks", str(ROOT), str(fresh.folder / "clone")], check=True
        )
        shutil.copytree(dist, fresh.folder / "dist")
        (fresh.folder / "dist").chmod(0o755)
        ready = fresh.run(
            "apt-get update -qq; apt-get install -qq -y ca-certificates >/dev/null 2>&1\n"
            f"useradd --create-home --shell /bin/bash {USER}"
        )
        if ready.returncode:
            return [ready.stdout]
        shutil.copy(TRUSTED, f"{fresh.folder}{TRUSTED}")
        before = fresh.left()
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            port = sock.getsockname()[1]
        for script, user in ((first, "root"), (then, USER)):
            done = fresh.run(script.replace("{port}", str(port)), user)
            print("\n".join(f"    {line}" for line in done.stdout.splitlines()[-40:]), flush=True)
            if done.returncode:
                return [f"exit {done.returncode}: {done.stdout.splitlines()[-3:]}"]
        left = [name for name in fresh.left() if name not in before]
        print(f"    left: {', '.join(left) or 'nothing'}")
        ours = ("kitchen.log", ".local/state/reclog/")
        return [f"{name} is left" for name in left if not name.startswith(ours)]


def main() -> int:
    """Go all ways that are asked for; 1 if one of them leads nowhere."""
    parser = argparse.ArgumentParser(prog="inv dev.install", description=__doc__)
    parser.add_argument("--suite", default=",".join(SUITES))
    parser.add_argument("--way", default=",".join(WAYS))
    parser.add_argument("--folder", default="/var/tmp/reclog-install", type=Path)
    words = parser.parse_args()
    for option, known in (("suite", SUITES), ("way", tuple(WAYS))):
        if not set(getattr(words, option).split(",")) <= set(known):
            parser.error(f"--{option} is not of {', '.join(known)}")
    if os.geteuid() or not shutil.which("debootstrap"):
        parser.error("this takes root, and debootstrap (apt-get install debootstrap)")
    words.folder.mkdir(parents=True, exist_ok=True)
    wrong = []
    with tempfile.TemporaryDirectory() as dist:
        build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", dist]
        subprocess.run(build, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        for suite in words.suite.split(","):
            for way in words.way.split(","):
                began = time.monotonic()
                print(f"{suite}, {way}:", flush=True)
                problems = try_way(suite, way, words.folder, Path(dist))
                wrong += [f"{suite}, {way}: {problem}" for problem in problems]
                print(f"{suite}, {way}: {'wrong' if problems else 'well'}, {time.monotonic() - began:.0f} s")
    print("\n".join(wrong) or "All well.")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
