"""Agreement on saved judgments and labels of real people."""

import pytest

from benchmarks.agreement import annotations, llmbar, llmbar_record, people_record, preference_labels

pytestmark = pytest.mark.real_data


@pytest.fixture(scope="module")
def people(real_data):
    return people_record(real_data)


def test_agreement_of_saved_judges_is_what_their_authors_counted(real_data):
    record = llmbar_record(*llmbar(real_data))
    plain = {judge["judge"]: judge for judge in record["plain"]["judges"]}
    published = {"GPT-4/Vanilla": (0.955, 0.95), "ChatGPT/Vanilla": (0.815, 0.71), "LLaMA2/Vanilla": (0.805, 0.79)}
    for name, (average, equal) in published.items():  # `correct_average` and `equal` of their statistics.json
        assert plain[name]["agreement"]["value"] == pytest.approx(average)
        assert plain[name]["position"]["consistent"]["value"] == pytest.approx(equal)
    weak = next(jury for jury in record["juries"] if "ratings" in jury["jury"])
    assert weak["holdout"]["weighted"] > weak["holdout"]["best"]
    strong = next(jury for jury in record["juries"] if "GPT-4" in jury["jury"])
    assert strong["holdout"]["weighted"] > strong["majority_of_all"]  # one judge far better than the two others


def test_display_order_is_minded_where_two_people_saw_the_models_in_opposite_places(people):
    assert (people["n_annotations"], people["n_annotators"]) == (1141, 16)
    assert (people["n_doubly"], people["n_in_opposite_orders"]) == (121, 77)
    minded, ignored = (people[name]["people"] for name in ("order_minded", "order_ignored"))
    assert minded["ceiling"]["value"] == pytest.approx(0.676, abs=0.01)
    assert ignored["ceiling"]["value"] < 0.5
    assert minded["alpha"]["nominal"]["low"] > ignored["alpha"]["nominal"]["value"]


def test_a_judge_that_counts_characters_agrees_with_people_as_often_as_the_longer_answer_wins(people):
    (longer,) = people["order_minded"]["judges"]
    assert longer["agreement"]["value"] == pytest.approx(longer["length"]["people_longer_wins"]["value"], abs=0.01)
    assert not longer["passes"]


def test_both_sides_of_a_swapped_pair_carry_the_same_texts(real_data):
    texts = {}
    for label in preference_labels(annotations(real_data)):
        texts.setdefault(label.item_id, set()).add(label.texts)
    assert max(map(len, texts.values())) == 1
