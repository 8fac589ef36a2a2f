"""The facts of a plugin: its settings and all else that it says of itself."""

from __future__ import annotations

from typing import Any, get_args

from pydantic import BaseModel

from .registry import Entry

UNTRAINED = "none: a head for metapipe adapt --backbone NAME"
"""Of an algorithm that needs no run."""

ROUNDS = "a round of `shots` trajectories for each step of learning"
"""What an algorithm learns a world by that adapts to it."""

MEMORY = "learned while acting, in a trajectory's own memory: `shots` is 0"
"""And one that remembers."""


def facts(entry: Entry) -> dict[str, Any]:
    """What there is to say of a plugin, by the names that `plugins show` prints."""
    cls: Any = entry.cls
    return {
        "kind": entry.plugin_type,
        "name": entry.name,
        "what": _summary(cls),
        "paper": cls.paper,
        "implements": getattr(cls, "equations", ""),
        "departs": cls.departures,
        "problems": ", ".join(sorted(getattr(cls, "kinds", ()))),
        **_of_tasks(cls),
        "training": "" if getattr(cls, "needs_training", True) else UNTRAINED,
        **(_whose(cls) if entry.plugin_type == "backbone" else {}),
        **({"install": cls.install} if entry.plugin_type == "observer" else {}),
        "normalisation": _normalisation(entry),
        "dropout": _dropout(cls) if entry.plugin_type == "algorithm" else "",
        "origin": f"{entry.origin} ({entry.origin.module})",
        "distribution": entry.origin.distribution,
        "version": entry.origin.version,
        "settings": settings_of(cls),
        "recommended": dict(cls.recommended),
        "recommended_with": {k: dict(v) for k, v in cls.recommended_with.items()},
        "recommended_if": {k: dict(v) for k, v in cls.recommended_if.items()},
    }


def _of_tasks(cls: Any) -> dict[str, str]:
    """What an algorithm wants of classes, and of worlds."""
    kinds: frozenset[str] = getattr(cls, "kinds", frozenset())
    found = dict.fromkeys(("classes", "worlds"), "")
    if kinds - {"control"}:
        found["classes"] = "any number" if cls.any_ways else "as many as in training"
    if "control" in kinds:
        found["worlds"] = ROUNDS if cls.needs_support else MEMORY
    return found


def _whose(cls: Any) -> dict[str, str]:
    """What a backbone takes, whose it is, and where it comes from."""
    return {
        "takes": {"file": "files", "row": "rows of a table"}[cls.form],
        "licence": cls.licence,
        "source": cls.source,
        "install": cls.install,
    }


def _normalisation(entry: Entry) -> str:
    """Where an algorithm's normalisation layers take their statistics from."""
    cls: Any = entry.cls
    if entry.plugin_type != "algorithm" or cls.kinds == {"control"}:
        return ""
    if cls.recommended.get("model.normalise") is False:
        return "no such layers: predictions are inductive"
    setting = cls.model_fields["statistics"]
    default, choices = setting.default, get_args(setting.annotation)
    if default == "running":
        return "running averages: predictions are inductive"
    other = ", or with -s algorithm.statistics=support" if "support" in choices else ""
    return (
        "statistics of the batch: predictions are transductive, unless each query is "
        f"evaluated alone{other}"
    )


def _dropout(cls: Any) -> str:
    """Whether a network's dropout does anything beside an algorithm."""
    if cls.stochastic:
        return "acts: the network is trained in training mode"
    return "never acts: the network is never in training mode"


def settings_of(cls: type[BaseModel]) -> list[dict[str, Any]]:
    """Each field as its JSON schema tells it: type, default, bounds, help."""
    schema = cls.model_json_schema()
    return [
        {
            "name": name,
            "type": _type(field),
            "default": field.get("default"),
            "bounds": _bounds(field),
            "help": " ".join(field.get("description", "").split()),
        }
        for name, field in schema.get("properties", {}).items()
    ]


def _type(field: dict[str, Any]) -> str:
    if "const" in field:
        return repr(field["const"])
    if "enum" in field:
        return " | ".join(map(repr, field["enum"]))
    if "anyOf" in field:
        return " | ".join(map(_type, field["anyOf"]))
    return str(field.get("format") or field.get("type", "any"))


def _bounds(field: dict[str, Any]) -> str:
    words = {
        "exclusiveMinimum": ">",
        "minimum": ">=",
        "exclusiveMaximum": "<",
        "maximum": "<=",
    }
    for option in (field, *field.get("anyOf", ())):
        found = [
            f"{sign} {option[key]:g}" for key, sign in words.items() if key in option
        ]
        if found:
            return " and ".join(found)
    return ""


def _summary(cls: type) -> str:
    return " ".join((cls.__doc__ or "").strip().split("\n\n")[0].split())
