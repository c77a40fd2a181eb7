"""Rows, tables, footers and the page, on the toy benchmark."""

import csv
import io
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from pipeline.bench.pair_frames import load_pair_frames
from pipeline.bench.scoring import Scorer
from pipeline.controls.yardsticks import copied
from pipeline.methods.published import PublishedRow, write_rows
from pipeline.metrics.fid import frechet_distance
from pipeline.metrics.readings import Readings
from pipeline.own.frames import OwnRow
from pipeline.report.footer.systems import OWN_CROP, system_lines
from pipeline.report.headline import headline_metrics
from pipeline.report.paper import read_paper
from pipeline.report.results import Pairs
from pipeline.report.rows import (
    all_rows,
    baseline_rows,
    control_rows,
    paper_rows,
    published_rows,
    pwm_rows,
    row_named,
    selected_row,
)
from pipeline.store.schema import SCORES, metadata_of, read_table, write_table
from tests.benchmark_world import BENCH, MODEL, FakeJudge, make_measures, make_pairs
from tests.helpers import ROOT
from tests.report_world import PAPER, ROWS, differences, report, report_into, scores


def test_rows_are_the_papers_and_the_selected_one_collapses():
    assert [row.key for row in pwm_rows(BENCH, MODEL)] == [
        "tiny.one.nmfc", "tiny.one.geom_disp", "tiny.one.neural_codes", "tiny.one.geom_disp+neural_codes",
        "tiny.two.geom_disp+neural_codes"]  # fmt: skip
    assert [row.label for row in baseline_rows(BENCH)] == [
        "X2Face", "Bi-Layer", "LSR", "FOMM", "3D-FOMM", "HeadGAN", "PIRender"]  # fmt: skip
    assert baseline_rows(BENCH)[0].key == "official.x2face"
    assert paper_rows(BENCH)[-1].label == "PWM + geom. disp. + neural codes (second head)"
    other = type(MODEL)(recipe="long", head="two", guidance="nmfc")
    assert len(pwm_rows(BENCH, other)) == 6
    assert selected_row(BENCH, other).key == "long.two.nmfc"
    assert selected_row(BENCH, MODEL).label == "PWM + neural codes"
    assert [row.key for row in control_rows(True)][-1] == "true_reenactment"
    with pytest.raises(ValueError, match="rows: official.x2face"):
        row_named("foo", ROWS)


def test_a_published_system_has_a_row_for_each_source_and_one_for_its_own_crop(tmp_path):
    notes = ("its mask is all ones",)
    found = [
        PublishedRow("official", notes=notes),
        PublishedRow("official", own_crop=True),
        PublishedRow("tiny", absent="why"),
    ]
    write_rows(tmp_path / "bilayer", found)
    both = SimpleNamespace(**{**vars(BENCH), "baselines": ["official", "tiny"]})
    rows = [row for row in baseline_rows(both, published_rows(tmp_path)) if row.system == "bilayer"]
    assert [row.key for row in rows] == ["official.bilayer", "official.bilayer.own_crop", "tiny.bilayer"]
    assert [row.label for row in rows] == [
        "Bi-Layer (official)", "Bi-Layer (official, own crop)", "Bi-Layer (tiny)"]  # fmt: skip
    assert [row.results for row in rows] == ["bilayer/official", "bilayer/official/own_crop", "bilayer/tiny"]
    assert [row.model for row in rows] == ["bilayer/official", "bilayer/official", "bilayer/tiny"]
    assert [row.paper for row in rows] == ["Bi-Layer", "", ""]
    assert [row.absent for row in rows] == ["", "", "why"]
    assert system_lines(rows) == [
        "Bi-Layer (official): its mask is all ones.", f"Bi-Layer (official, own crop): {OWN_CROP}."]  # fmt: skip


