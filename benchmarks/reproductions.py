"""What `reproduce.py` trains, how it is tested, and where published figures stand."""

from __future__ import annotations

from dataclasses import replace

from recipes.drawings import DRAWINGS
from recipes.photographs import PHOTOGRAPHS
from recipes.reproduction import Reproduction
from recipes.sinusoid import SINUSOIDS
from recipes.texts import TEXTS
from recipes.worlds import WORLDS

SOURCES = {
    ("Omniglot", "MAML"): "Finn et al. 2017",
    ("Omniglot", "Meta-SGD"): "Li et al. 2017, as later papers quote it",
    ("Omniglot", "Reptile"): "Nichol et al. 2018",
    ("Omniglot", "MetaNet"): "Munkhdalai & Yu 2017",
    ("Omniglot", "SNAIL"): "Mishra et al. 2018",
    ("Omniglot", "ProtoNet"): "Snell et al. 2017",
    ("Omniglot", "R2-D2"): "Bertinetto et al. 2019, from memory",
    ("CIFAR-FS", "MAML"): "Bertinetto et al. 2019, who ran it",
    ("CIFAR-FS", "ProtoNet"): "Bertinetto et al. 2019, who ran it",
    ("CIFAR-FS", "R2-D2"): "Bertinetto et al. 2019",
    ("CIFAR-FS", "MetaOptNet"): "Lee et al. 2019",
    ("2D", "MAML-TRPO"): "Finn et al. 2017, and the result files of their code",
    ("Bernoulli", "RL^2"): "Duan et al. 2016, as Mishra et al. 2018 quote it",
    ("Bernoulli", "SNAIL"): "Mishra et al. 2018",
    ("Tabular", "RL^2"): "Duan et al. 2016",
    ("Sinusoid", "MAML"): "Li et al. 2017, who ran it, from memory",
    ("Sinusoid", "Meta-SGD"): "Li et al. 2017, from memory",
}
"""Where published figures stand, by the first words of group and method."""


def source_of(reproduction: Reproduction) -> str:
    """Where its published figures stand; empty if it has none beside it."""
    if all(test.published is None for test in reproduction.tests):
        return ""
    words = reproduction.group, reproduction.method
    group, method = (text.partition(",")[0].split()[0] for text in words)
    return SOURCES[group, method]


SEEDED = {
    *("omniglot-maml-1s", "omniglot-meta-sgd-1s", "omniglot-reptile"),
    *("omniglot-metaoptnet-ridge-1s", "omniglot-metanet-1s", "omniglot-snail-1s"),
    *("cifar-fs-protonet", "cifar-fs-maml-1s", "cifar-fs-r2d2"),
}
"""Of these two more seeds are trained."""

OF_VINYALS = {"omniglot-maml-1s", "omniglot-snail-1s", "omniglot-protonet-1s"}
"""These are trained on the other split too, which is what ProtoNet's and SNAIL's papers
have: its four orientations are four classes."""


def with_seeds(made: Reproduction) -> list[Reproduction]:
    """It, and it with other seeds."""
    seeds = (1, 2) if made.name in SEEDED else ()
    return [made, *(_changed(made, f"-{seed}", f"--seed {seed}") for seed in seeds)]


def with_split(made: Reproduction) -> list[Reproduction]:
    """It on the split of Vinyals et al., if it is to be."""
    if made.name not in OF_VINYALS:
        return []
    other = _changed(made, "-vinyals", "-s dataset.split=vinyals")
    group = "Omniglot, the split of Vinyals et al., orientations as classes"
    return [replace(other, group=group)]


def _changed(made: Reproduction, called: str, options: str) -> Reproduction:
    train = (*made.train, *options.split())
    return replace(made, name=made.name + called, train=train)


ONCE = [*DRAWINGS, *PHOTOGRAPHS, *TEXTS, *WORLDS, *SINUSOIDS]
ALL = [each for made in ONCE for each in (*with_seeds(made), *with_split(made))]
GROUPS = list(dict.fromkeys(each.group for each in ALL))
REPRODUCTIONS = sorted(ALL, key=lambda each: GROUPS.index(each.group))
