"""One contract over every registered algorithm and every model it supports."""

from metapipe import Episodes, Problem, UnsupportedError
from metapipe.experiment.registry import load
from metapipe.testing import AlgorithmContract
from metapipe.training_settings import TrainingSettings

IMAGE, TEXT = (1, 8, 8), (3, 4)
MODELS = {
    "identity": {},
    "conv4": {"width": 4, "blocks": 2, "features": "flatten"},
    "mlp": {"layers": (8,)},
    "ngrams": {"buckets": 16, "width": 4},
    "r2d2net": {"widths": (4, 4)},
    "resnet12": {"widths": (4, 4), "block_size": 2},
}
"""Cheap settings of each model; a model that is not here has to be added."""

OF_VECTORS = {"residual-mlp"}
"""Models that take nothing but vectors; tests/plugins/test_features.py has them."""

SPECIAL = {("metanet", "conv4"): {"normalise": False}}
"""What a method needs a model to be."""

GENTLE = {
    ("anil", "r2d2net"): {"inner_lr": 0.01},
    ("imaml", "conv4"): {"inner_lr": 0.02},
    ("imaml", "ngrams"): {"inner_lr": 0.02},
}
"""Where the default step of the inner loop is too long for the toy problem."""

LONGER = {("protomaml", "ngrams"), ("baseline", "resnet12")}
"""Where the toy problem takes more than a moment to learn."""

SATURATED = {("protomaml", "r2d2net"), ("protomaml", "resnet12")}
"""Where prototypes of large features classify the support set so well that hardly any
second derivative is left: first order is exact, as far as differences can tell."""

INEXACT = {
    "imaml": "it is that of the inner problem's end, not of a number of steps",
    "metanet": "support gradients are constants",
    "sklearn": "a classifier of all classes is descended, that of the task reported",
    "reptile": "what it follows is the gradient of no loss",
}

INEXACT_WITH = {
    "maml++": {"multi_step": True},  # all steps' losses count, the last is reported
    "relationnet": {"loss": "squared"},  # and cross-entropy is reported
}

OTHER_PROBLEM = {
    "baseline": "it is trained to tell all training classes apart",
    "baseline++": "the same",
    "sklearn": "the same",
    "snail": "training shuffles support sets, use has a fixed order",
}
"""Why the loss in training is not that of adapting and predicting."""

UNSUPPORTED = [
    ("boil", "identity"),
    *(("metanet", model) for model in ("ngrams", "r2d2net", "resnet12")),
]
"""BOIL adapts what is below the head. MetaNet augments layers that follow one another;
residual blocks and embeddings are more."""

REGISTRY = load()
ALGORITHMS = [
    entry.name
    for entry in REGISTRY.entries("algorithm")
    if entry.cls.needs_training and entry.cls.kinds != {"control"}
]
"""Those for control have a contract of their own: test_control_contracts.py."""


OF_THE_ALGORITHM = (
    "test_queries_do_not_reach_what_is_adapted",
    "test_evaluating_does_not_reach_training",
    "test_dropout_acts_as_declared",
    "test_inner_steps_can_be_computed_again",
)
"""What does not depend on the model."""

OF_QUICK_MODELS = "test_other_settings_keep_the_gradient_right"
"""What convolutional networks have alike: conv4 has it, the others take ten times the
time."""

OF_EITHER = "test_shapes_hold_without_data"
"""What an algorithm and a model have to do each, whichever the other is."""


def shape_of(model: str) -> tuple[int, ...]:
    """Of an input that the model takes."""
    return TEXT if model == "ngrams" else IMAGE


def test_every_model_has_cheap_settings() -> None:
    assert set(MODELS) | OF_VECTORS == set(REGISTRY.names("model"))


def test_every_algorithm_says_what_it_implements() -> None:
    for entry in REGISTRY.entries("algorithm"):
        assert entry.cls.paper, entry.name
        assert entry.cls.equations, entry.name


class PairContract(AlgorithmContract):
    """Of one algorithm with one model."""

    learning = TrainingSettings(iterations=8, tasks=4, lr=0.003)
    toys = ()  # each algorithm has them in its own file

    def episodes(self, seed: int = 0) -> Episodes:
        """One meta-batch, again and again; in its own file each algorithm learns to
        learn, with new ones."""
        return super().episodes()


def contract(
    algorithm: str, model: str, regression: bool = False
) -> type[AlgorithmContract]:
    settings = {**MODELS[model], **SPECIAL.get((algorithm, model), {})}
    members = {
        "algorithm": REGISTRY.create(
            "algorithm", algorithm, GENTLE.get((algorithm, model), {})
        ),
        "model": REGISTRY.create("model", model, settings),
        "shape": shape_of(model),
        "regression": regression,
        "exact_gradient": algorithm not in INEXACT,
        "inexact": {
            **({} if (algorithm, model) in SATURATED else {"first_order": True}),
            **INEXACT_WITH.get(algorithm, {}),
        },
        "reports_adapted": algorithm not in OTHER_PROBLEM,
    }
    if (algorithm, model) in LONGER:
        members["learning"] = TrainingSettings(iterations=30, tasks=4, lr=0.02)
    if model != "conv4":  # with it, and in each algorithm's own file, once is enough
        members |= dict.fromkeys(OF_THE_ALGORITHM)
        if algorithm != "protonet":
            members[OF_EITHER] = None
    if model in ("r2d2net", "resnet12"):
        members[OF_QUICK_MODELS] = None
    name = f"Test_{algorithm}_{model}{'_regression' if regression else ''}"
    return type(name, (PairContract,), members)


def sensible(algorithm: str, model: str) -> bool:
    """Whether there is something to learn: the features of no network are none."""
    features_only = REGISTRY.entry("algorithm", algorithm).cls.any_ways
    return not (model == "identity" and features_only)


def supported(algorithm: str, model: str) -> bool:
    """Whatever cannot be built has to say so, and not otherwise."""
    case = contract(algorithm, model)
    try:
        case.algorithm.build(case.model, Problem("classification", case.shape, 3, 30))
    except UnsupportedError:
        return False
    return True


PAIRS = [(a, m) for a in ALGORITHMS for m in MODELS if sensible(a, m)]


def test_every_algorithm_supports_every_model_but_these() -> None:
    assert [pair for pair in PAIRS if not supported(*pair)] == UNSUPPORTED


CASES = [contract(*pair) for pair in PAIRS if pair not in UNSUPPORTED]
CASES += [
    contract(algorithm, "mlp", regression=True)
    for algorithm in ALGORITHMS
    if "regression" in REGISTRY.entry("algorithm", algorithm).cls.kinds
]
globals().update({case.__name__: case for case in CASES})