def test_rows_that_were_brought_stand_after_the_published_systems_and_give_their_reason(world, tmp_path):
    own = {"mine": OwnRow("Mine", "https://example.org", False, "1"), "old": OwnRow("Old", "", None, "1", "its pairs")}
    rows = all_rows(BENCH, MODEL, False, own)
    assert [row.kind for row in rows] == ["baseline"] * 7 + ["own"] * 2 + ["pwm"] * 5 + ["control"] * 3
    assert row_named("mine", rows).results == "own/mine"
    shutil.copytree(world / "results", tmp_path / "results")
    shutil.copytree(world / "results" / "tiny.one.nmfc", tmp_path / "results" / "own" / "mine")
    report_into(tmp_path, world, results=tmp_path / "results", pairs=world / "pairs.parquet", rows=rows, own=own)
    found = list(csv.DictReader(io.StringIO((tmp_path / "tables/scores.csv").read_text())))
    mine, nmfc, old = ([x for x in found if x["method"] == name] for name in ("Mine", "PWM + NMFC", "Old"))
    assert [x["value"] for x in mine] == [x["value"] for x in nmfc]
    assert any(x["value"] for x in mine)
    assert {x["reason"] for x in old} == {"its pairs"}
    text = (tmp_path / "tables/table1.md").read_text()
    assert "Mine (`mine`): frames that were brought, not trained on data sets of these tables; https://ex" in text
    assert "Old (`old`): frames that were brought, nobody said whether it was trained on data sets of these" in text


def test_paper_csv_holds_every_number_of_the_paper():
    numbers = read_paper(PAPER)
    found = {(n.table, n.dataset, n.task, n.method, n.metric): n.value for n in numbers}
    assert len(found) == len(numbers) == 12 * 9 * 2 + 2 * 3 * 2 + 2 * 8 * 2
    assert found[1, "VoxCeleb1", "same", "PWM + geom. disp.", "fid"] == "3.95"
    assert found[1, "VoxCeleb2", "cross", "PIRender", "apd"] == "2.852"
    assert found[1, "VoxCeleb1", "cross", "X2Face", "csim"] == "0.437"
    assert found[2, "VoxCeleb2", "same", "PWM + neural codes", "lpips"] == "0.133"
    assert found[3, "VoxCeleb1", "cross", "PWM + geom. disp. + neural codes (BFM)", "apd[bfm]"] == "2.128"


def test_scores_csv_has_one_line_a_cell_with_dashes_and_reasons(world):
    found = scores(world)
    same, cross = 9, 6  # columns: LPIPS has no backend but a line; AKD, L1, SSIM, LPIPS stand in same only
    further_same, further_cross = 7, 2  # PSNR, MS-SSIM, KID, NME, three strata of AKD; KID, CSIM to driver
    assert len(found) == 2 * (12 + 2) * (same + 1 + further_same + cross + further_cross)
    dash = found["first", "same", "FOMM", "fid[judge]"]
    assert (dash["value"], dash["n"]) == ("", "0")
    assert "run the stage `evaluate`" in dash["reason"]
    lpips = found["second", "same", "PWM + NMFC", "lpips[none]"]
    assert lpips["value"] == ""
    assert "pwm assets import" in lpips["reason"]
    l1 = found["first", "same", "PWM + neural codes", "l1[0-255]"]
    assert (l1["n"], l1["n_failed"], l1["backend"], l1["reason"]) == ("27", "0", "pixels", "")
    assert float(l1["ci_low"]) < float(l1["value"]) < float(l1["ci_high"])
    assert ("first", "cross", "PWM + NMFC", "akd_px[judge,16x24]") not in found


def test_what_dvc_plots_holds_the_numbers_of_scores_csv_row_by_row(world):
    lines = list(csv.DictReader(io.StringIO((world / "out/plots/rows.csv").read_text())))
    pwm, both = [row.label for row in paper_rows(BENCH)], ["copy source", "ground truth"]
    assert [x["method"] for x in lines if (x["dataset"], x["task"]) == ("first", "same")] == pwm + both
    assert [x["method"] for x in lines if (x["dataset"], x["task"]) == ("second", "cross")][:5] == pwm
    found, ids = scores(world), {"fid": "fid[judge]", "akd": "akd_px[judge,16x24]", "aed_two": "aed[judge,two]"}
    for line in lines:
        for name, metric in ids.items():
            cell = found.get((line["dataset"], line["task"], line["method"], metric), {})
            for column, part in ((name, "value"), (f"{name}_low", "ci_low"), (f"{name}_high", "ci_high")):
                assert line[column] == cell.get(part, ""), (line["method"], column)
    assert {x["lpips"] for x in lines} == {""}


