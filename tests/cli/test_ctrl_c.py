"""Ctrl-C in a command that has nothing to continue."""

from __future__ import annotations

import pytest

from mltfr.cli import main


def test_ctrl_c_ends_in_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def stop(path: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mltfr.pipeline.load_artifact", stop)
    monkeypatch.setattr("sys.argv", ["mltfr", "evaluate", "run"])
    with pytest.raises(SystemExit) as left:
        main.main()
    assert left.value.code == 130
    assert capsys.readouterr() == ("", "mltfr: stopped.\n")
