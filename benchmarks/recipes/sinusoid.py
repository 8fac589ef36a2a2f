"""Regression of sinusoids."""

from __future__ import annotations

from .reproduction import Reproduction, Test

SINUSOID = (
    *("--dataset", "sinusoid", "--validate-every", "2500", "--log-every", "50"),
    *("--checkpoint-every", "2500", "--iterations", "20000"),
)
ADAM = "--lr 0.002 --schedule cosine --mapping vmap"


def _sinusoid(
    name: str, method: str, options: str, tests: tuple[Test, ...] = (Test(),)
) -> Reproduction:
    return Reproduction(
        name, "Sinusoid, 10 points", method, (*options.split(), *SINUSOID), tests
    )


SINUSOIDS = [
    _sinusoid(
        "sinusoid-maml",
        "MAML",
        f"--plugin maml {ADAM}",
        (
            Test(published=0.77, checked=False),
            Test(("-s", "algorithm.test_steps=5")),
            Test(("-s", "algorithm.test_steps=10")),
        ),
    ),
    _sinusoid(
        "sinusoid-fomaml",
        "FOMAML",
        f"--plugin maml -s algorithm.first_order=true {ADAM}",
    ),
    _sinusoid(
        "sinusoid-meta-sgd",
        "Meta-SGD",
        f"--plugin meta-sgd -s algorithm.initial_rate=0.01 {ADAM}",
        (Test(published=0.53, checked=False),),
    ),
    _sinusoid(
        "sinusoid-reptile-adam",
        "Reptile, 20 steps of Adam",
        "--plugin reptile -s evaluation.shots=10 -s evaluation.queries=10 --tasks 5 "
        "--lr 1.0 -s algorithm.inner_lr=0.01 -s algorithm.inner_steps=10 "
        "-s algorithm.test_steps=20 -s algorithm.inner_batch=10 "
        "-s algorithm.test_batch=10 --mapping vmap",
    ),
]
