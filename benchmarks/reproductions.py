"""What `reproduce.py` trains, how it is tested, and what was published."""

from __future__ import annotations

from dataclasses import dataclass, replace

OMNIGLOT = (
    *("--dataset", "omniglot", "--model", "conv4"),
    *("-s", "dataset.root={data}/omniglot.zip"),
    *("-s", "evaluation.queries=15", "-s", "evaluation.episodes=1000"),
)
UPRIGHT = ("-s", "dataset.test_rotations=none")
"""Test characters as drawn, as in the papers of Reptile and MetaNet."""

SINUSOID = (
    *("--dataset", "sinusoid", "--validate-every", "2500", "--log-every", "50"),
    *("--checkpoint-every", "2500", "--iterations", "20000"),
)
COSINE = ("--schedule", "cosine")
SHARED_HEAD = ("-s", "evaluation.ways=5", "--lr", "0.003", *COSINE)


CIFAR = (
    *("--dataset", "cifar-fs", "--model", "conv4", "-s", "dataset.root={data}"),
    *("-s", "evaluation.queries=15", "-s", "evaluation.episodes=1000"),
    *("-s", "evaluation.ways=5", "--validate-every", "500"),
    *("--validation-episodes", "100", *COSINE),
)
WHOLE = (
    *("--dataset", "cifar-fs", "-s", "dataset.root={data}/cifar100"),
    *("-s", "dataset.lists={data}/splits/cifar_fs"),
    *("-s", "dataset.augment=crop-flip-jitter"),
    *("-s", "evaluation.queries=15", "-s", "evaluation.episodes=1000"),
    *("-s", "evaluation.ways=5", "--validate-every", "500"),
    *("--validation-episodes", "100", *COSINE),
)
BANKING = (
    *("--dataset", "banking77", "-s", "dataset.root={data}/banking77"),
    *("-s", "evaluation.queries=15", "-s", "evaluation.episodes=1000"),
    *("-s", "evaluation.ways=5", "-s", "evaluation.shots=1"),
)
TFIDF = (
    "--plugin sklearn -s algorithm.features=inputs -s dataset.inputs=tfidf --model mlp "
    "--iterations 1 --tasks 1 --ways 5 --shots 1 --queries 5 --validate-every 0"
)


FIVE_STEPS = (
    "--model conv4 -s model.width=32 -s model.pooling=max -s model.features=flatten "
    "-s algorithm.inner_steps=5 -s algorithm.test_steps=10 --mapping vmap "
    "-s algorithm.inner_lr=0.01"
)


@dataclass(frozen=True)
class Test:
    """One evaluation of a run, and its published counterpart."""

    options: tuple[str, ...] = ()
    """None for the evaluation that ends the training."""

    published: float | None = None
    """Per cent, or mean squared error, or a return."""

    within: float | None = None
    """How near to that we expect to be: so far below it, where it is an accuracy or a
    return."""

    checked: bool = True
    """Whether the published figure was read in a paper, not only remembered."""


@dataclass(frozen=True)
class Reproduction:
    """One run and its tests."""

    name: str
    group: str
    method: str
    train: tuple[str, ...]
    tests: tuple[Test, ...] = (Test(),)
    begins: str = ""
    """The one whose run it starts from."""


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


def _cifar(
    name: str, method: str, options: str, shape: str, tests: tuple[Test, ...]
) -> Reproduction:
    """200 images a class instead of 600."""
    train = (*options.split(), *CIFAR, *shape.split())
    group = "CIFAR-FS, 200 images a class instead of 600 (conv4, 64 channels)"
    return Reproduction(name, group, method, train, tests)


def _whole(
    name: str, method: str, options: str, shape: str, tests: tuple[Test, ...]
) -> Reproduction:
    """All images; one training serves both shots."""
    train = (*options.split(), *WHOLE, *shape.split())
    group = "CIFAR-FS, all 600 images a class"
    return Reproduction(name, group, method, train, tests)


