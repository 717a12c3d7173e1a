"""The training loop: the same bits after an interruption, for any number of workers, and nothing lost."""
import dataclasses
import io
import json
import math
import os
import pathlib
import platform
import shutil
import signal
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from minigpt.commands import expected
from minigpt.config import GPTConfig, TrainConfig
from minigpt.interop import safetensors
from minigpt.nn import gpt, threads
from minigpt.nn.gpt import Transformer
from minigpt.nn.threads import blas_threads, find_blas, worker_pool
from minigpt.train import batches, checkpoint, optim, pretrain, sft, trainer
from minigpt.train.trainer import Interrupted, Run, gradients, train

MODEL = GPTConfig(vocab_size=60, block_size=24, n_layer=2, n_head=4, n_embd=32, position="rope", dropout=0.1)
CONFIG = TrainConfig(tokens=10 * 192, batch_tokens=192, shards=4, workers=2, save_every=4, eval_every=5, seed=3)
STAGES = ("pretrain", "sft")
every_stage = pytest.mark.parametrize("stage", STAGES)


def data(stage):
    """Rows as the two stages make them: a stream of documents, or packed examples of which the answers count."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(3, 23, 120)
    if stage == "pretrain":
        first = np.zeros(lengths.sum(), bool)
        first[np.cumsum(lengths)[:-1]] = first[0] = True
        return batches.rows_from_stream(rng.integers(0, 60, lengths.sum()).astype(np.int32), 24, first)
    examples = [(rng.integers(0, 60, n).tolist(), [0] * (n // 2) + [1] * (n - n // 2)) for n in lengths]
    return batches.pack(examples, 24, pad=0)


def run_of(stage, folder=None, **options):
    rows = data(stage)
    about = {"data": checkpoint.fingerprint(rows.tokens, rows.starts, rows.mask)}
    return Run(stage, lambda step: batches.batch_at(step, rows, 8, CONFIG.seed), folder, about, **options)


def new_model(seed=1, **options):
    return Transformer(MODEL, seed=seed, **{"backend": "numpy", **options})


def interrupt_at(step, number=signal.SIGINT):
    """An on_eval that presses Ctrl-C."""
    return lambda at, model: os.kill(os.getpid(), number) or {} if at == step else {}


# Workers


def test_numpys_own_blas_comes_first(monkeypatch):
    """SciPy brings a second one, which may be loaded earlier."""
    numpys = pathlib.Path(np.__file__).parents[1] / "numpy.libs" / "libscipy_openblas64_.so"
    lines = [f"7f00-7f01 r-xp 00000000 00:00 0  {path}" for path in ("/elsewhere/scipy.libs/libscipy_openblas.so", "/lib/libm.so", numpys)]
    monkeypatch.setattr(threads, "open", lambda *arguments, **options: io.StringIO("\n".join(lines)), raising=False)
    monkeypatch.setattr(threads.sys, "platform", "linux")
    assert threads._candidates() == [str(numpys), "/elsewhere/scipy.libs/libscipy_openblas.so"]


@every_stage
@pytest.mark.parametrize("backend", ["fast", pytest.param("numpy", marks=pytest.mark.slow)])
def test_the_number_of_workers_does_not_change_a_bit(stage, backend):
    results = []
    for workers in (1, 2, 3, 4):
        model = new_model(backend=backend)
        log = train(model, dataclasses.replace(CONFIG, workers=workers), run_of(stage))
        results.append((log, model.params.flat.copy()))
    for log, params in results[1:]:
        assert log == results[0][0]
        np.testing.assert_array_equal(params, results[0][1])


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_see_a_blas_of_one_thread_and_the_user_gets_theirs_back(workers):
    """One BLAS thread also for one worker: with more, BLAS may split a sum and round it differently."""
    blas = find_blas()
    if blas is None:
        pytest.skip("this BLAS cannot be told how many threads to use")
    with blas_threads(2):
        with worker_pool(workers, shards=4) as run_all:
            assert run_all(lambda item: blas[1](), range(4)) == [1] * 4
        assert blas[1]() == 2


@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1" or platform.machine().lower() not in ("x86_64", "amd64"),
                    reason="sets the control word of x86")
def test_every_worker_takes_tiny_numbers_for_zero():
    """Backward through masked answers makes numbers below 1e-38, which some processors multiply a hundred times slower."""
    model, found = new_model(backend="fast"), []
    embed = model.ops.embedding_forward

    def look(ids, weight):
        found.append(bool((np.full(64, 1e-40, np.float32) * np.float32(1)).any()))
        return embed(ids, weight)

    model.ops = SimpleNamespace(**{**vars(model.ops), "embedding_forward": look})
    with worker_pool(2, 2) as run_all:
        gradients(model, batches.batch_at(0, data("sft"), 8, 0), [model.params.zeros() for _ in range(2)], run_all, [0])
    assert found == [False, False]


def test_results_come_in_the_order_of_the_items():
    with worker_pool(3, shards=4) as run_all:
        assert run_all(lambda item: item * item, range(20)) == [item * item for item in range(20)]


def test_an_error_reaches_the_caller_and_stops_the_others():
    begun = []

    def work(item):
        begun.append(item)
        if item == 3:
            raise ValueError("item 3")
        time.sleep(0.001)

    with worker_pool(3, shards=4) as run_all:
        with pytest.raises(ValueError, match="item 3"):
            run_all(work, range(1000))
        assert run_all(str, [1]) == ["1"]
    assert 3 in begun and len(begun) < 500


@every_stage
@pytest.mark.parametrize("shards", [2, 3, 8])
def test_shards_add_up_to_the_whole_batch(stage, shards):
    """Loss and gradient of many shards are those of one, although the shards count different numbers of tokens."""
    model = new_model(dtype="float64")
    model.config = dataclasses.replace(MODEL, dropout=0.0)
    batch = batches.batch_at(0, data(stage), 8, seed=0)
    assert len({shard.tokens() for shard in batch.shards(shards)}) > 1
    whole, parts = [model.params.zeros()], [model.params.zeros() for _ in range(shards)]
    loss = gradients(model, batch, whole, lambda f, items: [f(i) for i in items], [0])
    sharded = gradients(model, batch, parts, lambda f, items: [f(i) for i in reversed(items)][::-1], [0])
    assert abs(loss - sharded) < 1e-12
    np.testing.assert_allclose(parts[0].flat, whole[0].flat, rtol=0, atol=1e-13)
    logits, _ = model.forward(batch.ids, batch.starts)
    by_hand, _, _ = trainer.losses.cross_entropy(logits, batch.targets, batch.mask)
    assert abs(loss - by_hand) < 1e-12


def test_every_shard_drops_other_values():
    model = new_model()
    row = batches.Rows(np.tile(np.arange(25, dtype=np.int32), (2, 1))).batch(np.arange(2))
    buffers = [model.params.zeros() for _ in range(2)]
    parts = []
    gradients(model, row, buffers, lambda f, items: [parts.append(f(i)) or parts[-1] for i in items], [0])
    assert parts[0] != parts[1]


# Interruption and resuming


def train_stage(stage, model, config, folder):
    """As the commands do it."""
    if stage == "pretrain":
        return pretrain.pretrain(model, data("pretrain"), data("pretrain"), config, folder)
    return sft.tune(model, data("sft"), data("pretrain"), config, folder, lambda step, model: {"seen": step})


@pytest.mark.parametrize("stage, optimizer", [("pretrain", "muon"), *(pytest.param(*pair, marks=pytest.mark.slow)
                                              for pair in (("sft", "muon"), ("pretrain", "adamw"), ("sft", "adamw")))])
def test_resuming_gives_the_same_bits(stage, optimizer, tmp_path, monkeypatch):
    """Ctrl-C in the third and in the seventh step, with one worker and with two."""
    config = dataclasses.replace(CONFIG, optimizer=optimizer)
    for name in ("straight", "cut"):
        (tmp_path / name).mkdir()
    straight = new_model()
    log = train_stage(stage, straight, config, tmp_path / "straight")
    for stop, workers in ((3, 1), (7, 2)):
        with monkeypatch.context() as patch:
            update = optim.update

            def interrupted_update(params, grads, state, *rest, stop=stop, **options):
                if state.step == stop - 1:
                    os.kill(os.getpid(), signal.SIGINT)
                return update(params, grads, state, *rest, **options)

            patch.setattr(optim, "update", interrupted_update)
            with pytest.raises(Interrupted):
                train_stage(stage, new_model(), dataclasses.replace(config, workers=workers), tmp_path / "cut")
            assert len(trainer.read_log(tmp_path / "cut")) == stop
    resumed = new_model()
    resumed_log = train_stage(stage, resumed, config, tmp_path / "cut")
    np.testing.assert_array_equal(resumed.params.flat, straight.params.flat)
    assert resumed_log == log == trainer.read_log(tmp_path / "cut")
    one, other = ((tmp_path / name / checkpoint.FILE).read_bytes() for name in ("straight", "cut"))
    assert one == other


@pytest.mark.parametrize("share, rows", [(0.25, 2), (0.0, 0), (0.99, 7)])
def test_tuning_replays_its_share_of_pretraining_text(share, rows, monkeypatch):
    """At least one row of answers stays, whatever the share."""
    batches_seen = []
    monkeypatch.setattr(sft, "train", lambda model, config, run: batches_seen.extend(run.batch(step) for step in range(6)))
    replay = batches.rows_from_stream(np.full(2000, 59, np.int32), 24)
    sft.tune(new_model(), data("sft"), replay, dataclasses.replace(CONFIG, replay=share))
    assert len(batches_seen) == 6
    for batch in batches_seen:
        old = (batch.ids == 59).all(axis=1)
        assert len(batch.ids) == 8 and old.sum() == rows
        assert batch.mask[old].all() and not batch.mask[~old].all(axis=1).any()
        assert math.isclose(batch.mask[old].sum() / batch.mask.sum(), rows / 8, rel_tol=1e-5), "of the loss as much as of the rows"


def test_few_rows_are_replayed_too_and_have_no_more_than_their_share(monkeypatch):
    found = []
    monkeypatch.setattr(sft, "train", lambda model, config, run: found.append(run.batch(0)))
    replay = batches.rows_from_stream(np.full(2000, 59, np.int32), 24)
    sft.tune(new_model(), data("sft"), replay, dataclasses.replace(CONFIG, replay=0.25, batch_tokens=2 * 24))
    old = (found[0].ids == 59).all(axis=1)
    assert old.sum() == 1 and math.isclose(found[0].mask[old].sum() / found[0].mask.sum(), 0.25, rel_tol=1e-5)
    with pytest.raises(ValueError, match="one row, which leaves none for replay: give at least 48"):
        sft.tune(new_model(), data("sft"), replay, dataclasses.replace(CONFIG, replay=0.25, batch_tokens=24))


def test_a_replayed_token_that_does_not_count_is_not_made_to():
    """The first token of a document follows nothing, so nobody could learn to guess it."""
    answers = batches.rows_from_stream(np.arange(121, dtype=np.int32), 24).batch(np.arange(2))
    mask = np.ones((1, 24), np.float32)
    mask[0, :6] = 0
    replayed = dataclasses.replace(batches.rows_from_stream(np.full(25, 59, np.int32), 24).batch(np.arange(1)), mask=mask)
    weighted = sft.share(replayed, answers, 0.25).mask
    assert (weighted[0, :6] == 0).all() and math.isclose(weighted.sum(), answers.tokens() / 3, rel_tol=1e-5)


@pytest.mark.parametrize("count, shards", [(1, 2), (3, 3), (64, 4)])
def test_a_large_model_takes_numpys_products_and_two_shards(count, shards, monkeypatch):
    monkeypatch.setattr(trainer, "cores", lambda: count)
    monkeypatch.setattr(gpt, "processor", lambda: "Intel(R) Xeon(R) Processor")
    model = new_model(backend="fast")
    assert (model.matmul, trainer.default_shards(model)) == ("numba", shards)
    monkeypatch.setattr(gpt, "OWN_PRODUCTS", 0)
    model = new_model(backend="fast")
    assert (model.matmul, trainer.default_shards(model)) == ("blas", shards)
    monkeypatch.setattr(gpt, "LARGE", 0)
    assert (model.matmul, trainer.default_shards(model)) == ("blas", 2)
    monkeypatch.setattr(gpt, "processor", lambda: "AMD EPYC (family 26, model 2)")
    assert new_model(backend="fast").matmul == "numba"


def test_a_blas_that_cannot_be_told_leaves_one_worker(monkeypatch, capsys):
    monkeypatch.setattr(threads, "find_blas", lambda: None)
    threads._say_once.cache_clear()
    for _ in range(2):
        with worker_pool(3, shards=4) as run_all:
            assert run_all(lambda item: threading.get_ident(), range(4)) == [threading.get_ident()] * 4
    assert capsys.readouterr().out.count("cannot be set to one thread") == 1


@pytest.mark.parametrize("batch_tokens, read", [(10, 24), (24, 24), (100, 96)])
def test_the_log_counts_the_tokens_that_were_read(batch_tokens, read):
    config = dataclasses.replace(CONFIG, tokens=192, batch_tokens=batch_tokens, workers=1)
    log = pretrain.pretrain(new_model(), data("pretrain"), data("pretrain"), config)
    assert [entry["tokens"] for entry in log] == [read * step for step in range(1, 192 // read + 1)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_stops(number, tmp_path, capsys):
    before = signal.getsignal(number)
    with pytest.raises(Interrupted) as stop:
        train(new_model(), dataclasses.replace(CONFIG, eval_every=3), run_of("sft", tmp_path, on_eval=interrupt_at(3, number)))
    assert stop.value.code == 128 + number
    assert "go on from step 3" in capsys.readouterr().out
    assert signal.getsignal(number) is before
    state, model = optim.new_state(new_model().params), new_model()
    checkpoint.load(tmp_path, model, state, CONFIG, run_of("sft").about)
    assert state.step == 3 and state.variance.flat.any() and len(trainer.read_log(tmp_path)) == 3


@pytest.mark.parametrize("missing", [0, 1])
def test_a_disk_with_room_for_one_checkpoint_is_known_before_the_first_step(missing, tmp_path, monkeypatch):
    """The second lies beside the first until it takes its place."""
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=(folder / checkpoint.FILE).stat().st_size - missing))
    steps = []
    one_run = run_of("pretrain", tmp_path, on_eval=lambda step, model: steps.append(step) or {})
    if missing:
        with pytest.raises(OSError, match="^a checkpoint has .* bytes, and beside the first one .* are free in .*; make room there"):
            train(new_model(), CONFIG, one_run)
    else:
        train(new_model(), CONFIG, one_run)
    assert steps == ([] if missing else [5, 10])


def test_the_log_holds_what_was_measured(tmp_path):
    log = train(new_model(), CONFIG, run_of("pretrain", tmp_path, on_eval=lambda step, model: {"held_out": step / 10}))
    assert [entry["step"] for entry in log] == list(range(1, 11))
    assert [entry.get("held_out") for entry in log] == [None] * 4 + [0.5] + [None] * 4 + [1.0]
    assert [entry["tokens"] for entry in log] == [192 * step for step in range(1, 11)]
    assert [entry["lr"] for entry in log] == [CONFIG.lr * optim.schedule(step, CONFIG) for step in range(10)]
    assert json.loads((tmp_path / trainer.LOG).read_text().splitlines()[4]) == log[4]


def test_a_run_goes_on_with_its_own_shards(tmp_path, monkeypatch):
    """However many cores are free today: unless somebody asks for a number, it stays what it was."""
    free, models = dataclasses.replace(CONFIG, shards=0, eval_every=3), (new_model(), new_model())
    monkeypatch.setattr(trainer, "cores", lambda: 2)
    with pytest.raises(Interrupted):
        train(new_model(), free, run_of("sft", tmp_path, on_eval=interrupt_at(3)))
    monkeypatch.setattr(trainer, "cores", lambda: 4)
    train(models[0], free, run_of("sft", tmp_path))
    train(models[1], dataclasses.replace(CONFIG, shards=2), run_of("sft"))
    assert checkpoint.saved_shards(tmp_path) == 2 and (models[0].params.flat == models[1].params.flat).all()


def test_the_numbers_of_an_evaluation_may_be_numpys(tmp_path):
    log = train(new_model(), CONFIG, run_of("pretrain", tmp_path, on_eval=lambda step, model: {"held_out": np.float32(0.5), "asked": np.int64(3)}))
    assert trainer.read_log(tmp_path) == log
    for wrong in ('{"step": 1}', '{"step": 1, "tokens": 8, "loss": null, "lr": 0.1}', '{"step": 1, "tokens": 8, "loss": 2.0, "lr": 0.1, "dev": "a"}'):
        (tmp_path / "log.jsonl").write_text(wrong + "\n")
        with pytest.raises(ValueError, match="line 1: not an entry with the numbers"):
            trainer.read_log(tmp_path)


def test_other_settings_cannot_resume(tmp_path):
    train(new_model(), CONFIG, run_of("sft", tmp_path))
    train(new_model(), dataclasses.replace(CONFIG, workers=1, save_every=7), run_of("sft", tmp_path))  # these may change
    for name, value in {"lr": 0.1, "seed": 4, "shards": 2, "tokens": 1920 * 2}.items():
        with pytest.raises(ValueError, match=name):
            train(new_model(), dataclasses.replace(CONFIG, **{name: value}), run_of("sft", tmp_path))


def test_a_run_goes_on_with_its_own_products(tmp_path):
    """Sums of NumPy's and of ours round differently. The readable backend has but one kind, and an older checkpoint does not say."""
    started = run_of("sft", tmp_path, on_eval=interrupt_at(5))
    with pytest.raises(Interrupted):
        train(new_model(backend="fast", matmul="numba"), CONFIG, started)
    for other, message in ((new_model(backend="fast", matmul="blas"), 'matmul "numba", now it is "blas"'), (new_model(), 'backend "fast"')):
        with pytest.raises(ValueError, match=message):
            train(other, CONFIG, run_of("sft", tmp_path))
    path = tmp_path / checkpoint.FILE
    metadata = safetensors.read_metadata(path)
    about = {name: value for name, value in json.loads(metadata["about"]).items() if name != "matmul"}
    safetensors.save_file(safetensors.load_file(path), path, {**metadata, "about": json.dumps(about)})
    assert len(train(new_model(backend="fast", matmul="numba"), CONFIG, run_of("sft", tmp_path))) == 10


