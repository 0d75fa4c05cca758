import hashlib

import pytest

from steps.chat.render import IGNORED, encode, encode_prompt
from steps.chat.template import CHATML, TEMPLATES, ChatTemplate, check_template, describe, install, template_of
from steps.errors import InputError
from tests.chat.conftest import bare_tokenizer

MESSAGES = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Name a colour."},
    {"role": "assistant", "content": "Blue."},
]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "chatml",
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nName a colour.<|im_end|>\n"
            "<|im_start|>assistant\nBlue.<|im_end|>\n",
        ),
        (
            "llama3",
            "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\nName a colour.<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\nBlue.<|eot_id|>",
        ),
        ("mistral", "<s>[INST] Be brief.\n\nName a colour.[/INST] Blue.</s>"),
    ],
)
def test_shipped_templates_render_their_format_and_pass_the_check(name, text):
    tokenizer = bare_tokenizer()
    install(tokenizer, TEMPLATES[name])
    check_template(tokenizer, TEMPLATES[name])
    encoded = encode(tokenizer, MESSAGES)
    assert tokenizer.decode(encoded.input_ids) == text
    trained = tokenizer.decode([label for label in encoded.labels if label != IGNORED])
    assert trained.strip() == "Blue." + TEMPLATES[name].end_of_turn
    prompt = encode_prompt(tokenizer, MESSAGES[:2])
    assert encoded.input_ids[: len(prompt)] == prompt
    assert encoded.labels[len(prompt)] != IGNORED


def test_installing_reports_the_tokens_that_need_embeddings():
    assert install(bare_tokenizer(), TEMPLATES["chatml"]) == ["<|im_start|>", "<|im_end|>"]
    assert install(bare_tokenizer("<|im_start|>", "<|im_end|>"), TEMPLATES["chatml"]) == []


def test_installing_keeps_pad_apart_from_eos():
    tokenizer = bare_tokenizer()
    install(tokenizer, TEMPLATES["chatml"])
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("<|im_end|>", "<|endoftext|>")
    mistral = bare_tokenizer("</s>")
    mistral.eos_token = mistral.pad_token = "</s>"
    added = install(mistral, TEMPLATES["mistral"])
    assert mistral.pad_token == "<|pad|>"
    assert "<|pad|>" in added


def test_a_token_in_pieces_is_refused():
    tokenizer = bare_tokenizer()
    tokenizer.chat_template = CHATML
    with pytest.raises(InputError, match=r"needs '<\|im_start\|>' as one special token, but the tokenizer splits it"):
        check_template(tokenizer, TEMPLATES["chatml"])


def test_eos_as_pad_is_refused(tokenizer):
    tokenizer.pad_token = tokenizer.eos_token
    with pytest.raises(InputError, match="EOS and pad are the same token"):
        check_template(tokenizer, TEMPLATES["chatml"])


def changed(tokenizer, old, new):
    assert old in CHATML
    text = CHATML.replace(old, new)
    tokenizer.chat_template = text
    return ChatTemplate("own", text, ("<|im_start|>", "<|im_end|>"), "<|im_end|>")


def test_a_template_that_does_not_train_the_end_of_turn_is_refused(tokenizer):
    broken = changed(
        tokenizer,
        "+ '<|im_end|>' }}{%- endgeneration %}",
        "}}{%- endgeneration %}{{- '<|im_end|>' }}",
    )
    with pytest.raises(InputError, match="does not train its end-of-turn token"):
        check_template(tokenizer, broken)


def test_a_template_without_markers_is_refused(tokenizer):
    broken = changed(tokenizer, "{%- generation %}", "")
    text = broken.text.replace("{%- endgeneration %}", "")
    tokenizer.chat_template = text
    with pytest.raises(InputError, match=r"no \{% generation %\} markers"):
        check_template(tokenizer, ChatTemplate("own", text, (), "<|im_end|>"))


def test_a_template_that_prompts_otherwise_than_it_trains_is_refused(tokenizer):
    broken = changed(tokenizer, "'<|im_start|>assistant\\n'", "'<|im_start|>assistant\\n<think>'")
    with pytest.raises(InputError, match="not prefix-preserving"):
        check_template(tokenizer, broken)


def test_a_model_directory_gives_its_template_back(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    found = template_of(tmp_path)
    assert found == TEMPLATES["chatml"]
    assert found.sha256 == hashlib.sha256(CHATML.encode()).hexdigest()


def test_a_directory_without_template_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"neither chat_template\.jinja"):
        template_of(tmp_path)


def test_an_unknown_template_is_called_own():
    assert describe("{{ messages }}", "</s>").name == "own"
