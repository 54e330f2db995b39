"""Regular files: opened only if they are regular, replaced whole or not at all.

Floor 0, imports nothing of the package. Everything that the package writes goes through `replace`, except the lines of
metrics, which are appended; `data` and `checkpoint` read through `open_regular`. Everything here raises OSError;
`advice` turns one into the two phrases that an error sentence needs.
"""

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from typing import IO

__all__ = ["Path", "advice", "open_regular", "remove_leftovers", "replace"]

Path = str | os.PathLike[str]

_TRIES = 100


def open_regular(path: Path) -> IO[bytes]:
    """Open a regular file for reading bytes.

    Raises OSError for what is missing, a directory, or a device, pipe or socket: reading those may never end.
    """
    _refuse_special(os.fspath(path))
    return open(path, "rb")


def replace(path: Path, data: bytes) -> None:
    """Put bytes at a path, whole or not at all: a temporary file beside it, synced, renamed, the folder synced.

    A symbolic link is followed; an existing file keeps its permissions. Processes that write to one path do not mix:
    the last to rename wins. What killed writers have left is removed by the next write to the same path.
    Raises OSError, with whatever stood at the path untouched; devices and directories are refused, for a rename
    destroys them.
    """
    target = _resolved(path)
    with contextlib.suppress(FileNotFoundError):
        _refuse_special(target)
    remove_leftovers(target)
    for _ in range(_TRIES):
        temporary = os.path.join(os.path.dirname(target), f"{_prefix(target)}{secrets.token_hex(8)}.tmp")
        try:  # from here on, for Ctrl-C may come as soon as the file is there
            if _placed(temporary, target, data):
                break
        except BaseException as error:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            if isinstance(error, OSError):
                error.filename, error.filename2 = target, None  # what the user asked for, and not our temporary name
            raise
    else:
        raise OSError(errno.EAGAIN, f"other writers removed the temporary file {_TRIES} times", target)
    _sync(os.path.dirname(target))


def remove_leftovers(path: Path) -> None:
    """Unlink temporary files of this target whose writer is dead: nobody holds their lock. `replace` does it, too."""
    target = _resolved(path)
    for name in _listed(os.path.dirname(target), _prefix(target)):
        with contextlib.suppress(OSError):
            descriptor = os.open(name, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
            try:
                if _lock(descriptor, wait=False):
                    os.unlink(name)
            finally:
                os.close(descriptor)


def advice(error: OSError, *, reading: bool = False) -> tuple[str, str]:
    """What came and what to do, as phrases for `errors.explain`. reading: nothing was to be written."""
    got = error.strerror or str(error)
    if reading and isinstance(error, FileNotFoundError):
        return got, "Check the path."
    if reading and isinstance(error, PermissionError):
        return got, "Give a file that you may read."
    if isinstance(error, FileNotFoundError):
        return got, "Check the path; folders are not created."
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return got, "Choose a place you have permission for."
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return got, "Free some space or choose another disk; what was there before is untouched."
    return got, "Give the path of a regular file."


def _resolved(path: Path) -> str:
    try:
        return os.path.realpath(path)
    except ValueError as error:
        raise OSError(errno.EINVAL, str(error), os.fspath(path)) from error


def _refuse_special(path: str) -> None:
    try:
        mode = os.stat(path).st_mode
    except ValueError as error:  # a NUL in the path
        raise OSError(errno.EINVAL, str(error), path) from error
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "a directory", path)
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "a device, pipe or socket", path)


def _prefix(target: str) -> str:
    return f".{os.path.basename(target)[:60]}."


def _placed(temporary: str, target: str, data: bytes) -> bool:
    """Write a fresh file, locked, and rename it. Its mode follows the umask, as for any new file, or the target.

    False if another writer took it for a leftover before it was locked.
    """
    descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0), 0o666)
    with os.fdopen(descriptor, "wb") as file:
        if _lock(descriptor, wait=True) and not os.path.exists(temporary):
            return False
        file.write(data)
        file.flush()
        os.fsync(descriptor)
        with contextlib.suppress(FileNotFoundError):
            os.chmod(temporary, stat.S_IMODE(os.stat(target).st_mode))
        # Renamed while the file is open: its lock tells a concurrent writer that it is no leftover.
        os.replace(temporary, target)
    return True


def _listed(folder: str, prefix: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(prefix) and entry.name.endswith(".tmp"):
                yield entry.path


def _lock(descriptor: int, *, wait: bool) -> bool:
    """Take an exclusive lock that ends with the process. False if it is taken, or if the system has none."""
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return False
    return True


def _sync(folder: str) -> None:
    """Make the rename survive a power cut, where folders can be opened (not on Windows)."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