def test_another_model_or_data_cannot_resume(tmp_path):
    train(new_model(), CONFIG, run_of("sft", tmp_path))
    with pytest.raises(ValueError, match="n_head"):
        train(Transformer(dataclasses.replace(MODEL, n_head=2), backend="numpy"), CONFIG, run_of("sft", tmp_path))
    with pytest.raises(ValueError, match="data"):
        train(new_model(), CONFIG, dataclasses.replace(run_of("sft", tmp_path), about={"data": "other"}))


def test_a_weight_that_is_infinite_is_not_saved(tmp_path):
    def poison(step, model):
        model.params["h.1.mlp.c_fc.weight"][2, 3] = np.inf if step == CONFIG.steps else 0.0
        return {}

    with pytest.raises(FloatingPointError, match=f"step {CONFIG.steps}: .*not finite"):
        train(new_model(), CONFIG, run_of("pretrain", tmp_path, on_eval=poison))


def test_a_gradient_that_is_no_number_stops_the_run_and_keeps_the_checkpoint(tmp_path):
    def poison(step, model):
        model.params["h.1.mlp.c_fc.weight"][2, 3] = np.nan
        return {}

    with pytest.raises(FloatingPointError, match="step 6: h.1.mlp.c_fc.weight is not finite"):
        train(new_model(), CONFIG, run_of("pretrain", tmp_path, on_eval=poison))
    model, state = new_model(seed=9), optim.new_state(new_model().params)
    checkpoint.load(tmp_path, model, state, CONFIG, run_of("pretrain").about)
    assert state.step == 4 and np.isfinite(model.params.flat).all()