def test_values_are_means_of_the_pairs_and_fid_of_the_features(world):
    found = scores(world)
    table = read_table(world / "results/tiny.one.geom_disp/scores.parquet").to_pylist()
    wanted = [r["value"] for r in table if (r["dataset"], r["task"], r["metric"]) == ("second", "same", "l1[0-255]")]
    cell = found["second", "same", "PWM + geom. disp.", "l1[0-255]"]
    assert float(cell["value"]) == pytest.approx(np.mean(wanted), rel=1e-5)
    rows = read_table(world / "results/tiny.one.geom_disp/features/fid.judge.parquet").to_pylist()
    here = [r for r in rows if (r["dataset"], r["task"]) == ("first", "cross")]
    of = {role: np.array([r["features"] for r in here if r["role"] == role]) for role in ("generated", "reference")}
    cell = found["first", "cross", "PWM + geom. disp.", "fid[judge]"]
    assert float(cell["value"]) == pytest.approx(frechet_distance(of["generated"], of["reference"]), rel=1e-4)


def test_best_method_is_bold_and_controls_are_not(world):
    text = (world / "out/tables/table1.md").read_text().split("## second")[0]
    lines = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("| ")}
    winner = lines["PWM + geom. disp. + neural codes (second head)"].split("|")
    assert winner[4].strip().startswith("**")  # AKD: closest to the target
    assert "**" in lines["PWM + NMFC"]  # it copies the source: best cross-identity CSIM
    assert "**" not in lines["ground truth"]
    assert "**" not in lines["copy source"]
    assert "FID ↓" in text
    assert "CSIM ↑" in text
    assert lines["X2Face"].count("–") == 9
    assert "[" in winner[2]


def test_table2_puts_the_papers_rows_first_below_them_a_rule(world):
    lines = (world / "out/tables/table2.md").read_text().split("## second")[0].splitlines()
    labels = [line.split("|")[1].strip() for line in lines if line.startswith("| ")][2:]
    assert labels[:3] == ["PWM + geom. disp.", "PWM + neural codes", "—"]
    assert labels[3] == "X2Face"
    assert labels[-2:] == ["copy source", "ground truth"]
    rows = list(csv.DictReader(io.StringIO((world / "out/tables/table2.csv").read_text())))
    assert [row["method"] for row in rows if row["block"] == "paper's rows"][:2] == labels[:2]
    assert rows[0]["same lpips[none]"] == "-"
    assert float(rows[0]["same l1[0-255]"]) > float(rows[1]["same l1[0-255]"])


def test_table3_measures_both_heads_by_both_trackers(world):
    text = (world / "out/tables/table3.md").read_text()
    assert "AED[one] ↓" in text
    assert "APD[two] ↓" in text
    rows = list(csv.DictReader(io.StringIO((world / "out/tables/table3.csv").read_text())))
    methods = [row["method"] for row in rows if (row["dataset"], row["block"]) == ("first", "heads")]
    assert methods == ["PWM + geom. disp. + neural codes", "PWM + geom. disp. + neural codes (second head)"]
    assert len(rows[0]) == 4 + 8


def test_the_papers_numbers_stand_apart_or_beside(world):
    text = (world / "out/tables/table1.md").read_text()
    assert "not comparable" in text
    assert text.index("3.95") > text.index("not comparable")
    beside = report(world, "beside", paper_beside=True) / "tables"
    text = (beside / "table1.md").read_text()
    assert "not comparable" not in text
    line = next(x for x in text.splitlines() if x.startswith("| PWM + geom. disp. + neural codes (second head), paper"))
    assert [x.strip() for x in line.split("|")[2:5]] == ["4.80", "0.779", "4.04"]
    line = next(x for x in (beside / "table3.md").read_text().splitlines() if "neural codes, paper" in x)
    assert [x.strip() for x in line.split("|")[2:5]] == ["0.066", "0.664", "0.088"]


def test_footer_says_what_the_numbers_stand_on(world):
    text = (world / "out/tables/table1.md").read_text()
    pairs = Pairs(world / "pairs.parquet")
    assert pairs.sha256[:12] in text
    assert "first same 27 pairs of 9 people" in text
    assert "first: 9 of 10 test clips, 9 of 10 people; crop fomm_csv+first@12345678, split FOMM's csv." in text
    assert "fid[judge] weights ffffffffffff" in text
    assert "AED 0.012, APD 1.500 degrees" in text
    assert "noise floor on two: not measured" in text
    assert "X2Face, Bi-Layer" in text
    assert text.count("Model of recipe tiny: differs from the paper's in image_px 64 (256), ") == 1
    assert "lpips[none]: lpips: no weights" in (world / "out/tables/table2.md").read_text()


