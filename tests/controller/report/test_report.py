from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from controller.bus.envelope import Envelope, pack
from controller.record import Recorder, read_messages
from controller.report import ReportError, plots, write_report
from controller.report.load import load
from controller.report.page import SECTIONS, summary_rows
from controller.report.spectrum import budget_rows, density
from controller.report.style import thinned
from controller.report.unmodelled import UNMODELLED


@pytest.fixture(scope="module")
def page(flown: Path) -> str:
    return write_report(flown).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def real_page(real: Path) -> str:
    return write_report(real).read_text(encoding="utf-8")


OF_A_TERMINAL = [title for title, _, plot in SECTIONS if plot is not plots.off_target]


def titles(text: str) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", text)


def test_every_section_of_a_simulated_pass_is_there(page: str) -> None:
    wanted = ["Sky track", "Summary", *OF_A_TERMINAL, "Events", "What is not modelled"]
    assert titles(page) == wanted


def test_nothing_is_fetched(page: str) -> None:
    """No address outside of the names of XML vocabularies, no script, no linked file."""
    bare = re.sub(r'xmlns(:\w+)?="[^"]+"', "", page)
    assert "purl.org" not in page
    assert not re.findall(r"https?://[^\s\"'<]+", bare)
    assert not re.findall(r"<(script|link|iframe|img)\b", bare)
    assert not re.findall(r'(?:src|href)="(?!#)', bare)


def test_every_plot_of_a_simulated_pass_is_marked_and_none_of_a_real_one(page: str, real_page: str) -> None:
    assert page.count("<svg") == 1 + len(OF_A_TERMINAL)
    assert page.count("<!-- sim -->") == page.count("<svg")
    assert "<!-- sim -->" not in real_page
    assert "sim: emulated devices" in page
    assert "emulated" not in real_page


def test_a_real_pass_has_no_plots_of_truth(real_page: str) -> None:
    assert "How each loop takes over" not in titles(real_page)
    assert "Residual spectrum" not in titles(real_page)
    assert "Coarse loop" in titles(real_page)
    assert "What is not modelled" not in titles(real_page)


def test_every_axis_names_its_unit(page: str) -> None:
    comments = set(re.findall(r"<!-- ([^>]*\([^>]*\)[^>]*) -->", page))
    for unit in ("(µrad)", "(deg)", "(km)", "(nW)", "(Hz)", "(s)", "(µrad²/Hz)"):
        assert any(unit in comment for comment in comments), unit


def test_the_html_is_well_formed_and_text_is_escaped(page: str) -> None:
    class Checker(HTMLParser):
        open_tags: list[str]

        def handle_starttag(self, tag, attrs) -> None:
            if tag not in {"meta", "br"}:
                self.open_tags.append(tag)

        def handle_endtag(self, tag) -> None:
            assert self.open_tags.pop() == tag

    checker = Checker()
    checker.open_tags = []
    checker.feed(page)
    assert checker.open_tags == []
    assert "&lt;next&gt;" in page
    assert "STARLINK-1 &amp; co" in page


def test_the_same_recording_gives_the_same_report(flown: Path, page: str) -> None:
    assert write_report(flown).read_text(encoding="utf-8") == page


def test_the_file_is_small_enough_to_mail(flown: Path, page: str) -> None:
    assert (flown / "report.html").stat().st_size < 5_000_000


def test_modes_become_spans_from_the_start_of_the_pass(flown: Path) -> None:
    found = load(flown)
    assert [span.mode for span in found.modes] == ["STOWED", "SLEW", "POINT", "ACQUIRE", "COARSE", "FINE", "LINK"]
    assert found.modes[3].start_s == pytest.approx(1.0, abs=0.11)
    assert found.simulated
    assert found.target == "STARLINK-1 & co"


def test_a_figure_that_is_unknown_for_one_axis_is_left_out_of_the_summary(flown: Path) -> None:
    rows = dict(summary_rows(load(flown)))
    assert rows["coarse error, rms"] == "10.1 / 9.9 µrad"
    assert rows["link up since first light"] == "98.10 %"
    assert "fine error, rms" not in rows


def test_the_budget_has_disturbances_and_what_is_left(flown: Path) -> None:
    rows = {what: value for what, value, _ in budget_rows(load(flown))}
    assert rows["ephemeris along track"] == pytest.approx(240 / 650e3 * 1e6)
    assert rows["what the coarse loop leaves"] == pytest.approx(10.0, rel=0.05)
    assert rows["what the fine loop leaves"] == pytest.approx(1.2, rel=0.05)


def test_a_spectrum_integrates_to_the_variance() -> None:
    rng = np.random.default_rng(1)
    t = np.arange(100_000) / 10_000
    samples = 3.0 * np.sin(2 * np.pi * 200 * t) + rng.normal(0, 1.0, len(t))
    f, s = density(samples, 10_000.0)
    assert np.sum(s) * (f[1] - f[0]) == pytest.approx(samples.var(), rel=0.02)
    assert f[np.argmax(s)] == pytest.approx(200, abs=2)


def test_thinning_keeps_the_peaks() -> None:
    t = np.arange(199_999) / 1000
    y = np.zeros(len(t))
    y[123_456] = 7.0
    t_thin, thin = thinned(t, y, (0.0, 200.0))
    assert thin.max() == 7.0
    assert len(thin) <= 2402
    assert t_thin[-1] == pytest.approx(199.998, abs=0.2)


def test_a_folder_without_a_recording_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"there is no recording\.mcap in this folder"):
        write_report(tmp_path)


def test_a_pass_whose_recording_goes_on_in_a_second_file_is_one_pass(flown: Path, tmp_path: Path) -> None:
    whole = list(read_messages(flown / "recording.mcap"))
    half = len(whole) // 2
    for part, name, messages in (("1", "recording.mcap", whole[:half]), ("2", "recording-0002.mcap", whole[half:])):
        with Recorder(tmp_path / name, {"file": {"run": "17", "part": part}}) as recorder:
            for m in messages:
                envelope = Envelope(
                    v=1, k="tlm", m=m.topic, src=m.source, t=m.log_time_ns, seq=m.seq, sim=True, b=pack(m.body)
                )
                recorder.write(m.topic, envelope)
    one, two = load(flown), load(tmp_path)
    assert [span.mode for span in two.modes] == [span.mode for span in one.modes]
    assert {topic: len(series.t_s) for topic, series in two.series.items()} == {
        topic: len(series.t_s) for topic, series in one.series.items()
    }


def test_a_broken_summary_names_the_file(flown: Path, tmp_path: Path) -> None:
    (tmp_path / "recording.mcap").write_bytes((flown / "recording.mcap").read_bytes())
    (tmp_path / "summary.json").write_text("{")
    with pytest.raises(ReportError, match=r"summary\.json: is not JSON"):
        write_report(tmp_path)


def test_the_page_of_what_is_not_modelled_is_the_list_of_the_report() -> None:
    text = (Path(__file__).parents[3] / "docs" / "not-modelled.md").read_text(encoding="utf-8")
    for name, why in UNMODELLED:
        assert f"- **{name}.** {why}" in text
    assert text.count("- **") == len(UNMODELLED)