def test_training_learns():
    rows = batches.Rows(np.tile(np.arange(25, dtype=np.int32), (8, 1)))
    config = dataclasses.replace(CONFIG, tokens=60 * 192)
    log = train(new_model(), config, Run("count", lambda step: batches.batch_at(step, rows, 8, 0)))
    assert log[0]["loss"] > 3.5 and log[-1]["loss"] < 0.5


def test_held_out_loss_is_a_mean_over_tokens():
    model, rows = new_model(), data("sft")
    batch = rows.batch(np.arange(20))
    logits, _ = model.forward(batch.ids, batch.starts)
    expected, _, _ = trainer.losses.cross_entropy(logits, batch.targets, batch.mask)
    assert abs(trainer.evaluate_loss(model, rows, most=20, batch=3) - expected) < 1e-6


def test_a_run_says_where_its_numbers_lie_among_earlier_ones(capsys):
    rows = data("pretrain")
    bands = {"odd": {2: (1.0, 2.5), 3: (0.0, 1.0), 4: (5.0, 6.0)}}
    run = Run("x", lambda step: batches.batch_at(step, rows, 8, 0), on_eval=lambda step, model: {"odd": float(step)}, expected=bands)
    train(Transformer(MODEL, backend="numpy"), dataclasses.replace(CONFIG, tokens=4 * 192, eval_every=1), run)
    shown = capsys.readouterr().out
    assert "odd 2.000 at step 2: inside the expected band 1.000 to 2.500" in shown
    assert "odd 3.000 at step 3: above" in shown and "odd 4.000 at step 4: below" in shown and "step 1:" not in shown