def test_the_page_is_self_contained_and_everything_is_byte_stable(world):
    page = (world / "out/index.html").read_text()
    assert "data:image/png;base64," in page
    assert "<script" not in page
    assert "http" not in page
    assert page.count("<table>") >= 6
    again = report(world, "again")
    tables = ("tables/table1.md", "tables/table3.csv", "tables/scores.csv", "tables/differences.csv")
    for file in (*tables, "plots/rows.csv", "index.html"):
        assert (again / file).read_bytes() == (world / "out" / file).read_bytes()
    linked = (report(world, "linked", embed_pictures=False) / "index.html").read_text()
    assert "data:image" not in linked
    assert "../out/figures/tiny.one.nmfc.png" in linked


def test_differences_are_paired_and_signed(world):
    lines = differences(world / "out")
    found = {(x["dataset"], x["task"], x["method"], x["reference"], x["metric"]): x for x in lines}
    gain = found["first", "same", "PWM + geom. disp.", "copy source", "l1[0-255]"]
    assert float(gain["ci_high"]) < 0
    assert float(gain["p"]) < 0.05
    assert float(found["first", "same", "PWM + geom. disp.", "PWM + NMFC", "l1[0-255]"]["ci_high"]) < 0
    assert not any(x["method"] == "copy source" for x in lines)


def test_rows_are_compared_with_rows_named_beforehand_and_holm_is_within_a_column(world):
    lines = differences(world / "out")
    assert {x["reference"] for x in lines} == {"copy source", "PWM + NMFC"}
    families: dict[str, list[dict[str, str]]] = {}
    for line in lines:
        families.setdefault(line["family"], []).append(line)
    assert set(families) == {
        f"{x['dataset']} {x['task']} {x['metric']} against {x['reference']}" for x in lines
    }  # fmt: skip
    for name, family in families.items():
        p = sorted(float(x["p"]) for x in family)
        adjusted = np.minimum(np.maximum.accumulate(np.array(p) * np.arange(len(p), 0, -1)), 1)
        assert sorted(float(x["p_holm"]) for x in family) == pytest.approx(adjusted, rel=1e-4), name
        assert {int(x["family_size"]) for x in family} == {len(family)} == {4 if "NMFC" in name else 5}
    other = differences(report(world, "other", reference="tiny.two.geom_disp+neural_codes"))
    assert {x["reference"] for x in other} == {"copy source", "PWM + geom. disp. + neural codes (second head)"}
    few = differences(report(world, "few_differences", min_people=10))
    assert {(x["p"], x["p_holm"], x["family_size"]) for x in few} == {("", "", "0")}


@pytest.mark.parametrize(("name", "said"), [("tiny.one.nfmc", "no row is called 'tiny.one.nfmc'"),
                                            ("ground_truth", "ground_truth is a control")])  # fmt: skip
def test_a_reference_that_is_no_row_is_refused(world, name, said):
    with pytest.raises(ValueError, match=f"report.reference: {said}"):
        report(world, "refused", reference=name)


def test_footer_says_how_intervals_and_fid_are_to_be_read(world):
    one, two = ((world / "out" / "tables" / f"table{n}.md").read_text() for n in (1, 2))
    for text in (one, two):
        assert "Student's t over people" in text
        assert "not for training again" in text
        assert "not known for this profile: `python -m benchmarks.seeds` finds out" in text
    assert "FID is biased upward" in one
    assert "FID of `copy source` is 0 and says nothing" in one
    assert "FID is" not in two
    copied = [x for (_, _, row, metric), x in scores(world).items() if (row, metric) == ("copy source", "fid[judge]")]
    assert {(x["value"], x["ci_low"], x["ci_high"]) for x in copied if x["task"] == "cross"} == {("0", "0", "0")}


