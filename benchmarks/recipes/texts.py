"""Banking77."""

from __future__ import annotations

from .reproduction import Reproduction, Test

BANKING = (
    *("--dataset", "banking77", "-s", "dataset.root={data}/banking77"),
    *("-s", "evaluation.queries=15", "-s", "evaluation.episodes=1000"),
    *("-s", "evaluation.ways=5", "-s", "evaluation.shots=1"),
)
TFIDF = (
    "--plugin sklearn -s algorithm.features=inputs -s dataset.inputs=tfidf --model mlp "
    "--iterations 1 --tasks 1 --ways 5 --shots 1 --queries 5 --validate-every 0"
)


def _banking(name: str, method: str, options: str) -> Reproduction:
    """Both shots of one run; the classes of the test are 25 intents never seen."""
    tests = (Test(), Test(("--shots", "5")))
    train = (*options.split(), *BANKING)
    return Reproduction(name, "Banking77, 25 unseen intents", method, train, tests)


TEXTS = [
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
]
