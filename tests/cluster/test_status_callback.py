"""What a worker sends of its progress, without a cluster."""

from __future__ import annotations

from types import SimpleNamespace

from mltfr.cluster import status


def test_steps_are_sent_together(monkeypatch):
    now, sent = 100.0, []
    monkeypatch.setattr(status.time, "monotonic", lambda: now)
    post = SimpleNamespace(remote=lambda *event: sent.append(event))
    callback = status.StatusCallback(SimpleNamespace(post=post))
    callback.start("Fisher information", 9)
    for steps in (1, 2, 3):  # the first is sent at once, the others wait
        callback.advance(steps)
    now += 2 * status.POLL
    callback.advance(3)
    assert sent == [("start", "Fisher information", 9, 0), ("advance", 1), ("advance", 8)]
