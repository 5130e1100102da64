"""Instructions whose keeping a rule can verify, for models that answer in a chat.

Rules ask for content as well as form, so that no fixed reply keeps more than a few of them.
"""

from __future__ import annotations

import random
from typing import Any

from words import KINDS

SENTENCES = (
    "The bus was late again.", "My sister plays the violin.", "We ate soup for dinner.",
    "The shop closes at nine.", "A cold wind came from the north.", "He painted the door green.",
    "Nobody answered the phone.", "The children are asleep.", "Please bring your own cup.",
    "The train leaves in ten minutes.", "Her garden is full of roses.", "They moved to a new house.",
    "I lost my keys yesterday.", "The river is deep and wide.", "Our dog likes the snow.",
    "The lamp in the kitchen is broken.",
)  # fmt: skip
YES = (
    "Is ice cold?", "Can birds fly?", "Is the sun hot?", "Do fish live in water?",
    "Is Paris in France?", "Do cows eat grass?", "Is water wet?", "Do cars have wheels?",
)  # fmt: skip
NO = (
    "Is fire cold?", "Can stones swim?", "Is the moon made of cheese?", "Do fish have legs?",
    "Is London in Japan?", "Do cats have wings?", "Is snow black?", "Can trees walk?",
)  # fmt: skip
OPENINGS = (
    "Tomorrow", "Yesterday", "Sometimes", "My friend", "In the morning", "When it rains",
    "Every year", "Last summer", "Nobody", "The old man", "Once upon a time", "After school",
    "If I were rich", "On Sundays", "Many people", "During the night",
)  # fmt: skip
TOPICS = (
    ("the sea", "blue"), ("a cat", "sleep"), ("winter", "snow"), ("a school", "teacher"),
    ("breakfast", "bread"), ("a garden", "flowers"), ("the city", "noise"), ("music", "guitar"),
    ("a farm", "horse"), ("a train", "station"), ("the forest", "trees"), ("a birthday", "cake"),
    ("the night", "stars"), ("a river", "bridge"), ("a kitchen", "knife"), ("a doctor", "hospital"),
)  # fmt: skip
CAPITALS = (
    "apple", "river", "window", "garden", "yellow", "summer", "bridge", "tiger",
    "orange", "music", "paper", "winter", "silver", "doctor", "forest", "candle",
)  # fmt: skip
LISTED = ("fruit", "color", "sport", "vegetable", "tool", "drink", "musical instrument", "vehicle")
WIDER = {
    "fruit": "apple orange berry melon pineapple kiwi papaya fig pomegranate",
    "color": "red black white orange grey violet gold silver indigo",
    "sport": "soccer baseball volleyball running cycling skiing baseball badminton wrestling",
    "vegetable": "potato tomato pepper bean pea kale cauliflower garlic zucchini corn",
    "tool": "pliers knife scissors spade rake screw ladder tape level",
    "drink": "water soda cola smoothie cider vodka rum gin lemon",
    "musical instrument": "saxophone bass oboe trombone tuba banjo ukulele organ keyboard",
    "vehicle": "train airplane plane boat ship helicopter scooter bike suv",
}
NUMBERS = (
    ("How many legs does a dog have?", "4|four"), ("How many days are in a week?", "7|seven"),
    ("How many months are in a year?", "12|twelve"), ("What is 2 plus 3?", "5|five"),
    ("How many hours are in a day?", "24|twenty-four"), ("What is 10 minus 4?", "6|six"),
    ("How many minutes are in an hour?", "60|sixty"), ("What is 5 times 2?", "10|ten"),
    ("How many wheels does a bicycle have?", "2|two"), ("What is 8 plus 1?", "9|nine"),
    ("How many sides does a triangle have?", "3|three"), ("What is 6 plus 5?", "11|eleven"),
    ("How many letters are in the English alphabet?", "26|twenty-six"),
    ("How many legs does a spider have?", "8|eight"), ("What is 20 minus 5?", "15|fifteen"),
    ("How many seconds are in a minute?", "60|sixty"),
)  # fmt: skip


def _members(kind: str) -> list[str]:
    return sorted({*KINDS[kind].split(), *WIDER[kind].split()})


def instructions(rng: random.Random) -> list[dict[str, Any]]:
    """Eight families of sixteen instructions, dealt so that any first n hold each alike."""
    families: dict[str, list[tuple[str, str, str]]] = {
        "repeat": [(f"Repeat this sentence: {s}", "exactly", s.rstrip(".")) for s in SENTENCES],
        "yes_no": [
            *((f"{q} Answer only yes or no.", "one_of", "yes") for q in YES),
            *((f"{q} Answer only yes or no.", "one_of", "no") for q in NO),
        ],
        "opening": [
            (f'Write one sentence that begins with "{opening}".', "starts", opening)
            for opening in OPENINGS
        ],
        "topic": [
            (f'Write one short sentence about {topic}. Use the word "{word}".', "contains", word)
            for topic, word in TOPICS
        ],
        "capitals": [
            (f'Write the word "{word}" in capital letters.', "exactly", word.upper())
            for word in CAPITALS
        ],
        "one_word": [
            (f"Name one {kind}. {ending}", "one_of", "|".join(_members(kind)))
            for kind in LISTED
            for ending in ("Reply with one word only.", "Answer in a single word.")
        ],
        "list": [
            (f"List {word} {kind}s, one per line, with no other text.", "lines",
             "|".join([str(count), *_members(kind)]))
            for kind in LISTED
            for count, word in ((3, "three"), (4, "four"))
        ],
        "number": [(f"{q} Reply with the number only.", "one_of", a) for q, a in NUMBERS],
    }  # fmt: skip
    for members in families.values():
        rng.shuffle(members)
    items = []
    for round_ in zip(*families.values(), strict=True):
        dealt = list(zip(families, round_, strict=True))
        rng.shuffle(dealt)
        for family, (prompt, rule, value) in dealt:
            items.append(
                {
                    "id": f"instructions-{len(items) + 1:03d}",
                    "cluster": f"{family}",
                    "prompt": prompt,
                    "rule": rule,
                    "value": value,
                }
            )
    return items
