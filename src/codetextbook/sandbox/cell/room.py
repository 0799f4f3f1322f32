"""Where a cell stands: its own namespaces and root folder where allowed, and the scratch folder, emptied after each program.

In its namespaces a cell sees the standard library, three devices and a small tmpfs; no processes, network or files of the machine. The
superuser needs no user namespace for this, and its programs run as `nobody`; others get the namespaces through a user namespace.

Emptying the scratch folder neither recurses nor follows links: trees thousands of levels deep, folders of mode 000 and links to
elsewhere are what `shutil.rmtree` fails on.
"""

from __future__ import annotations

import os
import signal
import socket
import stat
from pathlib import Path

from . import kernel
from .landlock import library_files, library_folders

NOBODY = 65534
INODES_CAP = 1024
_SCRATCH = "/box/work"
_HOLDERS = ("/mnt", "/tmp", "/srv", "/media", "/proc")  # folders of every system; the new root is mounted on one
_SEPARATE = kernel.CLONE_NEWPID | kernel.CLONE_NEWNET | kernel.CLONE_NEWNS | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS


def separate() -> bool:
    """Leave the machine's namespaces; the next fork is process 1 of its own. False where that is not allowed."""
    if os.geteuid() == 0:
        try:
            kernel.unshare(_SEPARATE)
        except PermissionError:
            pass  # a container's superuser: a user namespace may still be allowed
        else:
            return True
    user, group = os.geteuid(), os.getegid()
    try:
        kernel.unshare(_SEPARATE | kernel.CLONE_NEWUSER)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{NOBODY} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{NOBODY} {group} 1")
    except OSError:
        return False
    return True


def new_root(disk_bytes: int) -> str:
    """Replace the root folder by one with the libraries and a scratch tmpfs; returns the scratch folder.

    Raises:
        OSError: a mount was refused.
    """
    kernel.mount("none", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
    shown = {path: path for path in (*library_folders(), *library_files())}
    shown |= {os.path.realpath(path): path for path in shown}
    root = next(path for path in _HOLDERS if Path(path).is_dir() and not any(s.startswith(path + "/") for s in shown))
    kernel.mount("tmpfs", root, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=755,size=1m")
    for target, source in sorted(shown.items()):
        _show(source, root + target)
    scratch = Path(root + _SCRATCH)
    scratch.mkdir(parents=True)
    options = f"mode=700,uid={NOBODY},gid={NOBODY},size={disk_bytes},nr_inodes={INODES_CAP}"
    os.chdir(root)
    kernel.checked(kernel.LIBC.syscall(_pivot_root_number(), b".", b"."))
    kernel.unmount(".")
    os.chdir("/")
    kernel.make_read_only("/", recursive=True)
    kernel.mount("tmpfs", _SCRATCH, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC, options)
    return _SCRATCH


def _show(source: str, target: str) -> None:
    place = Path(target)
    if place.exists():
        return  # inside a folder that is shown already
    if Path(source).is_dir():
        place.mkdir(parents=True)
    else:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    kernel.mount(source, target, "", kernel.MS_BIND | kernel.MS_REC)


def _pivot_root_number() -> int:
    return {"x86_64": 155, "aarch64": 41}[os.uname().machine]


def standing_apart() -> bool:
    """Witness of the namespaces: process 1, no network but the loopback, nothing of the machine's files."""
    return (
        os.getpid() == 1 and [name for _, name in socket.if_nameindex()] == ["lo"] and not Path("/proc/self").exists()
    )


def clear_processes() -> None:
    """Kill and reap whatever came to this process: orphans of its children, which it adopts."""
    listing = Path(f"/proc/self/task/{os.getpid()}/children")
    while children := listing.read_text().split():
        for child in children:
            os.kill(int(child), signal.SIGKILL)
        for child in children:
            os.waitpid(int(child), 0)


def sweep(folder: str) -> None:
    """Remove everything in a folder, however deep; its processes are dead already."""
    with os.scandir(folder) as entries:
        if next(entries, None) is None:
            return
    top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    serial = 0
    try:
        os.fchmod(top, 0o700)
        while names := os.listdir(top):  # noqa: PTH208 - of a descriptor
            for name in names:
                serial = _flatten(top, name, serial)
    finally:
        os.close(top)


def _flatten(top: int, name: str, serial: int) -> int:
    """Remove one entry of the top folder; folders inside it move up to the top, to be removed in their turn."""
    if not stat.S_ISDIR(os.lstat(name, dir_fd=top).st_mode):
        os.unlink(name, dir_fd=top)
        return serial
    os.chmod(name, 0o700, dir_fd=top)
    inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=top)
    try:
        for child in os.listdir(inner):  # noqa: PTH208 - of a descriptor
            if stat.S_ISDIR(os.lstat(child, dir_fd=inner).st_mode):
                os.chmod(child, 0o700, dir_fd=inner)
                serial = _free_name(top, serial)
                os.rename(child, f".{serial}", src_dir_fd=inner, dst_dir_fd=top)
            else:
                os.unlink(child, dir_fd=inner)
    finally:
        os.close(inner)
    os.rmdir(name, dir_fd=top)
    return serial


def _free_name(top: int, serial: int) -> int:
    while True:
        serial += 1
        try:
            os.lstat(f".{serial}", dir_fd=top)
        except FileNotFoundError:
            return serial


def used_bytes(folder: str, cap_entries: int = 4096) -> int:
    """Disk space of a watched folder, and a page for each entry; counting stops at the cap, which is then far over any quota.

    A folder that hides its entries (unreadable, or too deep for a path) is over any quota too. Limit: files that are open and have no name
    are not seen; each is bounded by the limit of one file's size, and all go with the process.
    """
    waiting, total, entries = [folder], 0, 0
    while waiting and entries < cap_entries:
        try:
            with os.scandir(waiting.pop()) as found:
                for entry in found:
                    entries += 1
                    details = entry.stat(follow_symlinks=False)
                    total += details.st_blocks * 512 + 4096
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    if entries >= cap_entries:
                        return 1 << 62
        except FileNotFoundError:
            continue  # removed or renamed by the running program meanwhile
        except OSError:
            return 1 << 62
    return total
