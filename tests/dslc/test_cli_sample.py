"""`dslc sample` from the uniform distribution; policies are sampled in the tests of `dslc search`."""

import math
from pathlib import Path

import dslc
from tests.dslc.command_line import run


def test_documents_repeat_what_the_library_says() -> None:
    document = run("sample", "conv_net", "-n", "4", "--seed", "7", "--json").document
    space = dslc.compile("conv_net")
    programs = space.samples(4, seed=7)
    assert document["sampler"] == "uniform"
    assert [sample["text"] for sample in document["samples"]] == [program.text for program in programs]
    for sample in document["samples"]:
        assert space[int(sample["index"])].tokens == tuple(sample["tokens"])
        assert math.isclose(sample["log_prob"], -math.log(space.count()))


def test_lines_are_sentences() -> None:
    done = run("sample", "activation", "-n", "5")
    space = dslc.compile("activation")
    assert [space.parse(line).text for line in done.out.splitlines()] == done.out.splitlines()
    assert len(done.out.splitlines()) == 5


def test_long_sentences_are_one_line_each() -> None:
    lines = run("sample", "conv_net", "--start", "layers_15", "-n", "2").out.splitlines()
    assert [len(line.split()) for line in lines] == [75, 75]


def test_even_lengths() -> None:
    def lengths(how: str) -> list[int]:
        document = run("sample", "expression", "-n", "40", "--max-tokens", "12", "--lengths", how, "--json").document
        return [len(sample["tokens"]) for sample in document["samples"]]

    assert min(lengths("even")) < 5
    assert sum(lengths("even")) < sum(lengths("uniform"))


def test_none_at_all() -> None:
    assert run("sample", "conv_net", "-n", "0").out == ""


def test_a_policy_brings_its_own_space(tmp_path: Path) -> None:
    assert run("sample", "conv_net", "--policy", tmp_path).code == 2
    done = run("sample", "--policy", tmp_path)
    assert done.code == 1
    assert "DSLC623" in done.err
