"""Lines of `verify`: files of which the same holds share one."""

from ticketzoo.zoo.checks import Check, check_lines

CHECKS = [
    Check("ticket.json", "format 2"),
    Check("seed-0/masks.safetensors", f"12 bytes, sha256 {'a' * 64}"),
    Check("seed-1/masks.safetensors", f"13 bytes, sha256 {'b' * 64}"),
    Check("extra/far-seed-1-level-1.safetensors", f"5 bytes, sha256 {'c' * 64}"),
    Check("seed-0", "fits lenet-5"),
    Check("seed-1", "fits lenet-5"),
    Check("seed-1/masks.safetensors", "NOTE: fc1.weight keeps nothing"),
]


def test_what_holds_alike_is_one_line_and_a_note_is_one() -> None:
    assert list(check_lines(CHECKS)) == [
        "ok  ticket.json: format 2",
        "ok  masks.safetensors of seeds 0, 1, extra/far-seed-1-level-1.safetensors: size and sha256 as ticket.json "
        "states",
        "ok  seeds 0, 1: fits lenet-5",
        "    seed-1/masks.safetensors: NOTE: fc1.weight keeps nothing",
    ]


def test_on_demand_each_check_has_its_line() -> None:
    lines = list(check_lines(CHECKS, every=True))
    assert len(lines) == len(CHECKS) and lines[1] == f"ok  seed-0/masks.safetensors: 12 bytes, sha256 {'a' * 64}"
