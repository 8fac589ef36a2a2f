"""One contract over every registered algorithm and every model it supports."""

from metapipe import Problem, UnsupportedError
from metapipe.registry import load
from metapipe.testing import AlgorithmContract

IMAGE, TEXT = (1, 8, 8), (3, 4)
MODELS = {
    "conv4": {"width": 4, "blocks": 2, "features": "flatten"},
    "mlp": {"layers": (8,)},
    "ngrams": {"buckets": 16, "width": 4},
    "r2d2net": {"widths": (4, 4)},
    "resnet12": {"widths": (4, 4), "block_size": 2},
}
"""Cheap settings of each model; a model that is not here has to be added."""

SPECIAL = {("metanet", "conv4"): {"normalise": False}}
"""What a method needs a model to be."""

INEXACT = {
    "imaml": "it is that of the inner problem's end, not of a number of steps",
    "maml++": "the losses after all steps count, the last is reported",
    "metanet": "support gradients are constants",
    "relationnet": "the squared error is descended, cross-entropy is reported",
    "sklearn": "a classifier of all classes is descended, that of the task reported",
    "reptile": "what it follows is the gradient of no loss",
}

UNSUPPORTED = [("metanet", "ngrams"), ("metanet", "r2d2net"), ("metanet", "resnet12")]
"""MetaNet augments layers that follow one another; residual blocks and embeddings are
more."""

REGISTRY = load()
ALGORITHMS = REGISTRY.names("algorithm")


def shape_of(model: str) -> tuple[int, ...]:
    """Of an input that the model takes."""
    return TEXT if model == "ngrams" else IMAGE


def test_every_model_has_cheap_settings() -> None:
    assert set(MODELS) == set(REGISTRY.names("model"))


def test_every_algorithm_says_what_it_implements() -> None:
    for entry in REGISTRY.entries("algorithm"):
        assert entry.cls.paper, entry.name
        assert entry.cls.equations, entry.name


def contract(algorithm: str, model: str) -> type[AlgorithmContract]:
    settings = {**MODELS[model], **SPECIAL.get((algorithm, model), {})}
    members = {
        "algorithm": REGISTRY.create("algorithm", algorithm, {}),
        "model": REGISTRY.create("model", model, settings),
        "shape": shape_of(model),
        "exact_gradient": algorithm not in INEXACT,
        # Each algorithm learns the toy problem in its own file, at its own rate.
        "test_it_learns_a_toy_problem": None,
    }
    return type(f"Test_{algorithm}_{model}", (AlgorithmContract,), members)


def supported(algorithm: str, model: str) -> bool:
    """Whatever cannot be built has to say so, and not otherwise."""
    case = contract(algorithm, model)
    try:
        case.algorithm.build(case.model, Problem("classification", case.shape, 3, 30))
    except UnsupportedError:
        return False
    return True


def test_every_algorithm_supports_every_model_but_these() -> None:
    pairs = [(a, m) for a in ALGORITHMS for m in MODELS]
    assert [pair for pair in pairs if not supported(*pair)] == UNSUPPORTED


for _algorithm in ALGORITHMS:
    for _model in MODELS:
        if supported(_algorithm, _model):
            _case = contract(_algorithm, _model)
            globals()[_case.__name__] = _case
