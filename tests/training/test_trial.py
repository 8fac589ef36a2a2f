"""What is wrong with somebody's model is said in a line, before a run begins."""

import math
import warnings

import pytest
import torch
from gpus import OF_SAMPLES, Training
from torch import nn

from metapipe import Model, UnsupportedError
from metapipe.errors import PluginError
from metapipe.experiment.experiment import Experiment
from metapipe.experiment.registry import load
from metapipe.numerics.task_map import LocalTaskMap
from metapipe.runs.preparation import check_trainable, prepare
from metapipe.runs.recipes import meta_batch
from metapipe.training.trial import able, few, judges, maps_tasks

AT_ONCE = {
    *("baseline", "baseline++", "matchingnet", "metaoptnet", "protonet", "r2d2"),
    *("relationnet", "sklearn", "snail"),
}
"""Methods that embed a whole meta-batch in one call, and map no tasks."""


class Then(nn.Module):
    """A function as a layer."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, inputs):
        return self.function(inputs)


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))

    def forward(self, inputs):
        self.calls += 1
        return inputs


class Attention(nn.Module):
    """Torch's own layer, as anybody would use it."""

    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0)

    def forward(self, inputs):
        return self.layer(inputs.flatten(1).reshape(len(inputs), -1, 8)).mean(1)


def twice_in_place(x):
    return nn.functional.relu(x, inplace=True).mul_(2)


HIDDEN = {
    "in place": Then(twice_in_place),
    "dropout always": Then(lambda x: nn.functional.dropout(x, 0.5)),
    "noise": Then(lambda x: x + torch.randn_like(x)),
    "looks at values": Then(lambda x: x * (2.0 if x.sum().item() > 0 else 1.0)),
    "nan": Then(lambda x: x * math.nan),
    "raises": Then(lambda x: [][1]),
    "two\nlines": Then(lambda x: x.view(-1, 7)),
}
OUTPUTS = {
    "tuple": lambda x: (x, x),
    "dict": lambda x: {"out": x},
    "narrow": lambda x: x[:, :2],
    "wide": lambda x: torch.cat([x, x], 1),
    "vector": lambda x: x.sum(1),
    "map": lambda x: x[:, None],
    "half": lambda x: x.half(),
    "labels": lambda x: x.argmax(-1),
    "detached": lambda x: x.detach(),
}


class Odd(Model):
    """A small network with something about it."""

    what: str = ""

    def build(self, shape, outputs, statistics):
        if self.what == "fails":
            raise KeyError("oops")
        if self.what == "function":
            return lambda inputs: inputs
        body = [nn.Flatten(), nn.Linear(math.prod(shape), 8), nn.Tanh()]
        if self.what == "relu in place":
            body[-1] = nn.ReLU(inplace=True)
        if self.what == "tied":
            body += [nn.Linear(8, 8), nn.Linear(8, 8)]
            body[-1].weight = body[-2].weight
        if self.what == "attention":
            body = [Attention()]
        if self.what == "no parameters":
            return nn.Flatten()
        if self.what == "counts":
            body.append(Counting())
        body += [HIDDEN[self.what]] if self.what in HIDDEN else []
        network = nn.Sequential(*body)
        if outputs is not None:
            network.add_module("head", nn.Linear(8, outputs))
        if self.what in OUTPUTS:
            network.add_module("last", Then(OUTPUTS[self.what]))
        if self.what == "integers":
            network.register_buffer("table", torch.zeros(3, dtype=torch.long))
            fixed = nn.Parameter(torch.zeros(3, dtype=torch.long), requires_grad=False)
            network.register_parameter("fixed", fixed)
        if self.what == "frozen":
            network.requires_grad_(False)
        if self.what == "double":
            network.double()
        if self.what == "complex":
            network.register_parameter("odd", nn.Parameter(torch.zeros(2).cfloat()))
        return network


REGISTRY = load()


def prepared(what: str, algorithm: str = "maml", mapping: str = "auto"):
    tables = {
        "run": {"algorithm": algorithm, "model": "mlp", "dataset": "digits"},
        "task": {"ways": 3, "queries": 2},
        "training": {"tasks": 3, "mapping": mapping, "chunk": 2, "validate_every": 0},
        "evaluation": {"episodes": 2},
    }
    experiment = Experiment.from_dict(tables, REGISTRY)
    object.__setattr__(experiment, "model", Odd(what=what))
    ready = prepare(experiment)
    check_trainable(ready)
    return ready


