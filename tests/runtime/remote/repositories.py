"""Git repositories for tests, made by git itself; keys and signatures by ssh-keygen."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

POLICY = (
    "version: 1\npolicy: {name}\nservers: [weather]\nrules:\n  - {{id: one, methods: [tools/call], name: forecast}}\n"
)
BROKEN = "version: 1\npolicy: broken\nrules:\n  - {id: one, methods: [tools/cal]}\n"
_ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.org",
}


def policy(name: str) -> str:
    return POLICY.format(name=name)


class Repository:
    """A work tree, and the bare repository that it is pushed to."""

    def __init__(self, directory: Path) -> None:
        self.tree = directory / "tree"
        self.bare = directory / "bare.git"
        self.url = f"git+file://{self.bare}"
        for place, *flags in ((self.tree, "-b", "main"), (self.bare, "-b", "main", "--bare")):
            place.mkdir(parents=True)
            self._run(place, "init", "--quiet", *flags)
        self.git("remote", "add", "origin", str(self.bare))

    def git(self, *args: str) -> str:
        return self._run(self.tree, *args)

    def _run(self, place: Path, *args: str) -> str:
        command = ["git", "-C", str(place), *args]
        done = subprocess.run(command, env=_ENVIRONMENT, capture_output=True, text=True, check=False)
        assert 0 == done.returncode, done.stderr
        return done.stdout.strip()

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            file = self.tree / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    def commit(self, files: Mapping[str, str] | None = None, *flags: str, key: Path | None = None) -> str:
        """Write, commit and push to `main`, and return the hash."""
        self.write(files or {})
        self.git("add", "--all")
        self.git(*signing(key), "commit", "--quiet", "--allow-empty", "-m", "change", *flags, *(["-S"] if key else []))
        self.push("HEAD:main")
        return self.git("rev-parse", "HEAD")

    def push(self, *refs: str) -> None:
        self.git("push", "--quiet", "--force", "origin", *refs)


def signing(key: Path | None) -> list[str]:
    return ["-c", "gpg.format=ssh", "-c", f"user.signingkey={key}"] if key else []


def new_key(directory: Path, name: str, *flags: str) -> Path:
    """A private key; the public one is beside it."""
    directory.mkdir(exist_ok=True)
    file = directory / name
    command = ["ssh-keygen", "-q", "-N", "", "-C", name, "-f", str(file), *(flags or ("-t", "ed25519"))]
    subprocess.run(command, check=True, capture_output=True)
    return file


def public(key: Path) -> str:
    return key.with_suffix(".pub").read_text().strip()
