"""A file is replaced whole or not at all, whatever fails, whoever else writes, and whenever the process dies."""

import errno
import fcntl
import os
import resource
import signal
import subprocess
import sys

import pytest

from tinygrad_rnn import files


def test_replace_writes_and_overwrites(tmp_path):
    path = tmp_path / "a.bin"
    for data in (b"one", b"", b"three" * 100_000):
        files.replace(path, data)
        assert path.read_bytes() == data
        assert os.listdir(tmp_path) == ["a.bin"]


def test_everything_is_in_the_file_before_it_is_synced_and_synced_before_it_is_renamed(tmp_path, monkeypatch):
    events = []
    fsync, rename = os.fsync, os.replace

    def note_sync(descriptor):
        events.append(
            ("sync", os.fstat(descriptor).st_size if not os.path.isdir(f"/proc/self/fd/{descriptor}") else "folder")
        )
        fsync(descriptor)

    def note_rename(source, target):
        events.append(("rename", os.path.basename(target)))
        rename(source, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "replace", note_rename)
    files.replace(tmp_path / "a", b"data")
    assert events == [("sync", 4), ("rename", "a"), ("sync", "folder")]


def test_permissions_follow_the_umask_and_then_the_file(tmp_path):
    old = os.umask(0o027)
    try:
        files.replace(tmp_path / "a", b"")
        assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640
        (tmp_path / "a").chmod(0o604)
        files.replace(tmp_path / "a", b"")
        assert (tmp_path / "a").stat().st_mode & 0o777 == 0o604
    finally:
        os.umask(old)


def test_a_symbolic_link_stays_a_link(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there" / "real")
    files.replace(tmp_path / "link", b"data")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there" / "real").read_bytes() == b"data"
    assert os.listdir(tmp_path / "there") == ["real"]


@pytest.mark.parametrize(
    ("name", "text"),
    [("missing/a", "No such file"), ("folder", "a directory"), ("pipe", "a device, pipe or socket"), ("a\0b", "null")],
)
def test_what_is_no_regular_file_is_neither_replaced_nor_read(tmp_path, name, text):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match=text):
        files.replace(str(tmp_path / name), b"data")
    with pytest.raises(OSError, match=text):
        files.open_regular(str(tmp_path / name))
    assert sorted(os.listdir(tmp_path)) == ["folder", "pipe"]


@pytest.mark.parametrize("stage", ["open", "fsync", "chmod", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EIO])
def test_a_failure_at_any_stage_leaves_the_old_file_alone(tmp_path, monkeypatch, stage, code):
    path = tmp_path / "a"
    files.replace(path, b"old")

    def fail(*args, **options):
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patched:
        patched.setattr(os, stage, fail)
        with pytest.raises(OSError, match=os.strerror(code)) as caught:
            files.replace(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]
    assert all(files.advice(caught.value))


def test_a_full_disk_leaves_the_old_file_alone(tmp_path):
    # The limit on file size fails in the middle of a write, as a full disk does, and needs no disk to fill.
    path = tmp_path / "a"
    files.replace(path, b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        with pytest.raises(OSError, match="File too large") as caught:
            files.replace(path, bytes(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]
    assert "Free some space" in files.advice(caught.value)[1]


def test_leftovers_of_dead_writers_go_and_those_of_living_ones_stay(tmp_path):
    target = tmp_path / "a"
    dead = tmp_path / ".a.0123456789abcdef.tmp"
    dead.write_bytes(b"half")
    other = tmp_path / ".b.0123456789abcdef.tmp"
    other.write_bytes(b"of another target")
    living = tmp_path / ".a.fedcba9876543210.tmp"
    with open(living, "wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        files.replace(target, b"data")
        assert living.exists()
    assert not dead.exists()
    assert other.exists()
    files.replace(target, b"data")
    assert not living.exists()


def test_two_processes_that_write_to_one_path_do_not_mix(tmp_path):
    path = tmp_path / "a"
    loop = """
import sys
from tinygrad_rnn.files import replace
for _ in range(60):
    replace(sys.argv[1], sys.argv[2].encode() * 300_000)
"""
    writers = [subprocess.Popen([sys.executable, "-c", loop, path, letter]) for letter in "ab"]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        if path.exists():
            data = path.read_bytes()
            assert len(data) == 300_000
            assert len(set(data)) == 1
            seen.add(data[:1])
    assert [writer.returncode for writer in writers] == [0, 0]
    assert seen == {b"a", b"b"}
    assert os.listdir(tmp_path) == ["a"]