def _banking(name: str, method: str, options: str) -> Reproduction:
    """Both shots of one run; the classes of the test are 25 intents never seen."""
    tests = (Test(), Test(("--shots", "5")))
    train = (*options.split(), *BANKING)
    return Reproduction(name, "Banking77, 25 unseen intents", method, train, tests)


def _navigation(seed: int) -> Reproduction:
    """The authors' recipe, whose result files have the figures after each step: of the
    policy after the last iteration, chosen by no validation. The last test has a step
    size that was chosen on validation goals."""
    train = (
        f"--plugin maml-trpo --dataset navigation2d --seed {seed} --mapping vmap "
        "--checkpoint-every 10 --validate-every 0 -s algorithm.further_lr=0.25"
    )
    three = ("-s", "algorithm.test_steps=3")
    tests = (
        Test(published=-11.7, within=2.2),
        Test(("-s", "algorithm.test_steps=2")),
        Test(three, -3.2, 0.6),
        Test((*three, "-s", "algorithm.further_lr=0.15"), -3.2, 0.6),
    )
    return Reproduction(
        f"navigation2d-maml-trpo-{seed}",
        "2D navigation, return after 1, 2 and 3 steps",
        f"MAML-TRPO, seed {seed}",
        tuple(train.split()),
        tests,
    )


LAST = "--checkpoint-every 100 --validate-every 0"


def _bandit(
    name: str,
    method: str,
    pulls: int,
    options: str,
    test: Test,
    begins: str = "",
) -> Reproduction:
    """Five arms, judged in 20,000 trials of the test split."""
    group = f"Bernoulli bandit, 5 arms, sum of the rewards of {pulls} pulls"
    train = tuple(options.split())
    return Reproduction(name, group, method, train, (test,), begins)


def _short_rl2(seed: int) -> Reproduction:
    return _bandit(
        f"bandit-rl2-10-{seed}",
        f"RL^2, seed {seed}",
        10,
        f"--plugin rl2 --dataset bandit --seed {seed} -s algorithm.width=48 {LAST}",
        Test(published=6.7, within=0.1),
    )


def _short_snail(seed: int) -> Reproduction:
    return _bandit(
        f"bandit-snail-10-{seed}",
        f"SNAIL, seed {seed}",
        10,
        f"--plugin snail-rl --dataset bandit --seed {seed} --tasks 256 "
        "--iterations 800 --checkpoint-every 100 --validate-every 200 "
        "--validation-episodes 2000",
        Test(published=6.6, within=0.1),
    )


def _long_rl2(seed: int) -> Reproduction:
    return _bandit(
        f"bandit-rl2-100-{seed}",
        f"RL^2, seed {seed}",
        100,
        f"--plugin rl2 --dataset bandit -s dataset.pulls=100 --seed {seed} "
        "-s algorithm.width=96 -s algorithm.hidden=96 -s algorithm.remembers=100 "
        "-s algorithm.decay=0.95 -s algorithm.entropy_weight=0.2 "
        "-s algorithm.entropy_halving=250 --tasks 256 --iterations 1600 --lr 0.003 "
        f"{LAST}",
        Test(published=78.7, within=1.2),
    )


def _long_snail(seed: int) -> Reproduction:
    """On a GPU, where a step of 2,048 trials takes as long as one of 256."""
    return _bandit(
        f"bandit-snail-100-{seed}",
        f"SNAIL, seed {seed}",
        100,
        f"--plugin snail-rl --dataset bandit -s dataset.pulls=100 --seed {seed} "
        "-s algorithm.decay=0.95 -s algorithm.entropy_weight=0.2 "
        "-s algorithm.entropy_halving=35 -s training.passes=8 --tasks 2048 "
        "--iterations 220 --lr 0.003 --checkpoint-every 20 --validate-every 0",
        Test(published=79.1, within=1.6),
    )


