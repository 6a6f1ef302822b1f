"""The recipe's targets next to a corpus's figures."""

from corpus_material import make_corpus, rows_of

from manifests.corpus import Corpus
from pipeline.report.targets import targets
from stages.render import Render, RenderSettings


def test_shares_and_spreads_are_those_of_the_rows(small_corpus: Corpus) -> None:
    found = {target.title: target for target in targets(small_corpus)}
    rows = rows_of(small_corpus.dialogues)
    long = [row for row in rows if row["turns"] >= 3]
    share = found["dialogues with a barge-in, of those with three or more turns"]
    lively = sum(row["barge_ins"] > 0 for row in long)
    assert (share.recipe, share.corpus, share.n) == ("50 %", f"{100 * lively / len(long):.1f} %", len(long))
    gap = found["agent's gap, median (80 % between)"]
    assert gap.recipe == "0.64 s" and gap.corpus.startswith(
        f"{small_corpus.info['statistics']['agent_gap_s']['median']:g} s"
    )
    assert found["user's gap, without barge-ins, median (80 % between)"].recipe == "0.3 to 1.2 s"
    assert "dialogues with noise" not in found


def test_a_target_that_the_corpus_misses_is_listed(tmp_path, timelines) -> None:
    record = Render(RenderSettings(noise={"share": 1}), 0).process(timelines[:1])
    corpus = make_corpus(tmp_path, record, ["render.noise.share=1", "render.telephone.share=0.5"])
    found = {target.title: target[1:] for target in targets(corpus)}
    assert found["dialogues with noise"] == ("100 %", "100.0 %", 1)
    assert found["dialogues by telephone"] == ("50 %", "0.0 %", 1)
