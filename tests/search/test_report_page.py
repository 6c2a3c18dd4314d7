"""The page of a report: safe, complete, self-contained, and looked at in a real browser."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from html.parser import HTMLParser
from pathlib import Path

import pytest

from dslc.search.report import report_data, write_report
from tests.search.chromium import Chromium, find_chromium
from tests.search.run_folders import UNSAFE, Row, random_rows, searched_rows, write_run

VOID = {"meta", "br", "img", "link", "input", "hr"}
needs_chromium = pytest.mark.skipif(find_chromium() is None, reason="no Chromium or Chrome is installed")


class PageReader(HTMLParser):
    """Checks nesting and unique ids, and collects what tests look at."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.ids: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id" and value]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.text.append(data)


def read_page(path: Path) -> PageReader:
    reader = PageReader()
    reader.feed(path.read_text(encoding="utf-8"))
    reader.close()
    assert reader.open == []
    assert len(reader.ids) == len(set(reader.ids))
    return reader


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run of conv_net."""
    return write_report(write_run(tmp_path_factory.mktemp("searched") / "run", searched_rows()))


@pytest.mark.parametrize("seed", range(2))
def test_page_is_well_formed_and_takes_no_text_for_markup(tmp_path: Path, seed: int) -> None:
    page = read_page(write_report(write_run(tmp_path / "run", random_rows(seed))))
    assert [tag for tag, _ in page.tags].count("script") == 1
    text = " ".join(page.text)
    assert f"logistic regression {UNSAFE}" in text
    assert f"DSLC611 {UNSAFE}" in text


def test_page_loads_nothing_and_refers_to_itself_alone(searched: Path) -> None:
    page = read_page(searched)
    for tag, attributes in page.tags:
        assert tag not in ("img", "link", "iframe", "object", "base")
        for name in ("src", "href", "xlink:href", "action", "data", "srcset"):
            address = attributes.get(name)
            assert address is None or (address[0] == "#" and address[1:] in page.ids)
    text = searched.read_text(encoding="utf-8")
    assert not re.search(r"https?:|@import", text)
    assert {address[1:] for address in re.findall(r"url\(([^)]*)\)", text)} <= set(page.ids)


def test_sections_stand_in_the_order_of_the_format(searched: Path) -> None:
    sections = [attributes["id"] for tag, attributes in read_page(searched).tags if tag == "section"]
    assert sections == ["what-ran", "best", "curve", "top", "failures", "counts", "tokens", "reproduce"]


def test_every_picture_has_a_text_that_says_what_it_shows(searched: Path) -> None:
    pictures = [attributes for tag, attributes in read_page(searched).tags if tag == "svg"]
    slots = report_data(searched.parent)["tokens"]["slots"]
    assert len(pictures) == 5 + len(slots)  # the program, two curves, the distribution, diversity, a heat map a slot
    for attributes in pictures:
        assert attributes["role"] == "img"
        assert attributes["aria-label"]


def test_figures_of_the_page_are_those_of_the_document(searched: Path) -> None:
    data = report_data(searched.parent)
    text = re.sub(r"\s+", " ", " ".join(read_page(searched).text))
    duels, late = data["best_of"], data["late"]
    assert f"strategy {duels['strategy']:.5g}, uniform control {duels['control']:.5g}" in text
    assert ("equal." if duels["equal"] else "not equal, the") in text
    assert f"last {late['samples']} samples: {late['mean']:.5g}" in text
    assert f"{data['trained']} programs were evaluated" in text
    for program in data["top"]:
        assert program["text"] in text
    assert data["best"]["source"].splitlines()[5] in " ".join(read_page(searched).text)


def test_a_page_of_a_running_search_loads_itself_anew(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", searched_rows(samples=20, control=0), status="running")
    assert 'id="live"' not in write_report(run).read_text(encoding="utf-8")  # nobody holds it: it was interrupted
    (run / "lock").write_text(json.dumps({"host": os.uname().nodename, "pid": os.getpid()}))
    page = read_page(write_report(run, pause=7))
    (live,) = [attributes for _, attributes in page.tags if attributes.get("id") == "live"]
    assert live["data-pause"] == "7"
    assert abs(float(live["data-written"] or 0) - time.time()) < 600


def test_the_same_run_gives_the_same_page(searched: Path) -> None:
    first = searched.read_bytes()
    assert write_report(searched.parent).read_bytes() == first


def test_a_run_without_rewards_and_an_empty_one_have_pages(tmp_path: Path) -> None:
    failed = [Row(0, "x", f"h{i}", None, code="DSLC611", message="it broke") for i in range(3)]
    text = write_report(write_run(tmp_path / "failed", failed, status="failed")).read_text(encoding="utf-8")
    assert "No program has a reward." in text
    assert "it broke" in text
    read_page(write_report(write_run(tmp_path / "empty", [])))


def test_a_better_control_is_named(tmp_path: Path) -> None:
    rows = [Row(0, "ours", "a", 0.5), Row(0, "the luckier one", "b", 0.9, is_control=True)]
    text = write_report(write_run(tmp_path / "run", rows)).read_text(encoding="utf-8")
    assert re.search(r"The best of all is a control sample, 2: .*the luckier one", text)


def test_a_grammar_without_target_has_its_tree_drawn(tmp_path: Path) -> None:
    rows = searched_rows(grammar="expression", samples=10, control=0)
    page = read_page(write_report(write_run(tmp_path / "run", rows, grammar="expression")))
    drawings = [attributes for tag, attributes in page.tags if tag == "svg" and "plot" not in str(attributes["class"])]
    assert len(drawings) == 1


def test_long_runs_with_long_sentences_stay_small(tmp_path: Path) -> None:
    rows = [Row(n // 20, "word " * 200, f"h{n}", (n % 977) / 977, is_control=n % 3 == 0) for n in range(20_000)]
    assert write_report(write_run(tmp_path / "run", rows)).stat().st_size < 1_000_000


# --- in a browser -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("profile")) as chromium:
        yield chromium


@needs_chromium
@pytest.mark.browser
def test_browser_opens_the_page_without_a_word_or_a_request(browser: Chromium, searched: Path) -> None:
    browser.errors.clear()
    browser.requests.clear()
    browser.open(searched)
    assert browser.errors == []
    assert browser.requests == [searched.resolve().as_uri()]
    assert browser.evaluate("document.compatMode") == "CSS1Compat"


@needs_chromium
@pytest.mark.browser
@pytest.mark.parametrize("width", [320, 400, 700, 1280])
def test_nothing_sticks_out_of_the_window(browser: Chromium, searched: Path, width: int) -> None:
    with browser.emulate(width=width):
        browser.open(searched)
        assert browser.evaluate("document.documentElement.scrollWidth") <= width
        smallest = browser.evaluate(
            """Math.min(...[...document.querySelectorAll('svg.plot text')].map(text =>
            parseFloat(getComputedStyle(text).fontSize) * text.ownerSVGElement.getBoundingClientRect().width / 360))"""
        )
        assert smallest >= (9 if width >= 400 else 7)


CONTRAST = """(() => {
  const channel = c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = text => { const [r, g, b] = text.match(/[\\d.]+/g).map(Number).map(channel);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const page = light(getComputedStyle(document.body).backgroundColor);
  const ratio = text => { const l = light(text); return (Math.max(l, page) + 0.05) / (Math.min(l, page) + 0.05); };
  return { page, worst: Math.min(
    ...[...document.querySelectorAll('h1, p, dt, dd, td, th, a')].map(e => ratio(getComputedStyle(e).color)),
    ...[...document.querySelectorAll('svg.plot text')].map(e => ratio(getComputedStyle(e).fill))) };
})()"""


@needs_chromium
@pytest.mark.browser
@pytest.mark.parametrize("is_dark", [False, True])
def test_text_is_legible_in_light_and_dark_mode(browser: Chromium, searched: Path, is_dark: bool) -> None:
    with browser.emulate(is_dark=is_dark):
        browser.open(searched)
        measured = browser.evaluate(CONTRAST)
    assert (measured["page"] < 0.1) == is_dark
    assert measured["worst"] >= 4.5


@needs_chromium
@pytest.mark.browser
def test_copy_button_copies_the_source(browser: Chromium, searched: Path) -> None:
    browser.open(searched)
    copied = browser.evaluate(
        """(async () => {
          let copied = null;
          navigator.clipboard.writeText = async text => { copied = text; };
          document.querySelector('[data-copies=source]').click();
          await new Promise(done => setTimeout(done, 100));
          return [copied, document.querySelector('[data-copies=source]').textContent];
        })()"""
    )
    assert copied == [report_data(searched.parent)["best"]["source"], "Copied"]


@needs_chromium
@pytest.mark.browser
def test_a_running_page_reloads_and_stays_where_it_was(browser: Chromium, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", searched_rows(samples=60, control=0), status="running")
    (run / "lock").write_text(json.dumps({"host": os.uname().nodename, "pid": os.getpid()}))
    page = write_report(run, pause=600)
    browser.open(page)
    assert "goes on: written" in browser.evaluate("document.getElementById('live').textContent")
    small = ".drawing { max-height: 5rem; }</style>"
    page.write_text(page.read_text().replace('data-pause="600"', 'data-pause="2"').replace("</style>", small))
    browser.open(page)
    browser.evaluate("scrollTo(0, 777); document.querySelector('.drawing').scrollTop = 33; 0")
    done = page.read_text().replace('id="live"', 'id="ended"').replace("<title>", "<title>anew ")
    page.write_text(done)
    began = time.monotonic()
    while time.monotonic() - began < 60:
        time.sleep(1)
        with suppress(AssertionError):  # asked while it was loading
            if browser.evaluate("document.title.startsWith('anew')"):
                break
    page_place, drawing_place = browser.evaluate("[scrollY, document.querySelector('.drawing').scrollTop]")
    assert abs(page_place - 777) <= 60  # the browser moves it with what it shows, as the line on the search is gone
    assert drawing_place == 33
    assert browser.evaluate("document.getElementById('live')") is None


@needs_chromium
@pytest.mark.browser
def test_page_prints(browser: Chromium, searched: Path, tmp_path: Path) -> None:
    with browser.emulate(width=760, media="print", is_dark=True):
        browser.open(searched)
        assert browser.evaluate("document.documentElement.scrollWidth") <= 760
        assert browser.evaluate("getComputedStyle(document.querySelector('button')).display") == "none"
        assert browser.evaluate(CONTRAST)["page"] == pytest.approx(1.0)
    browser.print_pdf(tmp_path / "report.pdf")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