def _tabular(name: str, method: str, options: str, begins: str = "") -> Reproduction:
    """By the recommended settings, but for `options`."""
    train = f"--plugin rl2 --dataset tabular-mdp {options} -s evaluation.episodes=4000"
    return Reproduction(
        name,
        "Tabular MDP, sum of the rewards of 10 episodes of 10 steps",
        method,
        tuple(train.split()),
        (Test(published=156.2, within=6.2),),
        begins,
    )


def _head(
    name: str, method: str, options: str, shape: str, tests: tuple[Test, ...]
) -> Reproduction:
    """A method that trains features and fits any number of ways."""
    train = (*options.split(), *OMNIGLOT, *shape.split(), *SHARED_HEAD)
    return Reproduction(name, "Omniglot", method, train, tests)


def _sinusoid(
    name: str, method: str, options: str, tests: tuple[Test, ...] = (Test(),)
) -> Reproduction:
    return Reproduction(
        name, "Sinusoid, 10 points", method, (*options.split(), *SINUSOID), tests
    )


ADAM = "--lr 0.002 --schedule cosine --mapping vmap"
RIDGE = "--plugin metaoptnet -s algorithm.head=ridge"
ONE_SHOT = (
    "--ways 20 --shots 1 --queries 9 --tasks 2 --iterations 1000 "
    "--validate-every 250 --validation-episodes 40"
)
FIVE_SHOT = (
    "--ways 20 --shots 5 --queries 5 --tasks 2 --iterations 500 "
    "--validate-every 250 --validation-episodes 40"
)

