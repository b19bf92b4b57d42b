"""Postgres refuses to run as root; where the stack is started by root this finds it an account and a place.

The account (`MILLRACE_STACK_POSTGRES_ACCOUNT`) is a system account without login, made if it does not exist. It must
be able to reach its data and the binaries. Where it cannot - a home or a checkout under /root, mode 700 - nobody's
folder is opened to the world: the data go to `/var/lib/millrace/<home>` with a link left in the home, and the binaries
are copied beside it.
"""

import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stack.errors import MachineError
from stack.files import exclusive

COMMON: Final = Path("/var/lib/millrace")
"""Where root keeps what the account must reach."""

_UNNEEDED: Final = shutil.ignore_patterns("include", "*.a", "__pycache__")


@dataclass(frozen=True)
class Account:
    """A system account to run a process as."""

    name: str
    uid: int
    gid: int


def account_for(name: str) -> Account | None:
    """The account to run Postgres as; None where the stack is not run by root and needs none."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        entry = _make(name)
    if entry.pw_uid == 0:
        raise MachineError(f"The account {name} is root itself; set MILLRACE_STACK_POSTGRES_ACCOUNT to another.")
    return Account(name, entry.pw_uid, entry.pw_gid)


def _make(name: str) -> pwd.struct_passwd:
    """Make a system account with a group of its own; `useradd` on most systems, `adduser` where BusyBox is."""
    commands = (
        ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/bin/false", name],
        ["adduser", "-S", "-D", "-H", "-s", "/bin/false", name],
    )
    complaint = "neither useradd nor adduser is there"
    for command in commands:
        if shutil.which(command[0]):
            made = subprocess.run(command, capture_output=True, text=True, check=False)
            complaint = made.stderr.strip()
            try:
                return pwd.getpwnam(name)
            except KeyError:
                continue
    raise MachineError(
        f"Postgres does not run as root and the account {name} could not be made ({complaint}). Make it, name another "
        "one with MILLRACE_STACK_POSTGRES_ACCOUNT, or run Millrace as an ordinary user."
    )


def can_use(account: Account | None, path: Path, permission: str) -> bool:
    """Whether the account has a permission (`r`, `x`) on a path, every folder on the way included."""
    if account is None:
        return True
    return run_as(account, ["/bin/sh", "-c", f'test -{permission} "$1"', "sh", str(path)]).returncode == 0


def run_as(account: Account | None, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a command to its end as the account, or as ourselves where there is none."""
    return subprocess.run(
        command,
        user=None if account is None else account.uid,
        group=None if account is None else account.gid,
        extra_groups=None if account is None else [],
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def place_data(account: Account | None, wished: Path) -> Path:
    """The folder that holds the data: the wished path, or what a link there points to. It need not exist yet."""
    if wished.is_symlink() or account is None or can_use(account, wished.parent, "x"):
        return wished.resolve()
    if wished.exists():
        raise MachineError(f"The account {account.name} can no longer reach {wished}: give the folders above it o+x.")
    name = hashlib.sha256(str(wished).encode()).hexdigest()[:12]
    place = COMMON / f"{wished.parent.name.lstrip('.')}-{name}" / wished.name
    place.parent.mkdir(parents=True, exist_ok=True)
    wished.symlink_to(place)
    return place


def place_binaries(account: Account | None, binaries: Path, tree: tuple[Path, ...], version: str) -> Path:
    """The folder to run binaries from: as installed, or a copy that the account can read.

    `tree` are sibling folders that belong together (programs and the libraries they find by relative path).
    """
    readable = all(can_use(account, path, "x") for path in (binaries, *tree)) and all(
        can_use(account, path, "r") for path in (*tree, binaries / "postgres")
    )
    if readable:
        return binaries
    copy = COMMON / version
    with exclusive(COMMON / f".{version}.lock"):
        if not copy.exists():
            with tempfile.TemporaryDirectory(dir=COMMON) as temporary:
                for folder in tree:
                    shutil.copytree(folder, Path(temporary) / "copy" / folder.name, ignore=_UNNEEDED)
                subprocess.run(["chmod", "-R", "a+rX", temporary], check=True)
                os.replace(Path(temporary) / "copy", copy)
    return copy / binaries.relative_to(tree[0].parent)
