from __future__ import annotations

import asyncio
import errno
import os
import re
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mltfr.errors import MltfrWarning, OutputError, RunError
from mltfr.storage.lock import HOLDER, LOCK, locked, naming_the_holder

HOLD = "import sys, pathlib\nfrom mltfr.storage.lock import locked\nwith locked(pathlib.Path(sys.argv[1])):\n"
HOLD += "    print('held', flush=True)\n    sys.stdin.read()\n"

ALONE = """
import sys, pathlib
from mltfr.storage.lock import locked
folder = pathlib.Path(sys.argv[1])
for _ in range(60):
    with locked(folder, 60):
        (folder / "alone").mkdir()
        (folder / "alone").rmdir()
"""


def hold(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def in_a_thread(folder: Path, timeout: float = 0.0) -> str:
    """Return what another thread of this process is told; "" where it gets the lock."""

    def attempt() -> str:
        try:
            with locked(folder, timeout):
                return ""
        except RunError as error:
            return str(error)

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(attempt).result()


def test_a_folder_is_locked_once_and_free_afterwards(tmp_path: Path) -> None:
    for _ in range(2):
        with locked(tmp_path):
            with locked(tmp_path):  # the same thread goes on
                told = in_a_thread(tmp_path, 0.1)
                assert re.search(r"this process \(`.*`, since \d.*\) is at work in it\. Wait", told)
            assert in_a_thread(tmp_path)
        assert in_a_thread(tmp_path) == ""
    assert list(tmp_path.iterdir()) == []


def test_the_lock_ends_with_the_process_that_holds_it(tmp_path: Path) -> None:
    process = hold(tmp_path)
    message = rf"process {process.pid} on {socket.gethostname()} \(`-c .*, since \d"
    with pytest.raises(RunError, match=message), locked(tmp_path):
        pass
    process.kill()
    process.communicate()
    assert len(list(tmp_path.iterdir())) == 2  # what it left does no harm
    with locked(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x", "host": 3, "command": null, "since": 1}',
                                  '{"pid": 1e400, "host": "elsewhere", "command": "", "since": ""}'])  # fmt: skip
def test_what_is_written_about_a_dead_holder_does_not_matter(tmp_path: Path, text: str) -> None:
    (tmp_path / LOCK).write_text("of another host, long ago")
    (tmp_path / HOLDER).write_text(text)
    with locked(tmp_path):
        (tmp_path / HOLDER).write_text(text)
        assert "is at work in it" in in_a_thread(tmp_path)


def test_two_tasks_of_one_thread_do_not_hold_it_together(tmp_path: Path) -> None:
    async def attempt() -> str:
        try:
            with locked(tmp_path):
                await asyncio.sleep(0.05)
                with locked(tmp_path):  # the same task goes on
                    return "held"
        except RunError as error:
            return str(error)

    async def both() -> list[str]:
        return await asyncio.gather(attempt(), attempt())

    first, second = asyncio.run(both())
    assert first == "held"
    assert "is at work in it" in second


def test_files_of_other_programs_are_left_alone(tmp_path: Path) -> None:
    for name in (".lock", ".lock.json"):
        (tmp_path / name).write_text("of a package manager")
    with locked(tmp_path):
        pass
    with pytest.raises(RunError, match="holds something"), naming_the_holder(tmp_path):
        raise RunError("holds something")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(
        (".lock", ".lock.json"), "of a package manager"
    )


def test_a_link_is_no_lock_file_and_its_target_stays(tmp_path: Path) -> None:
    target, folder = tmp_path / "target", tmp_path / "folder"
    target.write_text("of somebody else")
    folder.mkdir()
    (folder / LOCK).symlink_to(target)
    with pytest.raises(OutputError, match="folder: cannot be written"), locked(folder):
        pass
    assert target.read_text() == "of somebody else"


def test_a_folder_made_for_the_lock_goes_unless_something_lies_in_it(tmp_path: Path) -> None:
    with locked(tmp_path / "a" / "b"):
        pass
    assert not (tmp_path / "a" / "b").exists()
    with locked(tmp_path / "a" / "b"):
        (tmp_path / "a" / "b" / "file").touch()
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["file"]
    with locked(tmp_path / "a"):
        pass
    assert (tmp_path / "a").exists()


def test_who_waits_gets_the_lock_even_of_a_folder_that_was_removed(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        with locked(tmp_path / "new"):
            waiting = pool.submit(in_a_thread, tmp_path / "new", 20)
            time.sleep(0.3)
        assert waiting.result(timeout=20) == ""


def test_a_file_system_without_locks_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    with pytest.warns(MltfrWarning, match="knows no locks"), locked(tmp_path):
        pass


def test_what_killed_holders_left_goes_with_the_next_lock(tmp_path: Path) -> None:
    names = [".a.1-0123abcd.partial", "in/.b.1-0123abcd.partial", "in/one/.c.1-0123abcd.partial"]
    kept = ["in/two/.d.1-0123abcd.partial", "in/one/notes.partial", "a"]
    for name in (*names, *kept):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    process = hold(tmp_path)
    assert not (tmp_path / names[0]).exists()
    (tmp_path / names[0]).touch()  # the holder is writing it
    with pytest.raises(RunError), locked(tmp_path, within=["in", "in/o*", "missing"]):
        pass
    assert all((tmp_path / name).exists() for name in names)
    process.communicate()
    with locked(tmp_path, within=["in", "in/o*", "missing"]):
        assert not any((tmp_path / name).exists() for name in names)
    assert all((tmp_path / name).exists() for name in kept)


def test_of_processes_that_make_lock_and_remove_a_folder_one_holds_it_at_a_time(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", ALONE, str(tmp_path / "new")], stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    assert [process.communicate()[1] for process in processes] == [""] * 4


def test_a_link_that_leads_nowhere_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "missing")
    told = r"link: cannot be made \(File exists\)\. Mend it"
    with pytest.raises(OutputError, match=told), locked(tmp_path / "link", remedy="Mend it."):
        pass


def test_errors_inside_pass_and_free_the_folder(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), locked(tmp_path):
        1 / 0  # noqa: B018
    with locked(tmp_path):
        pass


def test_a_refusal_names_the_holder_where_there_is_one(tmp_path: Path) -> None:
    process = hold(tmp_path)
    with pytest.raises(RunError, match=f"process {process.pid}.* is at work in it"), naming_the_holder(tmp_path):
        raise RunError("holds something")
    process.kill()
    process.wait()
    with pytest.raises(RunError, match="holds something"), naming_the_holder(tmp_path):
        raise RunError("holds something")
    assert [path.name for path in tmp_path.iterdir()] == []


def test_a_process_that_was_forked_holds_no_lock(tmp_path: Path) -> None:
    with locked(tmp_path):
        child = os.fork()
        if child == 0:
            code = 2
            try:
                with locked(tmp_path):
                    code = 1
            except RunError:
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_link_that_leads_to_itself_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "run").symlink_to("run")
    with pytest.raises(OutputError, match=r"run: cannot be made"), locked(tmp_path / "run"):
        pass