def test_footer_names_columns_whose_intervals_do_not_cover(world, tmp_path):
    """One person far from the others, in one column of one row."""

    def named(folder: Path) -> list[str]:
        lines = (folder / "tables" / "table2.md").read_text().splitlines()
        return [line for line in lines if "too narrow" in line and "PWM + NMFC" in line]

    assert named(world / "out") == []
    shutil.copytree(world, tmp_path / "world")
    file = tmp_path / "world" / "results" / "tiny.one.nmfc" / "scores.parquet"
    table = read_table(file)
    rows = table.to_pylist()
    for row in rows:
        if (row["dataset"], row["task"], row["metric"]) == ("first", "same", "ssim[gauss11]"):
            row["value"] = 0.9 if int(row["pair_id"][-3:]) % 9 == 4 else 0.1 + 1e-4 * int(row["pair_id"][-3:])
    write_table(file, pa.Table.from_pylist(rows, schema=SCORES), metadata_of(table))
    (line,) = named(report(tmp_path / "world", "out"))
    assert line.startswith("- Intervals of first same ssim[gauss11] are too narrow for some rows: where its own people")
    assert line.endswith("(PWM + NMFC; at least 90% is asked).")


def test_headline_nests_the_selected_row(world):
    row = row_named("tiny.one.neural_codes", pwm_rows(BENCH, MODEL))
    metrics = headline_metrics(row, world / "results", Pairs(world / "pairs.parquet"), "two")
    assert metrics["row"] == row.key
    assert metrics["first"]["same"]["lpips"] is None
    cell = scores(world)["first", "cross", "PWM + neural codes", "aed[judge,two]"]
    assert metrics["first"]["cross"]["aed_two"] == pytest.approx(float(cell["value"]), rel=1e-5)
    with pytest.raises(FileNotFoundError, match="stage `evaluate`"):
        headline_metrics(baseline_rows(BENCH)[0], world / "results", Pairs(world / "pairs.parquet"), "two")


def test_results_of_another_pair_list_are_refused(world, tmp_path):
    make_pairs(tmp_path / "pairs.parquet", people=8)
    with pytest.raises(ValueError, match="evaluate"):
        report_into(tmp_path, world, results=world / "results", pairs=tmp_path / "pairs.parquet")
    with pytest.raises(FileNotFoundError, match="no results"):
        report_into(tmp_path, world, results=tmp_path, pairs=world / "pairs.parquet")


def test_without_any_network_the_tables_hold_l1_ssim_and_reasons(world, tmp_path):
    pairs, hashes = load_pair_frames(world / "pairs.parquet", world / "clips")
    measures = [m if m.backend_name == "pixels" else replace(m, backend=None, reason="no weights")
                for m in make_measures(FakeJudge())]  # fmt: skip
    scorer = Scorer(pairs, hashes, measures, Readings(tmp_path / "scratch", 16))
    scorer.read_references()
    row = paper_rows(BENCH)[0]
    scorer.save_and_score(row.key, row.tasks, copied(pairs.driving_u8), tmp_path / "results" / row.results)
    report_into(tmp_path, world, results=tmp_path / "results", pairs=world / "pairs.parquet")
    lines = list(csv.DictReader(io.StringIO((tmp_path / "tables/scores.csv").read_text())))
    of_row = {(x["task"], x["metric"]): x for x in lines if (x["dataset"], x["method"]) == ("first", row.label)}
    assert float(of_row["same", "l1[0-255]"]["value"]) == 0
    assert float(of_row["same", "ssim[gauss11]"]["value"]) == 1
    assert of_row["cross", "fid[judge]"] | {"value": ""} == of_row["cross", "fid[judge]"]
    assert sum(x["reason"] == "no weights" for x in of_row.values()) == 8 + 5 + 6 + 2
    assert "not evaluated yet" in next(x["reason"] for x in lines if x["method"] == "PWM + neural codes")


def test_few_people_print_their_number_instead_of_an_interval(world):
    out = report(world, "few", min_people=10)
    assert "(n=9 people)" in (out / "tables/table1.md").read_text()
    assert all(line["ci_low"] == "" for line in csv.DictReader(io.StringIO((out / "tables/scores.csv").read_text())))


def test_reports_need_neither_torch_nor_pandas(world):
    code = (
        "import sys; from pathlib import Path; import pipeline.report.headline, pipeline.report.report\n"
        "from pipeline.report.results import Pairs, Result\n"
        f"folder = Path({str(world)!r}); row = next((folder / 'results').glob('**/scores.parquet')).parent\n"
        "Result(row, Pairs(folder / 'pairs.parquet')); print({'torch', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
