"""The filter grammar, on SQLite and on a real Postgres."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_rows import EVALUATION, RUN

from metapipe.errors import FilterError
from metapipe.store import TaskStore
from metapipe.store.fields import episode_fields
from metapipe.store.filters import parse


@pytest.fixture(scope="module")
def stores(tmp_path_factory, postgres) -> Iterator[dict[str, TaskStore]]:
    folder = tmp_path_factory.mktemp("filters")
    urls = {"sqlite": f"sqlite:///{folder / 'f.db'}", "postgres": postgres()}
    opened = {name: TaskStore.open(url) for name, url in urls.items()}
    for store in opened.values():
        _fill(store)
    yield opened
    for store in opened.values():
        store.close()


def _fill(store: TaskStore) -> None:
    """Runs 1 to 4: maml 0.95, maml 0.85, reptile without a test, a failed one."""
    config = {
        "training": {"lr": 0.1, "schedule": "linear"},
        "algorithm": {"first_order": True, "steps": "many", "10%": "'"},
    }
    rows = [
        replace(RUN, name="Test one"),
        replace(RUN, name="it's 100%", seed=4),
        replace(RUN, algorithm="reptile", config=config),
        replace(RUN, algorithm="reptile", dataset="omniglot"),
    ]
    ids = [store.begin_run(row) for row in rows]
    for run_id, accuracy in zip(ids, (0.95, 0.85), strict=False):
        store.record_evaluation(run_id, replace(EVALUATION, accuracy=accuracy), [])
    store.finish_run(ids[3], "failed", error="the loss is nan")


@pytest.fixture(params=["sqlite", "postgres"])
def store(request, stores) -> TaskStore:
    return stores[request.param]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("", [1, 2, 3, 4]),
        ("algorithm=maml", [1, 2]),
        ("algorithm == maml and accuracy>0.9", [1]),
        ("algorithm!=maml", [3, 4]),
        ("accuracy<=0.95 and accuracy>=0.85", [1, 2]),
        ("algorithm=maml AND accuracy<0.9 OR status=failed", [2, 4]),
        ("algorithm=maml and (accuracy<0.9 or status=failed)", [2]),
        ("not algorithm=maml", [3, 4]),
        ("not (algorithm=maml or status=failed)", [3]),
        ("accuracy=null", [3, 4]),
        ("accuracy!=null", [1, 2]),
        ("error~NAN", [4]),
        ("name~test", [1]),
        ("name='Test one'", [1]),
        ('name="it\'s 100%"', [2]),
        (r"name='it\'s 100%'", [2]),
        ("name~'0%'", [2]),
        ("name~'%'", [2]),
        ("name~_", []),
        ("seed=4", [2]),
        ("git_dirty=false", [1, 2, 3, 4]),
        ("git_dirty!=false", []),
        ("training.lr>0.05", [3]),
        ("config.training.lr<=0.01", [1, 2, 4]),
        ("training.schedule=linear", [3]),
        ("training.schedule~LIN", [3]),
        ("algorithm.first_order=true", [3]),
        ("algorithm.first_order!=true", []),
        ("algorithm.first_order=null", [1, 2, 4]),
        ('algorithm.10%="\'"', [3]),
        ("training.schedule>5", []),
        ("algorithm.steps<5", []),
        ("algorithm.steps=true", []),
        ("algorithm.first_order=1", []),
        ("training.lr='0.1'", []),
        ("training.lr~1", []),
        ("accuracy>'0.9'", [1]),
        ("created>2020-01-01", [1, 2, 3, 4]),
        ("created<'2020-01-01T10:00'", []),
        ("id>=2 and id<4", [2, 3]),
    ],
)
def test_filters_mean_what_they_say(store, where, expected) -> None:
    assert [row.id for row in store.runs(where, sort="id")] == expected


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("acuracy>0.9", "no field 'acuracy'; did you mean 'accuracy'"),
        ("accuracy>", "ends where a value should be"),
        ("accuracy 0.9", "'0.9' at character 10, where one of"),
        ("accuracy>0.9 algorithm=maml", "'algorithm' at character 14"),
        ("(accuracy>0.9", r"ends where '\)' should be"),
        ("name='open", "a quote may be open"),
        ("accuracy>high", "'accuracy' is a number and cannot be 'high'"),
        ("git_dirty=maybe", "is a boolean and cannot be 'maybe'"),
        ("created>yesterday", "is a time and cannot be 'yesterday'"),
        ("created>0001-01-01T00:00+14:00", "is a time and cannot be '0001"),
        ("accuracy~9", "is no text"),
        ("accuracy>null", "compares with null by = and != only"),
        ("config=x", "no field 'config'"),
        ("training.lrr>1", "no setting 'lrr' in 'training'; did you mean 'lr'"),
        ("accuracy>0.9 and a\nb=1", "no field 'a'"),
        ("(" * 60 + "id=1" + ")" * 60, "nested more than 50 deep"),
        ("name='\x00'", "character 7 is not text"),
        ("name=\udcff", "character 6 is not text"),
        ("accuracy>0.9;", "cannot be '0.9;'"),
    ],
)
def test_a_wrong_filter_says_what_and_where(store, where, message) -> None:
    with pytest.raises(FilterError, match=message) as caught:
        store.runs(where)
    assert "\n" not in str(caught.value)


def test_a_wrong_sort_names_the_nearest(store) -> None:
    with pytest.raises(FilterError, match="did you mean 'accuracy'"):
        store.runs(sort="-acuracy")


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("-training.lr", [3, 4, 2, 1]),
        ("training.lr", [4, 2, 1, 3]),
        ("algorithm.steps,id", [3, 1, 2, 4]),
        ("-algorithm.first_order,id", [3, 1, 2, 4]),
        ("algorithm,-accuracy,id", [1, 2, 3, 4]),
        ("-dataset,accuracy", [4, 2, 1, 3]),
        (" - seed , id", [2, 1, 3, 4]),
        ("", [4, 3, 2, 1]),
    ],
)
def test_sort_orders_mean_what_they_say(store, sort, expected) -> None:
    """What has no value comes last, also when falling; ties are newest first."""
    assert [row.id for row in store.runs(sort=sort)] == expected


HOSTILE = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            "'; DROP TABLE runs; --",
            "\\",
            "%",
            "_",
            "\x00x",
            "1e999",
            "null",
            "') or 1=1",
        ]
    ),
)


@given(text=HOSTILE)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_hostile_text_is_data_or_an_error(store, text) -> None:
    """As a quoted value it matches nothing; as a filter it is at most refused."""
    quoted = text.replace("\\", "\\\\").replace("'", "\\'")
    for where in (f"name='{quoted}'", f"name~'{quoted}' and id=0", text):
        try:
            found = store.runs(where)
        except FilterError:
            continue
        assert len(found) in (0, 4)
    assert len(store.runs()) == 4


def test_a_filter_of_megabytes_is_refused_at_once() -> None:
    """It was read for a minute (found by fuzzing)."""
    text = "not " * 900_000 + "id=1"
    with pytest.raises(FilterError, match="a filter of 3,600,004 characters"):
        parse(text, episode_fields())


def test_a_message_quotes_the_beginning_of_a_long_filter() -> None:
    with pytest.raises(FilterError) as raised:
        parse("accurracy>0 or " * 30 + "id=1", episode_fields())
    assert "'accurracy>0 or " in str(raised.value)
    assert str(raised.value).count("accurracy") < 20
