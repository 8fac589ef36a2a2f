"""Glyphs and Omniglot."""

from __future__ import annotations

from .reproduction import COSINE, Reproduction, Test

OMNIGLOT = (
    *("--dataset", "omniglot", "--model", "conv4"),
    *("-s", "dataset.root={data}/omniglot.zip"),
    *("-s", "evaluation.queries=15", "-s", "evaluation.episodes=1000"),
)
UPRIGHT = ("-s", "dataset.test_rotations=none")
"""Test characters as drawn, as in the papers of Reptile and MetaNet."""
SHARED_HEAD = ("-s", "evaluation.ways=5", "--lr", "0.003", *COSINE)
RIDGE = "--plugin metaoptnet -s algorithm.head=ridge"
ONE_SHOT = (
    "--ways 20 --shots 1 --queries 9 --tasks 2 --iterations 1000 "
    "--validate-every 250 --validation-episodes 40"
)
FIVE_SHOT = (
    "--ways 20 --shots 5 --queries 5 --tasks 2 --iterations 500 "
    "--validate-every 250 --validation-episodes 40"
)


def _maml_omniglot(
    name: str,
    method: str,
    options: tuple[str, ...],
    published: float,
    iterations: int,
) -> Reproduction:
    return Reproduction(
        name,
        "Omniglot",
        method,
        (
            *options,
            *OMNIGLOT,
            *("--ways", "5", "--shots", "1", "--queries", "5", "--tasks", "16"),
            *("--iterations", str(iterations), "--lr", "0.005", *COSINE),
            *("--validate-every", "500", "--validation-episodes", "100"),
        ),
        (
            Test(published=published, within=1.5),
            Test(("--queries", "1"), published, 1.5),
            Test(("--prediction", "alone")),
        ),
    )


def _five_shot(
    name: str, method: str, options: str, test: Test, iterations: int = 1500
) -> Reproduction:
    """A gradient method with five examples a class."""
    shape = "--ways 5 --shots 5 --queries 5 --tasks 16 --lr 0.005 --schedule cosine"
    often = f"--iterations {iterations} --validate-every 500 --validation-episodes 100"
    train = (*options.split(), *OMNIGLOT, *shape.split(), *often.split())
    return Reproduction(name, "Omniglot", method, train, (test,))


def _head(
    name: str, method: str, options: str, shape: str, tests: tuple[Test, ...]
) -> Reproduction:
    """A method that trains features and fits any number of ways."""
    train = (*options.split(), *OMNIGLOT, *shape.split(), *SHARED_HEAD)
    return Reproduction(name, "Omniglot", method, train, tests)


