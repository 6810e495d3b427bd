"""kopf's part: it watches the kinds and hands every event to the controller.

Low-level event handlers on purpose: kopf's change handlers keep state of their own in annotations, a write for every
change, while the controller compares the whole object each time (docs/decisions/0002-events-feed-one-queue.md).
"""

from __future__ import annotations

import logging
from typing import Any

import kopf

from labkeeper_api.kinds import KINDS, LabObject
from labkeeper_api.meta import GROUP, VERSION
from labkeeper_operator.controller import Controller


def register(registry: kopf.OperatorRegistry, controller: Controller) -> None:
    """Register a handler for every kind."""
    kopf.on.startup(registry=registry)(_configure)
    kopf.on.login(registry=registry)(kopf.login_via_client)
    for kind in KINDS:
        _watch(registry, controller, kind)


def _watch(registry: kopf.OperatorRegistry, controller: Controller, kind: type[LabObject]) -> None:
    def changed(event: Any, **_: Any) -> None:
        raw = {**event["object"], "kind": kind.kind_name()}
        if event["type"] == "DELETED":
            controller.gone(raw)
        else:
            controller.seen(raw)

    kopf.on.event(GROUP, VERSION, kind.plural, registry=registry, id=kind.plural)(changed)


def _configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    settings.posting.enabled = False
    # A watch that hears nothing is opened anew, so that a connection that died unnoticed is not waited on for ever.
    settings.watching.server_timeout = 270
    settings.watching.client_timeout = 300
    settings.networking.request_timeout = 60
    logging.getLogger("kopf.objects").setLevel(logging.WARNING)
