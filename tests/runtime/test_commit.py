"""The commit of a directory, in the forms git writes it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from mcp_acl.runtime.commit import commit_of

HASH = "0123456789abcdef0123456789abcdef01234567"
OTHER = "f" * 40


def repository(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "policies").mkdir(exist_ok=True)
    return root / "policies"


@pytest.mark.parametrize(
    ("files", "commit"),
    [
        ({".git/HEAD": f"{HASH}\n"}, HASH),
        ({".git/HEAD": "a" * 64}, "a" * 64),
        ({".git/HEAD": "ref: refs/heads/main\n", ".git/refs/heads/main": f"{HASH}\n"}, HASH),
        (
            {
                ".git/HEAD": "ref: refs/heads/a/b\n",
                ".git/packed-refs": f"# x\n{OTHER} refs/heads/a\n{HASH} refs/heads/a/b\n",
            },
            HASH,
        ),
        (
            {
                ".git/HEAD": "ref: refs/heads/m\n",
                ".git/refs/heads/m": HASH,
                ".git/packed-refs": f"{OTHER} refs/heads/m",
            },
            HASH,
        ),
        ({".git": "gitdir: real\n", "real/HEAD": HASH}, HASH),
        (
            {
                ".git": "gitdir: all/worktrees/one\n",
                "all/worktrees/one/HEAD": "ref: refs/heads/one\n",
                "all/worktrees/one/commondir": "../..\n",
                "all/refs/heads/one": HASH,
            },
            HASH,
        ),
        ({"policies/.commit": f"{HASH}\n"}, HASH),
        ({"policies/.commit": f"{HASH}\n", ".git/HEAD": OTHER}, HASH),
        ({"policies/.commit": "no hash\n", ".git/HEAD": OTHER}, ""),
        ({".commit": HASH}, ""),
        ({".git/HEAD": "ref: refs/heads/unborn\n"}, ""),
        ({".git/HEAD": "ref: refs/../../secret\n", "secret": HASH}, ""),
        ({".git/HEAD": "ref: /etc/hostname\n"}, ""),
        ({".git/HEAD": "ref: refs/heads/m\n", ".git/refs/heads/m": "no hash"}, ""),
        ({".git/HEAD": "\0\n"}, ""),
        ({".git/config": "no head"}, ""),
        ({".git": "gitdir: a\0b"}, ""),
        ({"other": "no repository here"}, ""),
    ],
)
def test_commit_is_read_from_the_files_of_git(tmp_path: Path, files: dict[str, str], commit: str) -> None:
    assert commit == commit_of(repository(tmp_path, files))


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git to compare with")
def test_commit_is_the_one_git_tells(tmp_path: Path) -> None:
    def git(*args: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        command = ["git", "-C", str(tmp_path), *identity, *args]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "--quiet")
    git("commit", "--quiet", "--allow-empty", "-m", "first")
    assert git("rev-parse", "HEAD") == commit_of(tmp_path)
    git("pack-refs", "--all")
    assert git("rev-parse", "HEAD") == commit_of(tmp_path)
