"""Real model servers on loopback, with a tiny model of random weights: llama.cpp (xllamacpp) and `transformers serve`.

    python tests/servers.py llama_cpp tiny.gguf        # by hand; prints its address, ends when standard input closes

The model says nothing of sense, yet all that a server does with it is real: chat template, sampling, grammars of JSON
schemas, log-probabilities, decisions. A server runs in a process of its own, and ends with its handle or its parent.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from random import Random
from typing import IO, Any

#: Longest prompt and reply together; a judge's prompt takes about a thousand tokens of the tiny tokenizer.
CONTEXT_TOKENS = 8_192
#: Requests that llama.cpp answers at once.
SLOTS = 4
#: `transformers serve` takes 10 s on an idle machine, and a minute and a half on a busy one.
START_S = 300
_LAYERS, _HEADS, _KEY_VALUE_HEADS, _WIDTH, _INNER = 2, 4, 2, 64, 128


def write_tiny_model(folder: Path) -> Path:
    """Write a llama of two layers and random weights, a byte-level tokenizer and the ChatML template."""
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    tokenizer = _tokenizer()
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(tokenizer),
                hidden_size=_WIDTH,
                intermediate_size=_INNER,
                num_hidden_layers=_LAYERS,
                num_attention_heads=_HEADS,
                num_key_value_heads=_KEY_VALUE_HEADS,
                max_position_embeddings=CONTEXT_TOKENS,
                tie_word_embeddings=False,
                bos_token_id=None,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
                initializer_range=0.2,
            )
        )
        _lean(model, tokenizer)
    # Without it `transformers serve` never samples, whatever temperature a request asks for.
    model.generation_config = GenerationConfig(
        do_sample=True, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _lean(model: Any, tokenizer: Any) -> None:
    """Make the end of a turn and of a string likelier, so that replies end, and control and non-ASCII bytes impossible.

    The first entry of all embeddings is the same, and no layer adds to it: for the output layer it is a bias.
    """
    model.model.embed_tokens.weight[:, 0] = 4.0
    for layer in model.model.layers:
        layer.self_attn.o_proj.weight[0] = 0.0
        layer.mlp.down_proj.weight[0] = 0.0
    bias = model.lm_head.weight[:, 0]
    bias.zero_()
    for token, number in tokenizer.get_vocab().items():
        if not all("!" <= character <= "~" or character == "Ġ" for character in token):
            bias[number] = -40.0
    bias[tokenizer.all_special_ids] = -40.0
    bias[tokenizer.eos_token_id], bias[tokenizer.convert_tokens_to_ids('"')] = 7.0, 4.0


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    from steps.chat.template import TEMPLATES, install
    from steps.training.tiny_text import pretraining_text

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    random = Random(0)
    trainer = trainers.BpeTrainer(
        vocab_size=1_000,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    core.train_from_iterator([pretraining_text(random) for _ in range(200)], trainer)
    # The labels of a yes/no decision must be single tokens.
    core.add_tokens([word for word in ("Yes", "No") if core.token_to_id(word) is None])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|endoftext|>")
    install(tokenizer, TEMPLATES["chatml"])
    return tokenizer


def write_gguf(model: Path, path: Path) -> Path:
    """Write a llama of `write_tiny_model` in llama.cpp's format, weights and tokenizer."""
    import gguf
    from safetensors.torch import load_file

    config = json.loads((model / "config.json").read_text())
    weights = {name: tensor.float().numpy() for name, tensor in load_file(model / "model.safetensors").items()}
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_dimension_count(config["hidden_size"] // config["num_attention_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    _add_tokenizer(writer, model, config)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config["num_hidden_layers"])
    heads = {"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}
    for name, tensor in weights.items():
        found = next((n for part, n in heads.items() if part in name), None)
        renamed = names.get_name(name, try_suffixes=(".weight",))
        writer.add_tensor(renamed, tensor if found is None else _interleaved(tensor, found))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_tokenizer(writer: Any, model: Path, config: dict[str, Any]) -> None:
    import gguf

    found = json.loads((model / "tokenizer.json").read_text(encoding="utf-8"))
    added = {each["content"]: each for each in found["added_tokens"]}
    ids = {**found["model"]["vocab"], **{content: each["id"] for content, each in added.items()}}
    tokens = sorted(ids, key=ids.__getitem__)
    kinds = [
        gguf.TokenType.NORMAL
        if token not in added
        else gguf.TokenType.CONTROL
        if added[token]["special"]
        else gguf.TokenType.USER_DEFINED
        for token in tokens
    ]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(pair) for pair in found["model"]["merges"]])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_pad_token_id(config["pad_token_id"])
    writer.add_add_bos_token(False)
    writer.add_chat_template((model / "chat_template.jinja").read_text(encoding="utf-8"))


def _interleaved(weight: Any, heads: int) -> Any:
    """Reorder the rows of a head: llama.cpp rotates neighbours, transformers the two halves."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


class Server:
    """A server in a process of its own.

    Attributes:
        base_url: Address up to and including `/v1`.
    """

    def __init__(self, kind: str, model: Path) -> None:
        self._command = [sys.executable, str(Path(__file__)), kind, str(model)]

    def __enter__(self) -> Server:
        self._output: IO[str] = tempfile.TemporaryFile("w+", encoding="utf-8")
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=self._output, stderr=subprocess.STDOUT, env=environment
        )
        self.base_url = f"{self._address()}/v1"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._output.close()

    def _address(self) -> str:
        """Wait until the server says where it listens."""
        deadline = time.monotonic() + START_S
        while self._process.poll() is None and time.monotonic() < deadline:
            if found := re.search(r"http://127\.0\.0\.1:\d+", self._said()):
                return found[0]
            time.sleep(0.05)
        self._process.kill()
        raise RuntimeError(f"the server did not start: {self._said()}")

    def _said(self) -> str:
        # Not the stream itself: it shares its position with the writing process.
        return os.pread(self._output.fileno(), 1 << 20, 0).decode("utf-8", "replace")


def _serve_llama_cpp(path: str) -> None:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = path
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_parallel, params.n_ctx = SLOTS, SLOTS * CONTEXT_TOKENS
    params.warmup = False
    params.verbosity = -1
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    threading.Event().wait()


def _serve_transformers(path: str) -> None:
    from transformers.cli.transformers import app

    sys.argv = ["transformers", "serve", path, "--host", "127.0.0.1", "--port", "0", "--device", "cpu"]
    app()


def _end_with_parent() -> None:
    def watch() -> None:
        sys.stdin.buffer.read()
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    _end_with_parent()
    {"llama_cpp": _serve_llama_cpp, "transformers": _serve_transformers}[sys.argv[1]](sys.argv[2])
