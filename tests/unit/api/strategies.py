"""Hypothesis strategies for manifests: valid objects of every kind as data, and cron expressions. No tests in here."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.unit.builders import manifest

Data = dict[str, Any]

names = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff\ufffe\uffff"), max_size=40)
words = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(words, children, max_size=3),
    max_leaves=6,
)
parameters = st.dictionaries(words, json_values, max_size=4)


def _record(required: dict[str, st.SearchStrategy[Any]], optional: dict[str, st.SearchStrategy[Any]]) -> Any:
    return st.fixed_dictionaries(required, optional=optional)


_timings = st.one_of(
    st.fixed_dictionaries({"cron": st.sampled_from(["0 9 * * 1-5", "*/5 * * * *", "0 0 1 jan sun"])}),
    st.fixed_dictionaries(
        {"intervalSeconds": st.integers(1, 31536000)},
        optional={"anchor": st.sampled_from(["2026-01-01T09:00:00Z", "2026-01-01T09:00:00+09:00"])},
    ),
    st.fixed_dictionaries(
        {
            "rrule": st.sampled_from(
                ["FREQ=WEEKLY;BYDAY=MO,TH;BYHOUR=9", "DTSTART:20260101T090000\nRRULE:FREQ=DAILY;COUNT=3"]
            )
        }
    ),
)
schedules = st.builds(
    lambda timing, rest: {**rest, **timing},
    _timings,
    _record(
        {"name": names},
        {
            "timezone": st.sampled_from(["UTC", "Asia/Tokyo", "Europe/Berlin"]),
            "parameters": parameters,
            "suspend": st.booleans(),
        },
    ),
)
queues = _record(
    {"name": names, "priority": st.integers(1, 1000)},
    {"description": texts, "concurrencyLimit": st.integers(1, 10000), "suspend": st.booleans()},
)

_specs: dict[str, st.SearchStrategy[Data]] = {
    "LabAction": st.one_of(
        _record(
            {
                "device": names,
                "action": st.just("Acknowledge"),
                "outcome": st.sampled_from(["Completed", "NotCompleted"]),
                "reason": words,
                "requester": words,
            },
            {"unit": words},
        ),
        _record({"device": names, "action": st.just("Release"), "reason": words, "requester": words}, {}),
    ),
    "LabDevice": _record(
        {"driver": words, "pool": names},
        {
            "queues": st.lists(words, max_size=3, unique=True),
            "connection": _record({}, {"port": words, "baudrate": st.integers(9600, 4500000)}),
            "config": st.fixed_dictionaries({"inline": words})
            | st.fixed_dictionaries({"files": st.lists(words, min_size=1, max_size=3)}),
            "simulate": _record({}, {"timeFactor": st.integers(1, 1000).map(float)}),
        },
    ),
    "LabPool": _record(
        {"type": st.sampled_from(["device", "kubernetes"])},
        {
            "description": texts,
            "queues": st.lists(
                queues, max_size=4, unique_by=(lambda queue: queue["name"], lambda queue: queue["priority"])
            ),
            "concurrencyLimit": st.integers(1, 10000),
            "suspend": st.booleans(),
            "prefect": _record({}, {"poolName": names}),
            "adopt": st.booleans(),
            "deletionPolicy": st.sampled_from(["Delete", "Orphan"]),
        },
    ),
    "LabRun": _record(
        {"workflowRef": st.fixed_dictionaries({"name": names})},
        {
            "parameters": parameters,
            "startAt": st.just("2026-05-01T09:00:00+09:00"),
            "ttlSecondsAfterFinished": st.integers(0, 31536000),
        },
    ),
    "LabWorkflow": _record(
        {
            "flow": st.fixed_dictionaries({"name": words}) | st.just({"entrypoint": "my_lab.flows:measure"}),
            "placement": _record({"pool": names}, {"queue": words}),
        },
        {
            "description": texts,
            "parameters": parameters,
            "schedules": st.lists(schedules, max_size=3, unique_by=lambda schedule: schedule["name"]),
            "suspend": st.booleans(),
            "concurrency": _record({"limit": st.integers(1, 99)}, {"onConflict": st.sampled_from(["Queue", "Skip"])}),
            "retries": st.integers(0, 100),
            "retryDelaySeconds": st.integers(0, 86400),
            "timeoutSeconds": st.integers(1, 2592000),
            "job": _record({}, {"image": words}),
            "tags": st.lists(words, max_size=3, unique=True),
            "prefect": _record({}, {"flowName": names, "deploymentName": names}),
            "adopt": st.booleans(),
            "deletionPolicy": st.sampled_from(["Delete", "Orphan"]),
        },
    ),
}

manifests: st.SearchStrategy[Data] = st.sampled_from(sorted(_specs)).flatmap(
    lambda kind: st.builds(lambda name, spec: manifest(kind, name, spec), names, _specs[kind])
)
"""Valid manifests of every kind, as data."""

_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_WORDS: tuple[tuple[str, ...], ...] = (
    (),
    (),
    (),
    ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"),
    ("sun", "mon", "tue", "wed", "thu", "fri", "sat"),
)


def _cron_field(position: int) -> st.SearchStrategy[str]:
    low, high = _RANGES[position]
    value = st.integers(low, high).map(str)
    if _WORDS[position]:
        value |= st.sampled_from(_WORDS[position]) | st.sampled_from(_WORDS[position]).map(str.upper)
    spans = st.tuples(value, value).map("-".join)
    item = st.tuples(st.just("*") | value | spans, st.just("") | st.integers(1, 59).map(lambda step: f"/{step}"))
    return st.lists(item.map("".join), min_size=1, max_size=3).map(",".join)


valid_crons = (
    st.tuples(*(_cron_field(position) for position in range(5))).map(" ".join).filter(lambda text: len(text) <= 120)
)
"""Cron expressions of five fields with lists, ranges, steps and names."""


@st.composite
def broken_crons(draw: st.DrawFn) -> str:
    """Cron expressions with one field wrong, one too many or one too few."""
    fields = draw(valid_crons).split()
    position = draw(st.integers(0, 4))
    low, high = _RANGES[position]
    wrong = [str(high + 1), "-1", "x", "1-", "*/0", "1,,2", "1-2-3", "*-5", "1.5", "/", ","]
    if low:
        wrong.append("0")
    how = draw(st.sampled_from(["wrong", "more", "fewer"]))
    if how == "more":
        return " ".join([*fields, "*"])
    if how == "fewer":
        return " ".join(fields[:-1])
    fields[position] = draw(st.sampled_from(wrong))
    return " ".join(fields)