ONCE = [
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
        "omniglot-meta-sgd-1s", "Meta-SGD", ("--plugin", "meta-sgd"), 99.53, 4000
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
        "--plugin metaoptnet -s algorithm.scale=10",
        "--ways 20 --shots 1 --queries 9 --tasks 2 --iterations 600 "
        "--validate-every 300 --validation-episodes 40",
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
            *("--lr", "0.001", *COSINE, "--validate-every", "500"),
            *("--validation-episodes", "60"),
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
        "--plugin metaoptnet -s algorithm.scale=10",
        "--ways 20 --shots 5 --queries 5 --tasks 2 --iterations 300 "
        "--validate-every 150 --validation-episodes 40",
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
            *("--queries", "1", "--tasks", "16", "--iterations", "2000"),
            *("--lr", "0.001", *COSINE, "--validate-every", "500"),
            *("--validation-episodes", "40"),
        ),
        (Test(published=97.64),),
    ),
    _cifar(
        "cifar-protonet-1s",
        "ProtoNet",
        "--plugin protonet",
        "--ways 20 --shots 1 --queries 9 --tasks 2 --iterations 1200 --lr 0.003",
        (Test(published=55.5),),
    ),
    _cifar(
        "cifar-protonet-5s",
        "ProtoNet",
        "--plugin protonet",
        "--ways 20 --shots 5 --queries 5 --tasks 2 --iterations 1200 --lr 0.003",
        (Test(published=72.0),),
    ),
    _cifar(
        "cifar-r2d2",
        "R2-D2, trained with 5 shots",
        "--plugin r2d2 -s evaluation.shots=5",
        "--ways 20 --shots 5 --queries 5 --tasks 2 --iterations 1500 --lr 0.003",
        (Test(), Test(("--shots", "1"))),
    ),
    _cifar(
        "cifar-metaoptnet-ridge",
        "MetaOptNet, ridge, trained with 5 shots",
        "--plugin metaoptnet -s algorithm.head=ridge -s evaluation.shots=5",
        "--ways 20 --shots 5 --queries 5 --tasks 2 --iterations 1200 --lr 0.003",
        (Test(), Test(("--shots", "1"))),
    ),
    _cifar(
        "cifar-metaoptnet-svm",
        "MetaOptNet, SVM, trained with 5 shots",
        "--plugin metaoptnet -s evaluation.shots=5",
        "--ways 20 --shots 5 --queries 5 --tasks 2 --iterations 1200 --lr 0.003",
        (Test(), Test(("--shots", "1"))),
    ),
    *(
        _cifar(
            f"cifar-maml-{shots}s",
            "MAML",
            "--plugin maml -s model.pooling=max -s model.features=flatten "
            "-s algorithm.inner_lr=0.1",
            f"--ways 5 --shots {shots} --queries 5 --tasks 4 "
            f"--iterations {iterations} --lr 0.003",
            (Test(published=published),),
        )
        for shots, iterations, published in ((1, 3000, 58.9), (5, 1500, 71.5))
    ),
    *(
        _whole(
            f"cifar-fs-{name}",
            method,
            f"{options} -s evaluation.shots=5",
            f"--ways 20 --shots 5 --queries 10 --tasks 1 --iterations {iterations} "
            "--lr 0.002 --mapping loop",
            (Test(published=five), Test(("--shots", "1"), one)),
        )
        for name, method, options, iterations, one, five in (
            (
                "protonet",
                "ProtoNet",
                "--plugin protonet --model conv4",
                8000,
                55.5,
                72.0,
            ),
            (
                "r2d2",
                "R2-D2, its latest checkpoint",
                "--plugin r2d2 --model r2d2net -s evaluation.checkpoint=latest",
                4000,
                65.3,
                79.4,
            ),
            (
                "metaoptnet-ridge",
                "MetaOptNet, ridge, conv4",
                "--plugin metaoptnet --model conv4 -s algorithm.head=ridge",
                4000,
                None,
                None,
            ),
            (
                "metaoptnet-svm",
                "MetaOptNet, SVM, conv4",
                "--plugin metaoptnet --model conv4",
                4000,
                None,
                None,
            ),
        )
    ),
    *(
        _whole(
            f"cifar-fs-{plugin}-{shots}s",
            f"{plugin.upper()}, 32 channels",
            f"--plugin {plugin} {FIVE_STEPS} --execution auto",
            f"--ways 5 --shots {shots} --queries 15 --tasks {tasks} "
            "--iterations 4000 --lr 0.002 -s dataset.augment=crop-flip",
            (Test(published=published),),
        )
        for plugin, shots, tasks, published in (
            ("maml", 1, 16, 58.9),
            ("maml", 5, 4, 71.5),
            ("anil", 1, 16, None),
            ("anil", 5, 16, None),
        )
    ),
    _whole(
        "cifar-fs-baseline++",
        "Baseline++, conv4",
        "--plugin baseline++ --model conv4 -s evaluation.shots=5",
        "--ways 64 --shots 1 --queries 1 --tasks 2 --iterations 8000 --lr 0.001",
        (Test(), Test(("--shots", "1"))),
    ),
    _banking(
        "banking-tfidf-logistic",
        "TF-IDF, logistic regression",
        f"{TFIDF} -s algorithm.options={{{{C=100.0}}}}",
    ),
    _banking(
        "banking-tfidf-centroid",
        "TF-IDF, nearest centroid",
        f"{TFIDF} -s algorithm.classifier=NearestCentroid",
    ),
    _banking(
        "banking-protonet",
        "ProtoNet on hashed n-grams",
        "--plugin protonet --ways 20 --shots 2 --queries 5 --tasks 2 --lr 0.002 "
        "--schedule cosine --iterations 500 --validate-every 100 "
        "--validation-episodes 100",
    ),
    *map(_navigation, range(3)),
    *map(_short_rl2, range(3)),
    *map(_short_snail, range(3)),
    *map(_long_rl2, range(3)),
    *map(_long_snail, range(3)),
    _tabular(
        "tabular-mdp-rl2",
        "RL^2",
        "--iterations 6000 --validate-every 500 --validation-episodes 500",
    ),
    _tabular(
        "tabular-mdp-rl2-on",
        "RL^2, gone on with by longer steps",
        "--start-from tabular-mdp-rl2 --start-checkpoint latest --iterations 2000 "
        "--lr 0.004 -s algorithm.entropy_weight=0.03 -s algorithm.entropy_halving=400 "
        "--validate-every 0",
        "tabular-mdp-rl2",
    ),
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


REPRODUCTIONS = [
    each for made in ONCE for each in (*with_seeds(made), *with_split(made))
]
