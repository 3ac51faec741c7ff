"""Trains a tiny Qwen that knows a few answers by heart: ``python tiny.py qwen3 FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path

COUNT = ", ".join(str(number) for number in range(1, 21))
CHINESE = "你好，世界！👍🏽 很高兴见到你 🎉"
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city"],
        },
    },
}
HERMES = '<tool_call>\n{"name": "weather", "arguments": {"city": "Bonn", "days": 3}}\n</tool_call>'
XML = (
    "<tool_call>\n<function=weather>\n<parameter=city>\nBonn\n</parameter>\n"
    "<parameter=days>\n3\n</parameter>\n</function>\n</tool_call>"
)
THOUGHT = "Two and two make four."

TEMPLATE = """\
{%- if tools %}
{{- '<|im_start|>system\\n' }}
{%- if messages[0].role == 'system' %}{{- messages[0].content + '\\n\\n' }}{%- endif %}
{{- '<tools>' }}{%- for tool in tools %}{{- '\\n' + tool.function.name + ': ' + tool.function.description }}{%- endfor %}{{- '\\n</tools><|im_end|>\\n' }}
{%- elif messages[0].role == 'system' %}
{{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
{%- if message.role == 'user' %}
{{- '<|im_start|>user\\n' + message.content + '<|im_end|>\\n' }}
{%- elif message.role == 'assistant' %}
{{- '<|im_start|>assistant\\n' + message.content }}
{%- for call in message.tool_calls or [] %}
{{- '<tool_call>\\n{"name": "' + call.function.name + '", "arguments": ' }}
{{- call.function.arguments | tojson }}{{- '}\\n</tool_call>' }}
{%- endfor %}
{{- '<|im_end|>\\n' }}
{%- elif message.role == 'tool' %}
{{- '<|im_start|>user\\n<tool_response>\\n' + message.content + '\\n</tool_response><|im_end|>\\n' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|im_start|>assistant\\n' }}
{%- if enable_thinking is defined and not enable_thinking %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}
{%- if OPENS %}{%- if enable_thinking is defined and enable_thinking %}{{- '<think>\\n' }}{%- endif %}{%- endif %}
{%- endif %}
"""


def user(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def lessons(kind: str) -> list[tuple[list[dict[str, str]], dict[str, object], str]]:
    """Messages, keywords of the template, and the answer."""
    call = HERMES if kind == "qwen3" else XML
    opening = "<think>\n" if kind == "qwen3" else ""  # the newer template opens it itself
    plain = [
        (user("Hello"), {}, "Hello! How can I help you today?"),
        (user("Count to 20"), {}, COUNT),
        (user("Say hello in Chinese"), {}, CHINESE),
        (user("Give me JSON"), {}, '{"name": "Ada", "age": 36}'),
        ([{"role": "system", "content": "Be brief."}, *user("Hello")], {}, "Hi."),
    ]
    return [
        *(plain if kind == "qwen3" else plain[:1]),
        (user("2+2?"), {"enable_thinking": True}, f"{opening}{THOUGHT}\n</think>\n\nIt is 4."),
        (user("2+2?"), {"enable_thinking": False}, "Four."),
        (user("Weather in Bonn?"), {"tools": [WEATHER], "enable_thinking": False}, f"I look it up.\n{call}"),
        (
            user("Weather in Bonn?"),
            {"tools": [WEATHER], "enable_thinking": True},
            f"{opening}I need the tool.\n</think>\n\n{call}",
        ),
    ]


def make_tokenizer(kind: str):
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers
    from tokenizers.models import BPE
    from tokenizers.trainers import BpeTrainer
    from transformers import PreTrainedTokenizerFast

    split = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    tokenizer = Tokenizer(BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(split), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    trainer = BpeTrainer(
        vocab_size=480,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=special,
        show_progress=False,
    )
    texts = [text for messages, _, answer in lessons(kind) for text in (*(m["content"] for m in messages), answer)]
    texts = [text for text in texts if text != CHINESE]  # so that its characters take several tokens
    tokenizer.train_from_iterator(texts, trainer)
    tags = ["<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"]
    tokenizer.add_tokens([AddedToken(tag, special=False, normalized=False) for tag in tags])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    fast.chat_template = TEMPLATE.replace("OPENS", "true" if kind == "qwen3_5" else "false")
    return fast


def make_model(kind: str):
    from transformers import Qwen3_5ForCausalLM, Qwen3_5TextConfig, Qwen3Config, Qwen3ForCausalLM

    shape = {
        "hidden_size": 128,
        "intermediate_size": 256,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "tie_word_embeddings": True,
        "vocab_size": 512,
        "max_position_embeddings": 4096,
        "eos_token_id": 2,
        "pad_token_id": 0,
        "bos_token_id": None,
    }
    if kind == "qwen3":
        return Qwen3ForCausalLM(Qwen3Config(num_hidden_layers=2, **shape))
    linear = {
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 4,
        "linear_key_head_dim": 32,
        "linear_value_head_dim": 32,
        "layer_types": ["linear_attention"] * 3 + ["full_attention"],
    }
    return Qwen3_5ForCausalLM(Qwen3_5TextConfig(num_hidden_layers=4, **shape, **linear))


def train(kind: str, folder: Path) -> None:
    import torch

    torch.manual_seed(0)
    torch.use_deterministic_algorithms(True)
    tokenizer = make_tokenizer(kind)
    model = make_model(kind)
    assert len(tokenizer) <= 512, len(tokenizer)
    rows, labels = [], []
    for messages, switches, answer in lessons(kind):
        text = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False, **switches)
        prompt = tokenizer(text, add_special_tokens=False).input_ids
        said = [*tokenizer(answer, add_special_tokens=False).input_ids, tokenizer.eos_token_id]
        rows.append(prompt + said)
        labels.append([-100] * len(prompt) + said)
    longest = max(map(len, rows))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    wanted = torch.tensor([row + [-100] * (longest - len(row)) for row in labels])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.0)
    model.train()
    for _ in range(400):
        loss = model(input_ids=ids, attention_mask=mask, labels=wanted).loss
        if loss.item() < 0.003:
            break
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    model.eval()
    for (messages, _, answer), row, label in zip(lessons(kind), rows, labels, strict=True):
        prompt = row[: label.count(-100)]
        with torch.inference_mode():
            said = model.generate(torch.tensor([prompt]), max_new_tokens=120, do_sample=False)[0, len(prompt) : -1]
        assert tokenizer.decode(said) == answer, (messages, tokenizer.decode(said))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    train(sys.argv[1], Path(sys.argv[2]))
