"""One process that serves a run: load, try, listen, answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from mltfr.serve.app import make_app
from mltfr.serve.keys import Keys
from mltfr.serve.loaded import LoadedRun
from mltfr.serve.log import start_log
from mltfr.serve.options import ServiceOptions
from mltfr.serve.reload import Reloader
from mltfr.serve.server import bind, listen_for_metrics, serve
from mltfr.serve.service import Service
from mltfr.serve.trial import try_run


def check_run(folder: Path, names: Mapping[str, str] | None = None, onnx: bool = False) -> str:
    """Load a run as a service does, try it, and return what was found in a line.

    Raises:
        RunError: the run cannot be served.
        ConfigError: with `onnx`, torch is too old.
        MissingExtraError: with `onnx`, the extra `export` is not installed.
    """
    run = LoadedRun.load(folder, names, onnx)
    run.warm_up()
    graph = "" if run.graph is None else f" with onnxruntime ({run.graph.parity})"
    return f"{folder}: can be served{graph}; {try_run(run)}. Run {run.fingerprint}."


def run_service(
    folder: Path,
    options: ServiceOptions,
    keys: Keys,
    host: str,
    port: int,
    *,
    names: Mapping[str, str] | None = None,
    onnx: bool = False,
    watch: bool = False,
    threads: int | None = None,
    cors: Sequence[str] = (),
    metrics_port: int | None = None,
    page: bool = True,
    root_path: str = "",
    forwarded_allow_ips: str = "127.0.0.1",
    log_level: str = "info",
) -> None:
    """Serve a run until SIGTERM or Ctrl-C.

    Args:
        folder: the run folder, or a link to it.
        options: limits and times.
        keys: the API keys.
        host: address to listen at.
        port: port to listen at; 0 for a free one.
        names: names of items that are put beside their ids, by id.
        onnx: whether small requests are computed by onnxruntime.
        watch: whether the run is loaded again when another one stands in the folder.
        threads: threads of one computation.
        cors: origins whose pages may ask.
        metrics_port: port that offers the metrics alone.
        page: whether the page for people is at `/`.
        root_path: the path under which a proxy offers the service.
        forwarded_allow_ips: proxies whose word on the client's address is taken.
        log_level: the least that is logged.

    Raises:
        RunError: the run cannot be served.
        ConfigError: with `onnx`, torch is too old.
        MissingExtraError: with `onnx`, the extra `export` is not installed.
        OutputError: the address cannot be had.
    """
    start_log(log_level)
    if threads is not None:
        torch.set_num_threads(threads)
    with bind(host, port) as listener:
        run = LoadedRun.load(folder, names, onnx)
        run.warm_up(page)
        service = Service(run, options)
        if metrics_port is not None:
            listen_for_metrics(host, metrics_port, service)
        app = make_app(service, keys, cors, metrics=metrics_port is None, page=page)
        reloader = Reloader(service, folder, names, onnx, page)
        if watch:
            reloader.watch()
        run.log_notes()
        serve(app, service, listener, reloader.request, root_path, forwarded_allow_ips)
        reloader.stop()
