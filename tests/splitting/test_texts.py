import pyarrow as pa

from steps.rows import MESSAGES
from steps.splitting.texts import sides_of


def conversation(*turns):
    return [{"role": role, "content": content} for role, content in turns]


def test_each_side_is_one_text_system_turns_are_left_out_and_chunks_change_nothing():
    rows = [
        conversation(("system", "Be kind."), ("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")),
        conversation(("user", "e")),
        conversation(("assistant", "f")),
        [],
        conversation(("user", "g"), ("tool", "h"), ("assistant", "i")),
    ]
    expected = (["a\n\nc", "e", "", "", "g\n\nh"], ["b\n\nd", "", "f", "", "i"])
    for chunks in ([rows], [rows[:2], rows[2:]], [rows[:1], [], rows[1:]]):
        table = pa.table({"messages": pa.chunked_array(chunks, MESSAGES)})
        assert tuple(side.to_pylist() for side in sides_of(table)) == expected
    sliced = pa.table({"messages": pa.chunked_array([rows], MESSAGES)}).slice(1, 3)
    assert tuple(side.to_pylist() for side in sides_of(sliced)) == (["e", "", ""], ["", "f", ""])
