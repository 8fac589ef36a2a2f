"""RESULTS.md: what came of the reproductions, as tables."""

from __future__ import annotations

import platform
import re
import shlex
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from recipes.reproduction import Reproduction, Test
from reproductions import REPRODUCTIONS, source_of

from metapipe.store.student import half_width

Figures = Mapping[str, Any]

SHORT = 12
"""Digits of a hash that are shown."""

RERUN = (
    "Any of these runs is made again, with all its tests, by `python "
    "benchmarks/reproduce.py --project DIR --only NAME`; `{data}` is the folder of the "
    "data, `{benchmarks}` that of this file:"
)


def tables(figures: Figures) -> str:
    """RESULTS.md."""
    lines = [
        "# Results",
        "",
        "Written by `benchmarks/reproduce.py` from its task store (kept in "
        "`results.json`); not edited by hand. On "
        f"{platform.machine()}, without a GPU unless one is named, which a training "
        "began on at least. Time is training without validations; with "
        "other work on the machine it is an upper bound. Intervals are 95 % over "
        "episodes of one seed, unless they are said to be over seeds (Student's). "
        "Omniglot: 1,100 / 100 / 423 characters at random, each "
        "turned by a random quarter in each episode, in training and test, the same "
        "test episodes for all of a shape; published figures are of the papers' own "
        "splits, those with a ~ from memory and not checked. Transductive: batch "
        "statistics over the queries.",
    ]
    known = [r for r in REPRODUCTIONS if r.name in figures]
    for group, members in groupby(known, key=lambda r: r.group):
        chosen = list(members)
        lines += ["", f"## {group}", ""]
        lines += [
            "| method | tested | ours | before | published | difference | transductive "
            "| episodes | trained |",
            "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        ]
        for member in chosen:
            row = figures[member.name]
            pairs = zip(member.tests, row["tests"], strict=False)
            lines += [line(member, row, test, found) for test, found in pairs]
        lines += [*over_seeds(chosen, figures), "", RERUN, ""]
        lines += [trained(member, figures[member.name]) for member in chosen]
    return "\n".join(lines) + "\n"


def line(member: Reproduction, row: Figures, test: Test, found: Figures) -> str:
    """One evaluation as a row of the table."""
    on = f", {row['gpu']}" if row.get("gpu") else ""
    cells = [
        member.method,
        shape_of(found),
        *result(found),
        published(test),
        difference(test, found),
        "yes" if found["transductive"] else "no",
        str(found["episodes"]),
        f"{row['iterations']} iterations, {row['minutes']} min, seed {row['seed']}{on}",
    ]
    return f"| {' | '.join(cells)} |"


def shape_of(found: Figures) -> str:
    """Of the episodes of a test, and what was changed for it."""
    changed = [f"{name} {value}" for name, value in found["settings"].items()]
    alone = ["each alone"] if found["prediction"] == "alone" else []
    return ", ".join([_shape(found), *alone, *changed])


def _shape(found: Figures) -> str:
    if found.get("controls"):
        learned = f"{found['shots']} trajectories a step, " if found["shots"] else ""
        return f"{learned}{found['queries']} judged"
    each = "query" if found["queries"] == 1 else "queries"
    return f"{found['ways']}-way {found['shots']}-shot, {found['queries']} {each}"


def result(found: Figures) -> tuple[str, str]:
    """Ours, and before adapting."""
    if found.get("controls"):
        before = found["loss_before"]
        ours = f"return {-found['loss']:.2f} ± {found['loss_ci95']:.2f}"
        return ours, "" if before is None else f"return {-before:.1f}"
    if found["accuracy"] is None:
        before = found["loss_before"]
        ours = f"MSE {found['loss']:.3f} ± {found['loss_ci95']:.3f}"
        return ours, "" if before is None else f"MSE {before:.2f}"
    before = found["accuracy_before"]
    ours = f"{100 * found['accuracy']:.2f} ± {100 * found['accuracy_ci95']:.2f} %"
    return ours, "" if before is None else f"{100 * before:.1f} %"


def published(test: Test) -> str:
    """The paper's figure, marked where nobody looked it up."""
    if test.published is None:
        return ""
    return f"{'' if test.checked else '~'}{test.published:g}"


def difference(test: Test, found: Figures) -> str:
    """Ours less the published, and whether that is as near as expected."""
    if test.published is None:
        return ""
    if found.get("controls"):
        return _verdict(-found["loss"] - test.published, test.within)
    if found["accuracy"] is None:
        return f"{found['loss'] - test.published:+.2f}"
    return _verdict(100 * found["accuracy"] - test.published, test.within)


def _verdict(difference: float, within: float | None) -> str:
    """A difference, of which more is better, and whether it is as expected."""
    if within is None:
        return f"{difference:+.2f}"
    word = "as expected" if difference >= -within else "**short**"
    return f"{difference:+.2f}, {word} (-{within:g})"


def over_seeds(
    members: Sequence[Reproduction], figures: Mapping[str, Figures]
) -> Iterator[str]:
    """A row for each test of those that differ in nothing but the seed."""
    alike: defaultdict[tuple[str, ...], list[Reproduction]] = defaultdict(list)
    for member in members:
        alike[_but_for_the_seed(member.train)].append(member)
    for same in alike.values():
        rows = [figures[member.name] for member in same]
        if len({row["seed"] for row in rows}) > 1:
            method = re.sub(r", seed \d+$", "", same[0].method)
            tests = zip(*(row["tests"] for row in rows), strict=False)
            for test, found in zip(same[0].tests, tests, strict=False):
                yield _mean_line(method, test, found, rows)


def _mean_line(
    method: str, test: Test, found: Sequence[Figures], rows: Sequence[Figures]
) -> str:
    by_loss = found[0]["accuracy"] is None or found[0].get("controls")
    figure = "loss" if by_loss else "accuracy"
    values = [each[figure] for each in found]
    mean = sum(values) / len(values)
    spread = half_width(len(values), sum((v - mean) ** 2 for v in values))
    assert spread is not None
    mean_test = {**found[0], figure: mean, f"{figure}_ci95": spread}
    inside = sum(each[f"{figure}_ci95"] for each in found) / len(found)
    own = "±" + result({**mean_test, f"{figure}_ci95": inside})[0].partition("±")[2]
    cells = [
        f"{method}, {len(values)} seeds",
        shape_of(found[0]),
        f"{result(mean_test)[0]} over seeds, {own} over episodes of one",
        "",
        published(test),
        difference(test, mean_test),
        "yes" if found[0]["transductive"] else "no",
        f"{len(values)} x {found[0]['episodes']}",
        f"seeds {', '.join(str(row['seed']) for row in rows)}",
    ]
    return f"| {' | '.join(cells)} |"


def _but_for_the_seed(train: Sequence[str]) -> tuple[str, ...]:
    if "--seed" not in train:
        return tuple(train)
    at = train.index("--seed")
    return (*train[:at], *train[at + 2 :])


def trained(member: Reproduction, row: Figures) -> str:
    """How it was trained and selected, on which data, and the command."""
    budget = f"{row['iterations']} iterations"
    if tasks := row.get("tasks"):
        budget += f" of {tasks} tasks ({row['iterations'] * tasks:,} episodes)"
    parts = [f"{budget}, seed {row['seed']}"]
    if "selection" in row:
        parts.append(_selected(row["selection"]))
    hashes = {"train": (row.get("data") or {}).get("train")}
    hashes |= {test["split"]: test.get("fingerprint") for test in row["tests"]}
    known = [f"{split} {h[:SHORT]}" for split, h in hashes.items() if h]
    parts.append(f"data {', '.join(known) or 'of a hash that was not kept'}")
    if source := source_of(member):
        parts.append(f"published: {source}")
    command = shlex.join(["metapipe", *member.loading, "train", *member.train])
    command = command.replace("{{", "{").replace("}}", "}")
    return f"- `{member.name}`: {'; '.join(parts)}; `{command}`"


def _selected(selection: Figures) -> str:
    """By what the tested checkpoint was chosen."""
    if not selection:
        return "the last checkpoint, no validation"
    many = selection["ensemble"]
    what = "the best checkpoint" if many == 1 else f"the mean of the best {many}"
    return (
        f"{what} by {selection['by']} on {selection['episodes']} episodes of val, "
        f"every {selection['every']} iterations"
    )
