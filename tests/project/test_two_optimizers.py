"""A task with two optimizers (gan_example.py) learns, and resumes with the same bits."""

import logging
from pathlib import Path

import pytest
import torch
from gan_example import GAN, Adversarial
from labkit.runs.checkpoint import load_checkpoint
from labkit.runs.folder import RunFolder
from labkit.runs.interruption import Interruption
from labkit.runs.recorder import Recorder
from modules.parts import make_batches, make_data
from modules.training.trainer import Trainer
from small_runs import CPU, checkpoint, column, config_of, forking, held_at_its_first_row, same_bits
from test_resume import wait_for_checkpoint

WORDS = ("data=digits", "training.batch_size=64", "training.monitor=validation/fooled", "training.epochs=null")
WORDS = (*WORDS, "training.evaluate_every_epochs=null", "training.evaluate_every_steps=25", "system.device=cpu")


def gan_trainer(datasets: str, steps: int) -> Trainer:
    config = config_of(*WORDS, f"training.steps={steps}", f"system.datasets_dir={datasets}")
    data = make_data(config)
    task = Adversarial()
    torch.manual_seed(0)
    network = GAN(input_shape=data.facts["input_shape"], width=32)
    return Trainer(
        task=task,
        network=network,
        optimizers=[
            torch.optim.Adam(task.parameters(network, turn), lr=0.003, betas=(0.5, 0.99)) for turn in task.turns
        ],
        training=make_batches(config, data, "train", CPU),
        validation=make_batches(config, data, "validation", CPU),
        config=config.training,
        seed=0,
        device=CPU,
    )


def train_gan(folder: str, datasets: str, steps: int) -> None:
    """In the folder, or on from where it was killed."""
    torch.set_num_threads(1)
    Path(folder).mkdir(parents=True, exist_ok=True)
    trainer = gan_trainer(datasets, steps)
    system = config_of("system.checkpoint_minutes=0", "system.device=cpu").system
    about = (RunFolder(Path(folder)), logging.getLogger("test"), Interruption(), "an id", system)
    with Recorder(*about, trainer.workload) as recorder:
        trainer.train(recorder)


def test_a_killed_gan_ends_with_the_same_bits(datasets: Path, tmp_path: Path) -> None:
    train_gan(str(tmp_path / "once"), str(datasets), 300)
    again = tmp_path / "default" / "again"
    process = forking().Process(target=held_at_its_first_row, args=(train_gan, str(again), str(datasets), 300))
    process.start()
    wait_for_checkpoint(tmp_path, process)
    process.kill()
    process.join()
    step = load_checkpoint(RunFolder(again).last, "an id", [])["step"]
    assert 0 < step < 300
    train_gan(str(again), str(datasets), 300)
    saved, resumed = checkpoint(tmp_path / "once"), checkpoint(again)
    assert {"optimizer discriminator", "optimizer generator"} <= saved.keys()
    assert [name for name in saved if name != "costs" and not same_bits(saved[name], resumed[name])] == []
    assert (again / "metrics.csv").read_bytes() == (tmp_path / "once" / "metrics.csv").read_bytes()


def test_each_optimizer_steps_its_own_part_only(datasets: Path, tmp_path: Path) -> None:
    trainer = gan_trainer(str(datasets), 1)
    network = trainer.bare
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    batches = trainer.data.shuffled(0, 64, 0, 1)
    batch = next(batches)
    trainer._take_turn("discriminator", trainer.optimizers[0], [batch])
    changed = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {name for name in before if name.startswith("discriminator")}
    trainer._take_turn("generator", trainer.optimizers[1], [batch])
    assert all(not torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


@pytest.fixture(scope="module")
def learned(datasets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gan") / "run"
    train_gan(str(folder), str(datasets), 600)
    return folder


def test_the_generator_learns_what_digits_look_like(datasets: Path, learned: Path) -> None:
    trainer = gan_trainer(str(datasets), 600)
    (real,) = trainer.validation.in_order(512)

    def distance(network: torch.nn.Module) -> float:
        """Between the mean image of the data and that of the generator."""
        with torch.no_grad():
            made = network("generator", torch.randn(512, 8, generator=torch.Generator().manual_seed(0)))
        return (made.mean(0) - real["input"].mean(0)).abs().mean().item()

    before = distance(trainer.bare)
    trainer.bare.load_state_dict(checkpoint(learned)["network"])
    assert distance(trainer.bare) < 0.5 * before
    assert len(column(learned, "train/discriminator_loss")) == len(column(learned, "train/generator_loss")) == 24
