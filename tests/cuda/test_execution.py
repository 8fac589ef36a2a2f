"""Meta-gradients that are recorded as CUDA graphs: the losses of eager ones.

`pytest -m cuda` runs these, and they skip where there is no GPU.
"""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from commands import metapipe_json
from gpus import OF_SAMPLES, Training, flat

from metapipe import Meta, Step, UnsupportedError
from metapipe.store import TaskStore, default_url
from metapipe.training.capture import WARM_UPS, GraphRecorder
from metapipe.training.checkpoint import load, save
from metapipe.training.exactness import required_same
from metapipe.training.execution import executing

pytestmark = pytest.mark.cuda
DEVICE = "cuda"
RECORDED = [("maml", "vmap"), ("maml", "loop"), ("protonet", "loop"), ("r2d2", "loop")]
TRAIN = (
    *("train", "--dataset", "digits", "--ways", "3", "--queries", "3", "--tasks", "3"),
    *("--iterations", "6", "--validate-every", "3", "--validation-episodes", "3"),
    *("-s", "model.width=8", "-s", "model.blocks=2", "-s", "evaluation.episodes=8"),
)


def prepared(algorithm, mapping="loop", execution="graph", **more) -> Training:
    training = Training(algorithm, DEVICE, mapping, more)
    training.learner = training.learner.executed_by(execution)
    return training


@pytest.mark.parametrize(("algorithm", "mapping"), RECORDED)
def test_losses_are_those_of_an_eager_training(algorithm, mapping) -> None:
    recorded = prepared(algorithm, mapping)
    eager = prepared(algorithm, mapping, "eager")
    required_same(recorded.learner, recorded.state, recorded.draw)
    assert recorded.losses(4) == pytest.approx(eager.losses(4), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize(("algorithm", "mapping"), RECORDED)
def test_stopped_and_resumed_it_has_the_undisturbed_bits(
    tmp_path: Path, algorithm, mapping
) -> None:
    whole, first = (prepared(algorithm, mapping) for _ in range(2))
    losses = whole.losses(4)
    assert first.losses(2) == losses[:2]
    path = tmp_path / "c.safetensors"
    save(path, first.state, first.learner.network, {})
    second = prepared(algorithm, mapping)
    load(path).restore(second.state)
    assert second.losses(2) == losses[2:]
    for name, tensor in whole.state.meta.params.items():
        assert torch.equal(tensor, second.state.meta.params[name]), name


@pytest.mark.parametrize(("algorithm", "mapping"), RECORDED)
def test_two_shapes_are_recorded_each_for_itself(algorithm, mapping) -> None:
    """Two tasks and one, in turns; nothing of the one is left in the other."""
    shards = {"training": {"tasks": 3, "shards": 2}}
    recorded = prepared(algorithm, mapping, **shards)
    eager = prepared(algorithm, mapping, "eager", **shards)
    assert recorded.losses(4) == pytest.approx(eager.losses(4), rel=1e-5, abs=1e-6)


def test_what_comes_out_is_not_touched_again() -> None:
    training = prepared("maml", "vmap")
    gradient, meta = executing(training.learner), training.state.meta
    (one,), (other,) = training.draw(0), training.draw(1)
    first = gradient(meta, one)
    kept = flat(first.gradients)
    moved = {name: 1.1 * p.detach() for name, p in meta.params.items()}
    second = gradient(Meta(moved, meta.state), other)
    assert torch.equal(flat(first.gradients), kept)
    assert not torch.equal(flat(second.gradients), kept)


def test_dropout_draws_the_numbers_of_an_eager_training() -> None:
    """The generator is seeded before each part, and a replay draws from there."""
    trainings = []
    for execution in ("graph", "eager"):
        training = prepared("protonet", "loop", execution)
        network = torch.nn.Sequential(training.learner.network, torch.nn.Dropout(0.5))
        training.learner = replace(training.learner, network=network)
        training.state.meta = Meta.of(network)
        trainings.append(training)
    found = []
    for training in trainings:
        gradient = executing(training.learner)
        losses = []
        for number in range(3):
            torch.manual_seed(number)
            step = gradient(training.state.meta, training.draw(number)[0])
            losses.append(float(step.metrics["loss"].mean()))
        found.append(losses)
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_random_numbers_are_drawn_after_what_cannot_be_recorded() -> None:
    record = GraphRecorder(DEVICE)
    here = torch.ones(3, device=DEVICE)
    calls = []

    def work() -> Step:
        calls.append(1)
        if len(calls) > WARM_UPS:
            torch.cuda.synchronize()  # refused within a recording
        return Step({}, {"loss": torch.nn.functional.dropout(here)}, {})

    with pytest.raises(Exception, match="captur"):
        record(work)
    assert torch.rand(3, device=DEVICE).isfinite().all()
    assert record(lambda: Step({}, {"loss": here * 2}, {}))().metrics["loss"][0] == 2


@pytest.mark.parametrize("algorithm", OF_SAMPLES)
def test_a_method_is_recorded_or_refused_in_a_line(algorithm) -> None:
    training, said = prepared(algorithm), "use eager"
    try:
        required_same(training.learner, training.state, training.draw)
    except UnsupportedError as error:
        said = str(error)
    assert said.endswith("use eager")
    assert "\n" not in said
    assert len(prepared(algorithm, execution="eager").losses(1)) == 1, "as before"


@pytest.mark.parametrize("asked", ["graph", "auto"])
@pytest.mark.parametrize("plugin", ["maml", "protonet"])
def test_a_run_is_verified_to_the_bit_and_goes_on(tmp_path, plugin, asked) -> None:
    """Beside a thread that sends the next episodes, and evaluated on the way."""
    options = ("--plugin", plugin, "--execution", asked, "--mapping", "loop")
    found = metapipe_json(*TRAIN, *options, cwd=tmp_path)
    assert found["device"] == "cuda"
    with TaskStore.open(default_url(tmp_path)) as store:
        taken = store.run(1).environment["execution"]
    assert taken == "graph" or asked == "auto"
    assert metapipe_json("runs", "verify", "1", cwd=tmp_path)["matches"]
    metapipe_json("resume", "1", "--iterations", "9", cwd=tmp_path)
    assert metapipe_json("runs", "verify", "1", cwd=tmp_path)["matches"]


@pytest.mark.filterwarnings("ignore:.*script_method. is deprecated:DeprecationWarning")
def test_a_network_is_compiled() -> None:
    """Torch's compiler warns of what torch itself uses."""
    pytest.importorskip("triton", reason="pip install triton")
    compiled = prepared("protonet", execution="compile")
    required_same(compiled.learner, compiled.state, compiled.draw)
    eager = prepared("protonet", execution="eager")
    assert compiled.losses(3) == pytest.approx(eager.losses(3), rel=1e-3)