def test_bands_are_what_was_recorded_and_as_far_again(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGPT_DATA", str(tmp_path))
    settings = {"world": "small"}
    assert expected.load(settings) == {}
    for seed, losses in enumerate(((3.0, 2.0), (3.5, 2.5))):
        log = [{"step": 1}, {"step": 2, "validation_loss": losses[0]}, {"step": 4, "validation_loss": losses[1]}]
        expected.record(settings, seed, {"pretraining": (log, "validation_loss")})
    bands = expected.load(settings)["pretraining"]["validation_loss"]
    assert bands == {2: (2.5, 4.0), 4: (1.5, 3.0)} and expected.load({"world": "full"}) == {}
    before = (tmp_path / expected.FILE).read_bytes()
    with pytest.raises(ValueError, match="another recipe"):
        expected.record({"world": "full"}, 0, {"pretraining": (log, "validation_loss")})
    assert (tmp_path / expected.FILE).read_bytes() == before
    low, high = expected.band([2.0])
    assert math.isclose(low, 1.94) and math.isclose(high, 2.06)
    low, high = expected.band([0.5, 0.5], prompts=50)  # two equal shares of so few prompts do not mean that the third is equal
    assert math.isclose(low, 0.3) and math.isclose(high, 0.7)
    assert expected.load(settings, {"dev": 2})["pretraining"]["validation_loss"] == bands  # a loss is no share
