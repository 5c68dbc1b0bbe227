"""Random damage to a ticket's files: it is refused, or has changed nothing."""

import random
import shutil
from pathlib import Path

from toy_ticket import forge

from ticketzoo.errors import TicketError
from ticketzoo.masks.digests import digest_of_digests
from ticketzoo.ticket import Ticket


def digests_of(folder: Path) -> tuple[str, ...]:
    """Return what a ticket's masks and rewind weights are, read back through the public interface."""
    ticket = Ticket.from_pretrained(folder)
    found = []
    for seed in ticket.seeds:
        for level in ticket.levels:
            view = ticket.at(level=level.level, seed=seed)
            tensors = {**view.masks, **{f"rewind {name}": tensor for name, tensor in view.rewind_state.items()}}
            found.append((f"{level.level}", repr(sorted((name, tensor.tolist()) for name, tensor in tensors.items()))))
    return (digest_of_digests(sorted(found)), *(str(level.level) for level in ticket.levels))


def mutate(random: random.Random, folder: Path) -> None:
    path = random.choice(sorted(path for path in folder.rglob("*") if path.is_file()))
    content = bytearray(path.read_bytes())
    place = random.randrange(len(content))
    match random.randrange(5):
        case 0:
            content[place] ^= 1 << random.randrange(8)
        case 1:
            del content[place:]
        case 2:
            content[place:place] = random.randbytes(random.randrange(1, 9))
        case 3:
            del content[place : place + random.randrange(1, 9)]
        case _:
            content[place] = random.randrange(256)
    if path.suffix == ".safetensors" and "seed-7" in path.parts and random.random() < 0.7:
        forge(folder, path.relative_to(folder).as_posix(), bytes(content))
    else:
        path.write_bytes(content)


def test_a_mutant_is_refused_or_is_the_same_ticket(sound: Path, tmp_path: Path) -> None:
    expected = digests_of(sound)
    chance = random.Random(0)
    refused = 0
    for number in range(300):
        folder = Path(shutil.copytree(sound, tmp_path / str(number)))
        mutate(chance, folder)
        try:
            assert digests_of(folder) == expected
        except TicketError as error:
            refused += 1
            assert str(error).isprintable()
    assert refused > 150
