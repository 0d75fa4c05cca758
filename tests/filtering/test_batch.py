from steps.filtering.batch import Batch


def test_answers_and_prompts_of_each_row_are_joined_and_an_absent_side_is_empty(examples):
    batch = Batch(
        examples(
            [("system", "S"), ("user", "U1"), ("assistant", "A1"), ("user", "U2"), ("assistant", "A2")],
            [("user", "only a question")],
            [("assistant", "only text")],
        )
    )
    assert batch.answers.to_pylist() == ["A1\n\nA2", "", "only text"]
    assert batch.prompts.to_pylist() == ["S\n\nU1\n\nU2", "only a question", ""]
    assert batch.turn_rows.tolist() == [0, 0, 0, 0, 0, 1, 2]


def test_a_slice_of_a_table_is_a_batch_of_its_own_rows(examples):
    table = examples([("user", "a"), ("assistant", "b")], [("user", "c"), ("assistant", "d")])
    batch = Batch(table.slice(1))
    assert batch.answers.to_pylist() == ["d"]
    assert batch.turn_rows.tolist() == [0, 0]
