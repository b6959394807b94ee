import pytest

from spp_keras.comparison import verdicts
from spp_keras.comparison.paired_intervals import Interval

BETTER, NONE = Interval(0.041, 0.012, 0.07), Interval(0.0, -0.01, 0.01)
WORSE = Interval(-0.052, -0.1, -0.004)


@pytest.mark.parametrize(
    ("interval", "word", "clause"),
    [
        (BETTER, "shown", "whole images are classified better than warped ones: +4.1 points"),
        (NONE, "not shown", "no difference between whole and warped images could be shown: 0.0"),
        (WORSE, "shown the other way", "warped images are classified better than whole ones: +5.2"),
        (Interval(0.0, 0.0, 0.0), "not shown", "no difference between whole and warped images"),
    ],
    ids=str,
)
def test_the_interval_decides(interval, word, clause):
    assert verdicts.judge(interval, images_per_class=20) == word
    said = verdicts.describe_difference(word, interval, "whole", "warped")
    assert said.startswith(clause)


def test_the_other_way_turns_the_interval_around():
    said = verdicts.describe_difference(verdicts.OTHER_WAY, WORSE, "whole", "warped")
    assert said.endswith("+5.2 points [+0.4, +10.0]")


@pytest.mark.parametrize(("images", "can"), [(4.9, False), (5.0, True)])
def test_few_test_images_judge_nothing(images, can):
    assert (verdicts.judge(BETTER, images) == verdicts.SHOWN) == can


def test_one_sentence_answers():
    words = [verdicts.SHOWN, verdicts.NOT_SHOWN]
    assert verdicts.summarize("photos/", words, [BETTER, NONE], 20) == (
        "On photos/, whole images are classified better than warped ones: +4.1 points "
        "[+1.2, +7.0]; no difference between whole and cropped images could be shown: 0.0 points "
        "[-1.0, +1.0]."
    )
