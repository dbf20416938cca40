"""`mltfr serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mltfr.cli.options import AddNames, Run, finite
from mltfr.cli.output import say


def serve(
    run: Run,
    host: Annotated[str, typer.Option(help="Address to listen at; others than this machine's own need an API key.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen at; 0 for a free one.")] = 8000,
    api_key_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Text file with the API keys, one a line; without it, the variable MLTFR_API_KEY.",
            show_default=False,
        ),
    ] = None,
    no_key: Annotated[bool, typer.Option("--no-key", help="Let everybody ask who can reach the address.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Load the run, rank its held-out examples again, say so and end.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Reload when another run stands in the folder; as SIGHUP does.")
    ] = False,
    add_names: AddNames = None,
    onnx: Annotated[
        bool,
        typer.Option(
            "--onnx",
            help="Compute small requests by onnxruntime, a lone one in a third of the time; "
            "the start takes half a minute. Needs mltfr[export].",
        ),
    ] = False,
    max_batch: Annotated[
        int, typer.Option(min=1, help="Histories that go through the model together; 8 at most with --onnx.")
    ] = 64,
    queue: Annotated[int, typer.Option(min=1, help="Requests that may wait; more are refused (503).")] = 1024,
    timeout: Annotated[
        float,
        typer.Option(min=0.01, callback=finite, help="Seconds until a request is given up (504).", show_default="2"),
    ] = 2.0,
    max_body: Annotated[int, typer.Option(min=1, help="Bytes of a request's body (413).")] = 1 << 20,
    max_k: Annotated[int, typer.Option(min=1, help="Items of one list.")] = 1000,
    max_histories: Annotated[int, typer.Option(min=1, help="Users and histories of one request, each.")] = 256,
    max_interactions: Annotated[
        int, typer.Option(min=0, help="Interactions newer than the training that are kept in memory.")
    ] = 100_000,
    rate: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            callback=finite,
            show_default=False,
            help="Requests a second of every API key (429); no limit if not given.",
        ),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of one computation.", show_default="the cores")
    ] = None,
    drain: Annotated[
        float,
        typer.Option(
            min=0,
            callback=finite,
            help="Seconds that requests are still taken after SIGTERM, while not ready.",
            show_default="1",
        ),
    ] = 1.0,
    grace: Annotated[
        float,
        typer.Option(
            min=0, callback=finite, help="Seconds that accepted requests may take after that.", show_default="30"
        ),
    ] = 30.0,
    cors: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ORIGIN",
            help="Origin whose pages may ask, as in https://shop.example; may come several times.",
            show_default=False,
        ),
    ] = None,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            min=1, max=65535, help="Offer /metrics at a port of its own, and not at --port.", show_default=False
        ),
    ] = None,
    no_page: Annotated[bool, typer.Option("--no-page", help="Offer no page for people at /.")] = False,
    root_path: Annotated[str, typer.Option(help="Path under which a proxy offers the service.")] = "",
    forwarded_allow_ips: Annotated[
        str, typer.Option(help="Proxies whose word on a client's address is taken.")
    ] = "127.0.0.1",
    log_level: Annotated[Literal["debug", "info", "warning", "error"], typer.Option(help="Least that is logged.")] = (
        "info"
    ),
) -> None:
    """Answer requests over HTTP: recommendations, similar items, what the run is, and how the service does.

    Usually: `mltfr serve runs/mine`

    The page at / is for trying the run out by hand. What can be asked stands at /docs, and for programs at
    /openapi.json. The log is one JSON document a line on stderr.
    SIGTERM and Ctrl-C stop it when what was accepted is answered. SIGHUP, or --watch, loads the folder again: the new
    run takes over when it ranks its own held-out examples as it says.
    """  # fmt: skip
    from mltfr.errors import MissingExtraError

    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(error.name or "fastapi", "serve") from error
    from mltfr.interactions.item_names import item_names
    from mltfr.serve.keys import Keys
    from mltfr.serve.options import ServiceOptions
    from mltfr.serve.process import check_run, run_service
    from mltfr.serve.server import check_address, check_origins

    names = dict(item_names(add_names).table.iter_rows()) if add_names is not None else None
    keys = Keys.read(api_key_file)
    check_address(host, keys, no_key)
    check_origins(cors or [])
    if check:
        say(check_run(run, names, onnx))
        return
    options = ServiceOptions(
        max_batch=max_batch, queue=queue, timeout=timeout, max_body=max_body, max_k=max_k, max_histories=max_histories,
        interactions=max_interactions, rate=rate, drain=drain, grace=grace,
    )  # fmt: skip
    run_service(
        run, options, keys, host, port, names=names, onnx=onnx, watch=watch, threads=threads, cors=cors or [],
        metrics_port=metrics_port, page=not no_page, root_path=root_path, forwarded_allow_ips=forwarded_allow_ips,
        log_level=log_level,
    )  # fmt: skip
