"""Dropout acts where it is asked for, or the request is refused; nowhere in silence."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from metapipe.errors import SettingError, UnsupportedError
from metapipe.experiment.project import Project, find_project
from metapipe.experiment.registry import load
from metapipe.experiment.resolve import resolve
from metapipe.runs.pipeline import train
from metapipe.store import TaskStore, default_url
from metapipe.testing import AlgorithmContract
from metapipe.testing.toys import DroppingModel, TinyModel
from metapipe.training.learner import drops
from metapipe_plugins.algorithms.maml import MAML
from metapipe_plugins.algorithms.protonet import ProtoNet
from metapipe_plugins.models.ngrams import NGrams
from metapipe_plugins.models.resnet12 import ResNet12

ASKED = ("model.dropout", 0.6)


def resolved(algorithm, *given, folder, base=None, **names):
    chosen = [(f"run.{kind}", name) for kind, name in names.items()]
    pairs = [("run.algorithm", algorithm), *chosen, *given]
    return resolve(find_project(start=folder), load(), pairs, base)


def test_a_recommendation_counts_where_it_means_something(tmp_path):
    acts = resolved("protonet", folder=tmp_path, dataset="text")
    assert acts.experiment.model.dropout == 0.6
    assert acts.origins["model.dropout"] == "recommended by text"
    off = resolved("maml", folder=tmp_path, dataset="text")
    assert off.experiment.model.dropout == 0
    assert off.origins["model.dropout"] == "off: maml never trains in training mode"


def test_so_do_the_models_own_shares(tmp_path):
    acts = resolved("r2d2", folder=tmp_path, model="r2d2net")
    assert acts.experiment.model.dropout == 0.1
    off = resolved("anil", folder=tmp_path, model="resnet12").experiment.model
    assert (off.dropout, off.dropblock) == (0, 0)
    acts = resolved("metaoptnet", folder=tmp_path, model="resnet12").experiment.model
    assert (acts.dropout, acts.dropblock) == (0.1, 0.1)


@pytest.mark.parametrize("where", ["command line", "METAPIPE_MODEL__DROPOUT", "toml"])
def test_what_a_user_asks_for_is_refused(where, tmp_path, monkeypatch):
    given = []
    if where == "toml":
        (tmp_path / "metapipe.toml").write_text("[model.r2d2net]\ndropout = 0.6\n")
    elif where == "command line":
        given = [ASKED]
    else:
        monkeypatch.setenv(where, "0.6")
    with pytest.raises(SettingError) as caught:
        resolved("maml", *given, folder=tmp_path, model="r2d2net")
    assert str(caught.value).startswith("maml never runs the network in training mode")
    assert "model.dropout=0.6 (" in str(caught.value)
    assert where in str(caught.value)
    assert "use -s model.dropout=0, or" in str(caught.value)
    assert "\n" not in str(caught.value)
    off = resolved("maml", ("model.dropout", 0), folder=tmp_path, model="r2d2net")
    assert off.experiment.model.dropout == 0
    acts = resolved("protonet", *given, folder=tmp_path, model="r2d2net")
    assert acts.experiment.model.dropout == 0.6


def test_what_is_no_share_is_told_as_such(tmp_path):
    with pytest.raises(SettingError, match=r"model.dropout = 'much' .*valid number"):
        resolved("maml", ("model.dropout", "much"), folder=tmp_path, model="r2d2net")


def test_a_repeated_run_may_change_its_algorithm(tmp_path):
    first = resolved("protonet", ASKED, folder=tmp_path, dataset="text")
    base = first.experiment.to_dict()
    again = resolved("maml", folder=tmp_path, base=base).experiment
    assert (again.run.dataset, again.model.dropout) == ("text", 0)
    with pytest.raises(SettingError, match="silently off"):
        resolved("maml", ASKED, folder=tmp_path, base=base)


def test_experiments_made_otherwise_are_refused_before_they_are_entered(tmp_path):
    data = tmp_path / "t.csv"
    rows = [f"word{c} {n},{c}" for c in range(9) for n in range(4)]
    data.write_text("\n".join(["text,label", *rows]))
    given = [("dataset.root", str(data)), ("task.ways", 2), ("task.queries", 2)]
    given += [("training.validate_every", 0), ("evaluation.ways", 2)]
    experiment = resolved("maml", *given, folder=tmp_path, dataset="text").experiment
    asking = replace(experiment, model=NGrams(dropout=0.6, buckets=16, width=4))
    with TaskStore.open(default_url(tmp_path)) as store:
        with pytest.raises(UnsupportedError, match=r"model\.dropout=0\.6 would be"):
            train(asking, load(), store, tmp_path)
        assert store.runs() == []


def test_layers_that_no_setting_turns_off_are_told_of(tmp_path, caplog):
    plugin = tmp_path / "noisy.py"
    plugin.write_text(
        "from torch import nn\n"
        "from metapipe import hookimpl\n"
        "from metapipe.testing import TinyModel\n"
        "class Noisy(TinyModel):\n"
        "    def build(self, shape, outputs, statistics):\n"
        "        network = super().build(shape, outputs, statistics)\n"
        "        return nn.Sequential(nn.Dropout(0.5), *network)\n"
        "@hookimpl\n"
        "def register_models(register): register('noisy', Noisy)\n"
    )
    registry = load((plugin,))
    small = {"training.iterations": 1, "training.validate_every": 0, "task.queries": 2}
    given = {"run.dataset": "digits", "run.model": "noisy", "task.ways": 3, **small}
    for algorithm, told in (("protonet", False), ("maml", True)):
        caplog.clear()
        pairs = [("run.algorithm", algorithm), ("evaluation.episodes", 2)]
        asked = resolve(Project(tmp_path), registry, [*given.items(), *pairs])
        with TaskStore.open(default_url(tmp_path)) as store:
            train(asked.experiment, registry, store, tmp_path)
        warned = "the layers of noisy that act at random" in caplog.text
        assert warned == told, algorithm


@pytest.mark.parametrize(
    ("network", "random"),
    [
        (nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.1)), True),
        (nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.0)), False),
        (nn.Sequential(nn.Conv2d(2, 2, 3), nn.Dropout2d(0.1)), True),
        (nn.AlphaDropout(0.2), True),
        (nn.MultiheadAttention(4, 2, dropout=0.1), True),
        (nn.MultiheadAttention(4, 2), False),
        (nn.GRU(2, 2, num_layers=2, dropout=0.1), True),
        (nn.TransformerEncoderLayer(4, 2, 4, dropout=0.1), True),
        (nn.TransformerEncoderLayer(4, 2, 4, dropout=0.0), False),
        (nn.BatchNorm1d(2), False),
    ],
)
def test_networks_tell_whether_they_act_at_random(network, random):
    assert drops(network) == random


def test_our_own_layers_tell_too():
    shape, running = (3, 16, 16), ("running",)
    for shares, random in (((0.1, 0), True), ((0, 0.1), True), ((0, 0), False)):
        dropout, dropblock = shares
        model = ResNet12(widths=(4, 4, 4), dropout=dropout, dropblock=dropblock)
        assert drops(model.build(shape, None, *running)) == random
    assert not drops(ResNet12(widths=(4, 4, 4)).build(shape, None, "batch"))
    assert drops(NGrams(dropout=0.1).build((3, 4), None, "batch"))
    assert not drops(NGrams().build((3, 4), None, "batch"))


class Hushed(ProtoNet):
    stochastic = False


class Boasting(MAML):
    stochastic = True


@pytest.mark.parametrize("algorithm", [Hushed(), Boasting()])
def test_the_contract_finds_a_wrong_declaration(algorithm):
    case = type("Case", (AlgorithmContract,), {"algorithm": algorithm})()
    with pytest.raises(AssertionError, match="stochastic = "):
        case.test_dropout_acts_as_declared()


def test_the_toy_with_dropout_is_the_toy_otherwise():
    networks = []
    for model in (TinyModel(), DroppingModel()):
        torch.manual_seed(0)
        networks.append(model.build((6,), 3, "batch").eval())
    inputs = torch.randn(4, 6)
    assert torch.equal(networks[0](inputs), networks[1](inputs))
    assert drops(networks[1])
    assert not drops(networks[0])
