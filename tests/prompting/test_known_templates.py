"""The manners of templates that come with widely used models, each written here in short.

Whatever the manner: nothing is wrong with what is rendered, an answer is asked for, shown and
trained on after the same text, and ends with what ends a turn.
"""

from __future__ import annotations

from typing import Any

import pytest

from harness.errors import SpecError
from harness.prompting import PromptRenderer
from harness.prompting.chat_template import ChatTemplate
from harness.prompting.rendering_check import rendering_faults
from tests.tiny_model import TASK, message

SHOTS = (message("a", "Great", "positive"), message("b", "Late \n", "negative"))
ITEM = message("i", "Torn\n\nbox <b>", "negative")
DATE = "2024-05-06"
QUESTION = "Is the message positive or negative?"


def tokenizer_of(template: str, tokens: str, eos: str, bos: str = "") -> Any:
    """A byte-level tokenizer with these control tokens; ``bos`` stands before every text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    special = list(dict.fromkeys([*tokens.split(), eos, *bos.split()]))
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator([QUESTION], trainer)
    if bos:
        core.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", special_tokens=[(one, core.token_to_id(one)) for one in bos.split()]
        )
    made = PreTrainedTokenizerFast(tokenizer_object=core,
        bos_token=bos.split(maxsplit=1)[0] if bos else None,
                                   eos_token=eos, pad_token=eos)  # fmt: skip
    made.chat_template = template
    return made


def turns(user: str, assistant: str, system: str = "", *, head: str = "", asking: str = "") -> str:
    """A template of one text for each role, Q for the content; no system text: it refuses one."""
    refused = "{{ raise_exception('only user and assistant roles') }}"
    texts = [part.replace("Q", "{{ m.content }}") for part in (user, assistant, system or refused)]
    return (
        head + "{% for m in messages %}{% if m.role == 'user' %}" + texts[0]
        + "{% elif m.role == 'assistant' %}" + texts[1] + "{% else %}" + texts[2]
        + "{% endif %}{% endfor %}{% if add_generation_prompt %}" + asking + "{% endif %}"
    )  # fmt: skip


SPLIT = (
    "{% set rest = messages %}{% set s = '' %}{% if messages[0].role == 'system' %}"
    "{% set s = messages[0].content %}{% set rest = messages[1:] %}{% endif %}"
)
ALTERNATE = (
    "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate') }}{% endif %}"
)
ROLES = "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
CHATML = "{% for m in messages %}" + ROLES + "{% endfor %}"
ASKED = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
TURN = "<|im_start|>assistant\n"
MISTRAL = (
    "{{ bos_token }}" + SPLIT + "{% set users = rest | selectattr('role', 'equalto', 'user') | "
        "list %}"
    "{% for m in rest %}{% if m.role == 'user' %}{% if WHEN and s %}[INST] {{ s }}\n\n"
    "{{ m.content }}[/INST]{% else %}[INST] {{ m.content }}[/INST]{% endif %}"
    "{% else %} {{ m.content | trim }}{{ eos_token }}{% endif %}{% endfor %}"
)  # fmt: skip
IM = "<|im_start|> <|im_end|>"
THINKING = IM + " <think> </think>"
# model -> template, control tokens, end of a text, beginning of every text;
# what stands before an answer, what ends it, texts that end a reply
KNOWN: dict[str, tuple[str, str, str, str, str, str, tuple[str, ...]]] = {
    "chatml (yi, internlm, smollm2, lfm2)": (CHATML + ASKED, IM, "<|im_end|>", "", TURN,
        "<|im_end|>", ("<|im_end|>",)),
    "qwen2": ("{% if messages[0].role != 'system' %}<|im_start|>system\nBe kind<|im_end|>\n"
        "{% endif %}" + CHATML + ASKED, IM, "<|im_end|>", "", TURN, "<|im_end|>", ("<|im_end|>",)),
    "qwen3": ("{% set ns = namespace(last=0) %}{% for m in messages %}{% if m.role == 'user' %}"
        "{% set ns.last = loop.index0 %}{% endif %}{% endfor %}{% for m in messages %}"
        "{% if m.role == 'assistant' and loop.index0 > ns.last %}" + TURN +
        "<think>\n\n</think>\n\n"
        "{{ m.content.split('</think>')[-1].lstrip('\n') }}<|im_end|>\n{% else %}" + ROLES
        + "{% endif %}{% endfor %}" + ASKED, THINKING, "<|im_end|>", "",
        TURN + "<think>\n\n</think>\n\n", "<|im_end|>", ("<|im_end|>",)),
    "deepseek-r1": ("{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ "
        "m.content }}"
        "{% endif %}{% endfor %}" + turns("<｜User｜>Q", "<｜Assistant｜>{% if '</think>' in "
        "m.content %}"
        "{{ m.content.split('</think>')[-1] }}{% else %}Q{% endif %}<｜end▁of▁sentence｜>",
        "{{ '' }}", asking="<｜Assistant｜><think>\n"), "<｜User｜> <｜Assistant｜> <think> "
        "</think>",
        "<｜end▁of▁sentence｜>", "<｜begin▁of▁sentence｜>", "<｜Assistant｜>",
        "<｜end▁of▁sentence｜>",
        ("<｜end▁of▁sentence｜>",)),
    "deepseek-v2": (turns("User: Q\n\n", "Assistant: Q{{ eos_token }}", "Q\n\n",
        asking="Assistant:",
        head="{{ bos_token }}"), "", "<end>", "<begin>", "\n\nAssistant: ", "<end>", ("<end>",)),
    "llama-2": ("{% set _ = 0 %}" + SPLIT + "{% for m in rest %}" + ALTERNATE + "{% if m.role == "
        "'user' %}"
        "{% if loop.first and s %}{% set c = '<<SYS>>\n' + s + '\n<</SYS>>\n\n' + m.content %}"
        "{% else %}{% set c = m.content %}{% endif %}{{ bos_token + '[INST] ' + c.strip() + ' "
        "[/INST]' }}"
        "{% else %}{{ ' ' + m.content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}",
        "<unk>", "</s>", "<s>", " [/INST] ", "</s>", ("</s>",)),
    "llama-3.2": ("{{- bos_token }}{%- if not date is defined %}{%- set date = strftime_now('%d "
        "%b %Y') %}"
        "{%- endif %}{%- if not tools is defined %}{%- set tools = none %}{%- endif %}" + SPLIT +
        "{{ '<|start|>system<|header|>\n\nToday Date: ' + date + '\n\n' + s | trim + '<|eot|>' }}"
        "{% for m in rest %}{{ '<|start|>' + m.role + '<|header|>\n\n' + m.content | trim + "
        "'<|eot|>' }}"
        "{% endfor %}{% if add_generation_prompt %}<|start|>assistant<|header|>\n\n{% endif %}",
        "<|start|> <|header|>", "<|eot|>", "<|begin|>", "<|start|>assistant<|header|>\n\n",
        "<|eot|>",
        ("<|eot|>",)),
    "mistral v0.1": (turns("[INST] Q [/INST]", "Q{{ eos_token }} ", head="{{ bos_token }}"),
        "<unk>",
        "</s>", "<s>", " [/INST]", "</s>", ("</s>",)),
    "mistral v0.3": (MISTRAL.replace("WHEN", "loop.last"), "[INST] [/INST]", "</s>", "<s>",
        "[/INST] ",
        "</s>", ("</s>",)),
    "mistral nemo": (MISTRAL.replace("WHEN", "m == users[-1]"), "[INST] [/INST]", "</s>", "<s>",
        "[/INST] ", "</s>", ("</s>",)),
    "mistral small, magistral": (turns("[INST]Q[/INST]", "Q{{ eos_token }}", "[SYS]Q[/SYS]",
        head="{{ bos_token }}{% set today = strftime_now('%Y-%m-%d') %}"), "[INST] [/INST] [SYS] "
        "[/SYS]",
        "</s>", "<s>", "[/INST]", "</s>", ("</s>",)),
    "gemma 2": (turns("<turn>user\n{{ m.content | trim }}<end>\n", "<turn>model\n{{ m.content | "
        "trim }}"
        "<end>\n", head="{{ bos_token }}", asking="<turn>model\n"), "<turn> <end>", "<eos>",
        "<bos>",
        "<turn>model\n", "<end>", ("<end>",)),
    "gemma 3": ("{{ bos_token }}" + SPLIT + "{% for m in rest %}" + ALTERNATE + "{{ '<turn>' + "
        "('model' if "
        "m.role == 'assistant' else 'user') + '\n' + (s + '\n\n' if loop.first and s else '') }}"
        "{% if m.content is string %}{{ m.content | trim }}{% else %}{% for c in m.content %}{{ "
        "c.text }}"
        "{% endfor %}{% endif %}{{ '<end>\n' }}{% endfor %}", "<turn> <end>", "<eos>", "<bos>",
        "<turn>model\n", "<end>", ("<end>",)),
    "phi-3": (turns("<|user|>\nQ<|end|>\n", "<|assistant|>\nQ<|end|>\n", "<|system|>\nQ<|end|>\n",
        asking="<|assistant|>\n{% else %}{{ eos_token }}"), "<|user|> <|assistant|> <|system|> "
        "<|end|>",
        "<|text|>", "", "<|assistant|>\n", "<|end|>", ("<|end|>",)),
    "phi-4, which opens the answer with the "
        "question": (turns("<|im_start|>user<|im_sep|>Q<|im_end|>"
        "<|im_start|>assistant<|im_sep|>", "Q<|im_end|>",
        "<|im_start|>system<|im_sep|>Q<|im_end|>"),
        IM + " <|im_sep|>", "<|im_end|>", "", "<|im_start|>assistant<|im_sep|>", "<|im_end|>",
        ("<|im_end|>",)),
    "gpt-oss": ("{%- macro system() -%}Today: {{ strftime_now('%Y-%m-%d') }}{%- endmacro -%}" +
        SPLIT +
        "<|start|>system<|message|>{{ system() }}<|end|><|start|>developer<|message|># "
        "Instructions\n\n"
        "{{ s }}<|end|>{% for m in rest %}{% if m.role == 'user' %}<|start|>user<|message|>{{ "
        "m.content }}"
        "<|end|>{% else %}{% if 'thinking' in m %}{{ raise_exception('unexpected') }}{% endif "
        "%}<|start|>"
        "assistant<|channel|>final<|message|>{{ m.content }}{% if loop.last and not "
        "add_generation_prompt %}"
        "<|return|>{% else %}<|end|>{% endif %}{% endif %}{% endfor %}{% if add_generation_prompt "
        "%}"
        "<|start|>assistant{% endif %}", "<|start|> <|message|> <|end|> <|channel|>",
        "<|return|>", "",
        "<|start|>assistant<|channel|>final<|message|>", "<|return|>", ("<|return|>", "<|end|>")),
    "command r7b, two ends": (turns("<turn><user>Q<end>", "<turn><bot><answer>Q</answer><end>",
        "<turn><system>Q<end>", asking="<turn><bot>"), "<turn> <user> <bot> <system> <answer> "
        "</answer>",
        "<end>", "<bos>", "<turn><bot><answer>", "</answer><end>", ("</answer><end>", "</answer>")),
    "zephyr, olmo, falcon 3": (turns("<|user|>\nQ\n", "<|assistant|>\nQ{{ eos_token }}"
        "{% if not loop.last %}{{ '\n' }}{% endif %}", "<|system|>\nQ\n",
        asking="<|assistant|>\n"), "",
        "</s>", "", "<|assistant|>\n", "</s>", ("</s>",)),
    "vicuna": (SPLIT + "{{ s or 'A chat.' }}{% for m in rest %}{% if m.role == 'user' %} USER: {{ "
        "m.content "
        "}}{% else %} ASSISTANT: {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}", "",
        "</s>", "<s>",
        " ASSISTANT: ", "</s>", ("</s>",)),
    "alpaca, without control tokens": (turns("### Instruction:\nQ\n\n", "### Response:\nQ\n\n",
        "Q\n\n",
        asking="### Response:\n"), "", "</s>", "<s>", "### Response:\n", "</s>",
        ("</s>", "\n\n### Instruction:")),
    "glm-4.5, where the next role ends a turn": ("[gMASK]<sop>" + turns("<|user|>\nQ",
        "<|assistant|>\n<think></think>\nQ", "<|system|>\nQ", asking="<|assistant|>"),
        "<|user|> <|assistant|> <|system|> <think> </think>", "<|text|>", "[gMASK] <sop>",
        "<|assistant|>\n<think></think>\n", "<|text|>", ("<|text|>", "<|user|>")),
    "nemotron": (turns("<x1>User\nQ\n", "<x1>Assistant\nQ\n", "<x0>System\nQ\n\n",
        asking="<x1>Assistant\n"), "<x0> <x1>", "</s>", "", "<x1>Assistant\n", "</s>", ("</s>",
        "<x1>")),
    "minimax, in parts": (turns("<q>user\n{{ m.content[0].text }}<e>\n", "<q>ai\n{% for c in "
        "m.content | "
        "selectattr('type', 'equalto', 'text') %}{% generation %}{{ c.text }}{% endgeneration "
        "%}{% endfor %}"
        "<e>\n", "<q>system\n{{ m.content[0].text }}<e>\n", asking="<q>ai\n"), "<q>", "<e>", "",
        "<q>ai\n", "<e>", ("<e>",)),
    "exaone": (turns("[|user|]Q\n", "[|assistant|]Q[|end|]\n", "[|system|]Q[|end|]\n",
        asking="[|assistant|]"), "[|user|] [|assistant|] [|system|]", "[|end|]", "",
        "\n[|assistant|]",
        "[|end|]", ("[|end|]",)),
    "hunyuan, an end of all": (turns("<｜U｜>Q", "<｜A｜>Q<｜2｜>", "Q<｜3｜>",
        asking="<｜A｜>{% else %}<｜8｜>"), "<｜U｜> <｜A｜> <｜3｜> <｜8｜>", "<｜2｜>", "",
        "<｜A｜>",
        "<｜2｜>", ("<｜2｜>",)),
    "system last of all": ("{% for m in messages if m.role != 'system' %}" + ROLES + "{% endfor %}"
        "{% for m in messages if m.role == 'system' %}" + ROLES + "{% endfor %}" + ASKED, IM,
        "<|im_end|>",
        "", TURN, "<|im_end|>", ("<|im_end|>",)),
    "a last answer to be gone on with": ("{% for m in messages %}{% if loop.last and m.role == "
        "'assistant' "
        "%}{{ m.content }}{% else %}" + ROLES + "{% endif %}{% endfor %}" + ASKED, IM,
        "<|im_end|>", "",
        TURN, "<|im_end|>", ("<|im_end|>",)),
}  # fmt: skip


@pytest.mark.parametrize("model", KNOWN)
@pytest.mark.parametrize("shots", [(), SHOTS], ids=["zero-shot", "2-shot"])
def test_what_is_rendered_is_what_is_meant(model: str, shots: Any) -> None:
    template, tokens, eos, bos, before, end, stops = KNOWN[model]
    tokenizer = tokenizer_of(template, tokens, eos, bos)
    render = PromptRenderer(tokenizer, TASK, lambda item: shots, date=DATE)
    assert rendering_faults(render, tokenizer, [ITEM]) == []
    assert (render.end, render.stops) == (end, stops)
    rest = render.prompt(ITEM) + render.reply("negative")
    start, _, rest = rest.partition(QUESTION)
    assert not any(word in start for word in ("Great", "Late", "Torn"))
    for example in (*shots, ITEM):
        _, found, rest = rest.partition(example.inputs["text"].strip())
        gap, answered, rest = rest.partition(example.answer)
        assert found and answered and gap.endswith(before), (gap, rest)
    assert rest == end
    trained = render.encode(ITEM)
    assert tokenizer.decode(trained.answer).removeprefix(render.lead) == "negative" + end
    assert tokenizer.decode(trained.prompt).endswith(before.removesuffix(render.lead))
    starts = tuple(tokenizer("")["input_ids"])
    assert trained.prompt[: len(starts)] == starts
    assert not starts or trained.prompt[len(starts) : 2 * len(starts)] != starts
    dated = "06 May 2024" in start or DATE in start
    assert dated == ("Today" in template) == any(DATE in note for note in render.notes)


def test_a_template_that_changes_texts_is_refused_only_for_texts_that_it_changes() -> None:
    squeezing = turns("User: {{ m.content.replace('\\n\\n', '\\n') }}\n", "Bot: Q{{ eos_token }}\n",
                      "Q\n", asking="Bot:")  # fmt: skip
    tokenizer = tokenizer_of(squeezing, "", "</s>")
    render = PromptRenderer(tokenizer, TASK)
    assert render.alters
    assert "changes some texts" in " ".join(render.notes)
    assert rendering_faults(render, tokenizer, SHOTS) == []
    with pytest.raises(SpecError, match=r"changes, leaves out or moves .*'Message: Torn"):
        render.prompt(ITEM)
    (fault,) = rendering_faults(render, tokenizer, [*SHOTS, ITEM])
    assert "chat: false" in fault
    escaping = tokenizer_of(CHATML.replace("m.content", "m.content | e"), IM, "<|im_end|>")
    assert len(rendering_faults(PromptRenderer(escaping, TASK), escaping, [*SHOTS, ITEM])) == 1


def test_a_gap_that_counts_answers_is_refused() -> None:
    counting = turns("Q\n", "Answer {{ loop.index }}: Q\n", "Q\n")
    with pytest.raises(SpecError, match="always write the same between"):
        PromptRenderer(tokenizer_of(counting, "", "</s>"), TASK).prompt(ITEM)


def test_a_stopped_clock_changes_nothing_else() -> None:
    dated = "\n  {% if true %}\n{{ strftime_now('%d %B %Y') }}\n{% endif %}\n" + CHATML
    tokenizer = tokenizer_of(dated, IM, "<|im_end|>")
    now = PromptRenderer(tokenizer, TASK).prompt(ITEM)
    then = ChatTemplate(tokenizer, DATE)
    assert then.prompt([{"role": "user", "content": "x"}]).startswith("\n06 May 2024\n<|im_start|>")
    assert now.startswith("\n") and now[1] != "\n"
