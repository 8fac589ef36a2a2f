"""CIFAR-FS and FC100."""

from __future__ import annotations

from .reproduction import COSINE, Reproduction, Test

JUDGED = (
    *("-s", "evaluation.queries=15", "-s", "evaluation.episodes=1000"),
    *("-s", "evaluation.ways=5", "--validate-every", "500"),
    *("--validation-episodes", "100", *COSINE),
)
WHOLE = (
    *("-s", "dataset.root={data}/cifar100", "-s", "dataset.augment=crop-flip-jitter"),
    *JUDGED,
)
FIVE_STEPS = (
    "-s model.width=32 -s model.features=flatten -s dataset.augment=crop-flip "
    "-s algorithm.inner_steps=5 -s algorithm.test_steps=10 -s algorithm.inner_lr=0.01"
)
ON_A_GPU = "--model conv4 -s model.pooling=max --mapping vmap --execution auto"
BY_KERNELS = "--model conv4-fused --mapping loop --device cpu"
KERNELS = ("{benchmarks}/kernels/conv4_fused.py",)


def _whole(
    dataset: str,
    name: str,
    method: str,
    options: str,
    tests: tuple[Test, ...],
    plugins: tuple[str, ...] = (),
) -> Reproduction:
    """All images."""
    lists = f"dataset.lists={{data}}/splits/{dataset.replace('-', '_')}"
    train = ("--dataset", dataset, "-s", lists, *WHOLE, *options.split())
    group = f"{dataset.upper()}, all 600 images a class"
    return Reproduction(
        f"{dataset}-{name}", group, method, train, tests, plugins=plugins
    )


HEADS = (
    ("protonet", "ProtoNet", "--plugin protonet --model conv4", 8000),
    (
        "r2d2",
        "R2-D2, its latest checkpoint",
        "--plugin r2d2 --model r2d2net -s evaluation.checkpoint=latest",
        4000,
    ),
    (
        "metaoptnet-ridge",
        "MetaOptNet, ridge, conv4",
        "--plugin metaoptnet --model conv4 -s algorithm.head=ridge",
        4000,
    ),
    (
        "metaoptnet-svm",
        "MetaOptNet, SVM, conv4",
        "--plugin metaoptnet --model conv4",
        4000,
    ),
)
"""Name, method, options and iterations of what is trained 20-way with 5 shots."""

PUBLISHED = {"cifar-fs-protonet": (55.5, 72.0), "cifar-fs-r2d2": (65.3, 79.4)}
"""With 1 and 5 shots."""


def _of_heads(dataset: str) -> list[Reproduction]:
    made = []
    for name, method, options, iterations in HEADS:
        one, five = PUBLISHED.get(f"{dataset}-{name}", (None, None))
        shape = (
            f"--ways 20 --shots 5 --queries 10 --tasks 1 --iterations {iterations} "
            "--lr 0.002 --mapping loop -s evaluation.shots=5"
        )
        tests = Test(published=five), Test(("--shots", "1"), one)
        made.append(_whole(dataset, name, method, f"{options} {shape}", tests))
    return made


PHOTOGRAPHS = [
    Reproduction(
        "cifar-maml-5s",
        "CIFAR-FS, 200 images a class instead of 600 (conv4, 64 channels)",
        "MAML",
        (
            *("--plugin", "maml", "-s", "model.pooling=max"),
            *("-s", "model.features=flatten", "-s", "algorithm.inner_lr=0.1"),
            *("--dataset", "cifar-fs", "--model", "conv4"),
            *("-s", "dataset.root={data}", *JUDGED),
            *("--ways", "5", "--shots", "5", "--queries", "5", "--tasks", "4"),
            *("--iterations", "1500", "--lr", "0.003"),
        ),
        (Test(published=71.5),),
    ),
    *_of_heads("cifar-fs"),
    *_of_heads("fc100"),
    *(
        _whole(
            "cifar-fs",
            f"{plugin}-{shots}s",
            f"{plugin.upper()}, 32 channels",
            f"--plugin {plugin} {ON_A_GPU} {FIVE_STEPS} "
            f"--ways 5 --shots {shots} --queries 15 --tasks {tasks} "
            "--iterations 4000 --lr 0.002",
            (Test(published=published),),
        )
        for plugin, shots, tasks, published in (
            ("maml", 1, 16, 58.9),
            ("maml", 5, 4, 71.5),
        )
    ),
    *(
        _whole(
            "cifar-fs",
            f"anil-{shots}s",
            "ANIL, 32 channels",
            f"--plugin anil {BY_KERNELS} {FIVE_STEPS} "
            f"--ways 5 --shots {shots} --queries 15 --tasks 4 "
            f"--iterations {iterations} --lr 0.001 --validate-every 2000",
            (Test(),),
            KERNELS,
        )
        for shots, iterations in ((1, 30000), (5, 24000))
    ),
    _whole(
        "cifar-fs",
        "baseline++",
        "Baseline++, conv4",
        "--plugin baseline++ --model conv4 -s evaluation.shots=5 "
        "--ways 64 --shots 1 --queries 1 --tasks 2 --iterations 8000 --lr 0.001",
        (Test(), Test(("--shots", "1"))),
    ),
]
