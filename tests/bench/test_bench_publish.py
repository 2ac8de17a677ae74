"""The page of results: made of kept runs, and of nothing else."""

import json
from pathlib import Path

from click.testing import CliRunner

from bench import publish
from bench.table import Row, save
from edge.version import VERSION


def saved_run(folder: Path, **more: object) -> Path:
    rows = [
        Row(what="a|b", ours="1 ms", peer="4 ms", ratio=0.25, must=0.2, notes=("beside nothing",), details={"r": [1]}),
        Row(what="other", ours="2", ratio=1.0, must=1.4),
    ]
    circumstances = {"seconds": 120, "load_before": 0.34, "quick": False, "problems": {"relay": "no coturn"}}
    return save(rows, folder, **(circumstances | more))


def test_the_page_is_what_the_kept_runs_say() -> None:
    runs = json.loads(publish.DATA.read_text(encoding="utf-8"))
    assert publish.PAGE.read_text(encoding="utf-8") == publish.page(runs), "run `python -m bench.publish RESULTS`"
    assert all(run["version"] and run["rows"] and not run["quick"] for run in runs)


def test_a_run_becomes_a_table_with_its_circumstances(tmp_path: Path) -> None:
    run = publish.kept(json.loads(saved_run(tmp_path).read_text()))
    page = publish.page([run])
    assert "| a\\|b | 1 ms | 4 ms | 1/4.0 | 1/5.0 | - | **MISSED** |" in page
    assert "| other | 2 | - | 1.00 | 1.40 | - | met |" in page
    assert f"trio-voice {VERSION}, " in page
    assert "load of the machine before 0.3, 2 minutes." in page
    assert "**Not measured**: relay: no coturn" in page
    assert "* a|b:\n    * beside nothing" in page
    assert "quick" not in page
    assert "details" not in json.dumps(run), "numbers of rounds stay in bench/results"


def test_quick_rounds_are_said_to_be(tmp_path: Path) -> None:
    run = json.loads(saved_run(tmp_path, quick=True).read_text())
    assert "not to be quoted" in publish.page([run])


def test_the_command_keeps_the_runs_and_makes_the_page(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(publish, "DATA", tmp_path / "kept.json")
    monkeypatch.setattr(publish, "PAGE", tmp_path / "page.md")
    done = CliRunner().invoke(publish.main, [str(saved_run(tmp_path))])
    assert done.exit_code == 0, done.output
    runs = json.loads((tmp_path / "kept.json").read_text())
    assert (tmp_path / "page.md").read_text() == publish.page(runs)
    assert CliRunner().invoke(publish.main, []).exit_code == 2
