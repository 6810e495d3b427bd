"""`labkeeper operator run`: the operator, as it runs in its pod."""

from __future__ import annotations

import logging

import typer

app = typer.Typer(
    help="The Kubernetes operator: keeps Prefect as the resources say.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _operator() -> None:
    """The Kubernetes operator: keeps Prefect as the resources say."""


@app.command("run")
def run() -> None:
    """Run the operator until SIGTERM or Ctrl-C.

    The cluster is that of the pod or of KUBECONFIG, the Prefect server the one that PREFECT_API_URL names. Further
    settings are environment variables that begin with LABKEEPER_, such as LABKEEPER_NAMESPACES.
    """
    from labkeeper.canvas.checking import canvas_problems
    from labkeeper_operator.main import run as run_operator
    from labkeeper_operator.settings import OperatorSettings

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    run_operator(OperatorSettings(), canvas_problems)
