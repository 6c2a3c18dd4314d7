"""`dslc compare`: its table in 80 columns, its document, its pages and pictures."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.dslc.command_line import run
from tests.search.chromium import Chromium, find_chromium
from tests.search.compared_runs import write_replicate


@pytest.fixture(scope="module")
def replicates(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """20 runs, four groups of five seeds."""
    folder = tmp_path_factory.mktemp("replicates")
    options = {"strategy_options": {"learning_rate": 0.001}, "batch": 20}
    kinds = [
        ("policy_gradient", 0.93, {}),
        ("policy_gradient", 0.9, options),
        ("random", 0.8, {}),
        ("reinforce", 0.9, {}),
    ]
    return [
        write_replicate(folder / f"{place}-{seed}", seed=seed, strategy=strategy, level=level, settings=settings)
        for place, (strategy, level, settings) in enumerate(kinds)
        for seed in range(5)
    ]


@pytest.fixture(scope="module")
def singles(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """20 runs, each a group of its own, and a second seed of the last two."""
    folder = tmp_path_factory.mktemp("singles")
    runs = [
        write_replicate(folder / f"{number:02}", level=0.7 + 0.012 * number, settings={"batch": 10 + number})
        for number in range(20)
    ]
    again = [write_replicate(folder / f"{b}", seed=1, level=0.92, settings={"batch": b}) for b in (28, 29)]
    return [*runs, *again]


def test_the_table_has_every_group_in_80_columns(replicates: list[Path], singles: list[Path]) -> None:
    done = run("compare", *replicates)
    assert done.code == 0
    assert done.err == ""
    assert all(len(line) <= 80 for line in done.out.splitlines())
    assert "B  policy_gradient, batch=20, strategy.learning_rate=0.001" in done.out
    assert re.search(r"^A +5 +0\.\d+ ± 0\.\d+ +0\.\d+ ± 0\.\d+ +0\.70\d* +\d+ +60$", done.out, re.MULTILINE)
    assert len(re.findall(r"^[A-D] − [A-D] +[+-]0\.\d+ ± 0\.\d+", done.out, re.MULTILINE)) == 6
    done = run("compare", *singles)
    assert all(len(line) <= 80 for line in done.out.splitlines())
    assert len(re.findall(r"^[A-T] +[12] +0\.", done.out, re.MULTILINE)) == 20
    assert len(re.findall(r"^T − [A-S] ", done.out, re.MULTILINE)) == 19
    assert "only differences from the best group are shown" in done.out


def test_the_document_has_all_pairs(singles: list[Path]) -> None:
    document = run("compare", *singles, "--json").document
    assert (len(document["groups"]), len(document["pairs"])) == (20, 190)


def test_the_picture_stands_alone(replicates: list[Path], singles: list[Path], tmp_path: Path) -> None:
    for runs in (replicates, singles):
        path = tmp_path / f"{len(runs)}.svg"
        assert run("compare", *runs, "-o", path).code == 0
        assert run("compare", *runs, "-o", path).code == 1  # it exists
        text = path.read_text()
        ElementTree.fromstring(text)
        assert "var(--" not in text
        assert "#01020" not in text
        assert "policy_gradient" in text


def test_output_of_another_kind_is_refused(replicates: list[Path], tmp_path: Path) -> None:
    assert run("compare", replicates[0], "-o", tmp_path / "x.png").code == 2
    assert run("compare").code == 2
    assert run("compare", tmp_path).code == 1


@pytest.mark.skipif(find_chromium() is None, reason="no Chromium or Chrome is installed")
@pytest.mark.browser
def test_the_page_is_legible_on_a_phone_and_in_the_dark(
    replicates: list[Path], singles: list[Path], tmp_path: Path
) -> None:
    pages = []
    for runs in (replicates, singles):
        pages.append(tmp_path / f"{len(runs)}.html")
        assert run("compare", *runs, "-o", pages[-1]).code == 0
    with Chromium(tmp_path / "profile") as browser:
        for page in pages:
            for width, is_dark in ((400, False), (1280, True)):
                with browser.emulate(width=width, is_dark=is_dark):
                    browser.open(page)
                    assert browser.evaluate("document.documentElement.scrollWidth") <= width
                    sizes = browser.evaluate(
                        """[...document.querySelectorAll('svg.plot text')].map(text => parseFloat(
                        getComputedStyle(text).fontSize) * text.ownerSVGElement.getBoundingClientRect().width / 360)"""
                    )
                    assert min(sizes) >= 8
        assert browser.errors == []
        assert {request.split("/")[-1] for request in browser.requests} == {page.name for page in pages}