DRAWINGS = [
    *(
        Reproduction(
            f"default-{seed}",
            "Built-in glyphs: the default command",
            f"MAML, seed {seed}",
            ("--plugin", "maml", "--seed", str(seed)),
            (Test(), Test(("--prediction", "alone"))) if seed == 0 else (Test(),),
        )
        for seed in range(3)
    ),
    _maml_omniglot(
        "omniglot-maml-1s",
        "MAML",
        (*("--plugin", "maml", "-s", "algorithm.test_steps=3"),),
        98.7,
        8000,
    ),
    _five_shot(
        "omniglot-maml-5s",
        "MAML",
        "--plugin maml -s algorithm.test_steps=3",
        Test(published=99.9, within=1.5),
    ),
    _five_shot(
        "omniglot-meta-sgd-5s",
        "Meta-SGD",
        "--plugin meta-sgd",
        Test(published=99.93, within=1.5),
    ),
    _five_shot("omniglot-anil-5s", "ANIL", "--plugin anil", Test(), 1000),
    _maml_omniglot(
        "omniglot-meta-sgd-1s", "Meta-SGD", ("--plugin", "meta-sgd"), 99.53, 6000
    ),
    Reproduction(
        "omniglot-reptile",
        "Omniglot",
        "Reptile",
        (
            *("--plugin", "reptile", *OMNIGLOT, "--shots", "10", "--queries", "1"),
            *("--iterations", "24000", "--validate-every", "3000"),
            *("--validation-episodes", "40"),
        ),
        (
            Test(published=97.68, within=1.0),
            Test(("--queries", "1"), 97.68, 1.0),
            Test(("--prediction", "alone", "--queries", "1"), 95.39, 1.0),
            Test(("--shots", "5", "-s", "algorithm.test_batch=15"), 99.48, 1.0),
            Test(("--queries", "1", *UPRIGHT), 97.68, 1.0),
        ),
    ),
    _head(
        "omniglot-metaoptnet-ridge-1s",
        "MetaOptNet, ridge",
        RIDGE,
        ONE_SHOT,
        (Test(), Test(("--ways", "20"))),
    ),
    _head(
        "omniglot-metaoptnet-ridge-5s", "MetaOptNet, ridge", RIDGE, FIVE_SHOT, (Test(),)
    ),
    _head(
        "omniglot-metaoptnet-svm",
        "MetaOptNet, SVM",
        "--plugin metaoptnet",
        ONE_SHOT,
        (Test(),),
    ),
    Reproduction(
        "omniglot-metanet-1s",
        "Omniglot",
        "MetaNet, 32 channels",
        (
            *("--plugin", "metanet", *OMNIGLOT, "-s", "model.width=32", "--ways", "5"),
            *(
                "--shots",
                "1",
                "--queries",
                "3",
                "--tasks",
                "1",
                "--iterations",
                "12000",
            ),
            *("--lr", "0.001", *COSINE, "--validate-every", "2000"),
            *("--validation-episodes", "40", "--mapping", "loop"),
        ),
        (
            Test(published=98.95, within=2.0),
            Test(("--queries", "10", *UPRIGHT), 98.95, 2.0),
            Test(("--shots", "5")),
        ),
    ),
    Reproduction(
        "omniglot-anil-1s",
        "Omniglot",
        "ANIL",
        (
            *("--plugin", "anil", *OMNIGLOT, "--ways", "5", "--shots", "1"),
            *("--queries", "5", "--tasks", "16", "--iterations", "1500"),
            *("--lr", "0.005", *COSINE, "--validate-every", "500"),
            *("--validation-episodes", "100"),
        ),
        (Test(), Test(("--prediction", "alone"))),
    ),
    Reproduction(
        "omniglot-snail-1s",
        "Omniglot",
        "SNAIL",
        (
            *("--plugin", "snail", *OMNIGLOT, "--ways", "5", "--shots", "1"),
            *("--queries", "3", "--tasks", "32", "--iterations", "3000"),
            *("--lr", "0.002", *COSINE, "--validate-every", "500"),
            *("--validation-episodes", "100", "--mapping", "loop"),
            *("--precision", "bfloat16"),
        ),
        (Test(published=99.07, within=2.0),),
    ),
    _head(
        "omniglot-protonet-1s",
        "ProtoNet, trained 60-way",
        "--plugin protonet",
        "--ways 60 --shots 1 --queries 5 --tasks 1 --iterations 1500 "
        "--validate-every 250 --validation-episodes 20",
        (Test(published=98.8, within=1.0), Test(("--ways", "20"), 96.0)),
    ),
    _head(
        "omniglot-protonet-5s",
        "ProtoNet, trained 40-way",
        "--plugin protonet",
        "--ways 40 --shots 5 --queries 5 --tasks 1 --iterations 1000 "
        "--validate-every 250 --validation-episodes 20",
        (Test(published=99.7, within=1.0), Test(("--ways", "20"), 98.9)),
    ),
    _head(
        "omniglot-r2d2-1s",
        "R2-D2, 64 channels",
        "--plugin r2d2",
        ONE_SHOT,
        (
            Test(published=98.55, within=1.0, checked=False),
            Test(("--ways", "20"), 94.7, checked=False),
        ),
    ),
    _head(
        "omniglot-r2d2-5s",
        "R2-D2, 64 channels",
        "--plugin r2d2",
        FIVE_SHOT,
        (Test(published=99.67, within=1.0, checked=False),),
    ),
    _head(
        "omniglot-metaoptnet-svm-5s",
        "MetaOptNet, SVM",
        "--plugin metaoptnet",
        FIVE_SHOT,
        (Test(),),
    ),
    Reproduction(
        "omniglot-snail-5s",
        "Omniglot",
        "SNAIL",
        (
            *("--plugin", "snail", *OMNIGLOT, "--ways", "5", "--shots", "5"),
            *("--queries", "3", "--tasks", "16", "--iterations", "3000"),
            *("--lr", "0.001", *COSINE, "--validate-every", "1000"),
            *("--validation-episodes", "60"),
        ),
        (Test(published=99.78, within=2.0),),
    ),
    Reproduction(
        "omniglot-snail-20w",
        "Omniglot",
        "SNAIL, trained 20-way",
        (
            *("--plugin", "snail", *OMNIGLOT, "--ways", "20", "--shots", "1"),
            *("--queries", "1", "--tasks", "16", "--iterations", "16000"),
            *("--lr", "0.002", *COSINE, "--validate-every", "1000"),
            *("--validation-episodes", "100", "--mapping", "loop"),
            *("--precision", "bfloat16"),
        ),
        (Test(published=97.64),),
    ),
]