REFUSED = {
    "fails": "Odd cannot be built by MAML for inputs of shape (1, 8, 8): KeyError",
    "function": "Odd.build returns a function: return a torch.nn.Module",
    "no parameters": "has nothing to train on the model mlp: choose a model that has",
    "frozen": "(frozen: 1.weight, 1.bias, head.weight, ...): choose a model that has",
    "double": "its parameter 1.weight is float64: make it float32",
    "complex": "its parameter odd is complex64: make it float32",
    "in place": "leave out what changes a tensor in place",
    "dropout always": "functional.dropout(x, p, self.training)",
    "noise": "it gives other outputs for the same inputs in evaluation mode",
    "nan": "its outputs are not finite before anything is learned",
    "raises": "IndexError: list index out of range",
    "two\nlines": "RuntimeError: shape '[-1, 7]' is invalid",
    "tuple": "its forward returns a tuple: return one tensor",
    "dict": "its forward returns a dict: return one tensor",
    "narrow": "its outputs for 6 inputs are (6, 2): (6, 3) is wanted",
    "wide": "its outputs for 6 inputs are (6, 6): (6, 3) is wanted",
    "vector": "its outputs for 6 inputs are (6,): (6, 3) is wanted",
    "map": "its outputs for 6 inputs are (6, 1, 3): (6, 3) is wanted",
    "half": "its outputs are torch.float16: return float32",
    "labels": "its outputs for 6 inputs are (6,): (6, 3) is wanted",
    "detached": "let the outputs depend on the parameters, without detach",
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_model_that_cannot_be_trained_is_refused_in_a_line(what: str) -> None:
    with pytest.raises((PluginError, UnsupportedError)) as caught:
        prepared(what)
    line = str(caught.value)
    assert REFUSED[what] in line
    assert "\n" not in line
    assert len(line) < 500


@pytest.mark.parametrize("algorithm", ["maml", "protonet"])
@pytest.mark.parametrize("what", ["", "relu in place", "tied", "integers", "attention"])
def test_sound_models_are_taken_by_every_mapping(what: str, algorithm: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of a missing batching rule, too
        for mapping in ("loop", "threads"):
            prepared(what, algorithm, mapping)
        for mapping in ("vmap", "chunks"):
            if what != "attention":
                prepared(what, algorithm, mapping)
                continue
            with pytest.raises(UnsupportedError, match="weight of torch's LayerNorm"):
                prepared(what, algorithm, mapping)


@pytest.mark.parametrize("algorithm", ["maml", "protonet"])
def test_what_vmap_cannot_do_is_left_to_the_loop(algorithm: str) -> None:
    """protonet embeds a meta-batch at once: only its evaluation is mapped."""
    ready = prepared("looks at values", algorithm)
    for mapping in ("vmap", "chunks"):
        with pytest.raises(UnsupportedError, match="use auto, loop or threads"):
            prepared("looks at values", algorithm, mapping)
    prepared("looks at values", algorithm, "threads")
    tasks = meta_batch(ready.experiment, 0)[0]
    drawn = ready.sources["train"].draw(tasks)
    episodes = few(drawn.to(ready.learner.device))
    assert len(episodes.tasks) == 2
    assert able(ready.learner, ready.meta, episodes, LocalTaskMap("loop"))
    assert not able(ready.learner, ready.meta, episodes, LocalTaskMap("vmap"))


@pytest.mark.parametrize(("algorithm", "maps"), [("maml", True), ("protonet", False)])
def test_it_is_known_who_maps_tasks_in_training(algorithm: str, maps: bool) -> None:
    ready = prepared("", algorithm)
    tasks = meta_batch(ready.experiment, 0)[0]
    episodes = few(ready.sources["train"].draw(tasks))
    assert maps_tasks(ready.learner, ready.meta, episodes) is maps


def test_trying_draws_no_random_number() -> None:
    before = torch.get_rng_state()
    prepared("")
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("what", ["", "looks at values", "attention"])
def test_what_vmap_cannot_do_is_judged_by_a_loop(what: str) -> None:
    ready = prepared(what)
    tasks = meta_batch(ready.experiment, 0)[0]
    episodes = few(ready.sources["train"].draw(tasks))
    args = ready.learner, ready.meta, episodes
    assert judges(*args, LocalTaskMap("loop"), "together")
    assert judges(*args, LocalTaskMap("vmap"), "together") is (what == "")


@pytest.mark.parametrize("algorithm", OF_SAMPLES)
def test_a_method_is_tried_on_all_that_episodes_say(algorithm) -> None:
    """Baselines train on which class a label is; the default task map is chosen by a
    trial on the first tasks."""
    training = Training(algorithm, "cpu")
    (episodes,) = training.draw(0)
    tried = few(episodes)
    assert tried.tasks == episodes.tasks[:2]
    assert torch.equal(tried.class_indices, episodes.class_indices[:2])
    assert torch.equal(tried.items, episodes.items[:2])
    assert maps_tasks(training.learner, training.state.meta, tried) == (
        algorithm not in AT_ONCE
    )
