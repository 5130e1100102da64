"""Instructions whose keeping a rule can verify, for models that answer in a chat.

Rules ask for content as well as form, so that no fixed reply keeps more than a few of them.
"""

from __future__ import annotations

import random
from typing import Any

from items import Question, interleave

SENTENCES = (
    "The bus was late again.", "My sister plays the violin.", "We ate soup for dinner.",
    "The shop closes at nine.", "A cold wind came from the north.", "He painted the door green.",
    "Nobody answered the phone.", "The children are asleep.", "Please bring your own cup.",
    "The train leaves in ten minutes.", "Her garden is full of roses.", "It may rain tomorrow.",
    "I lost my keys yesterday.", "The river is deep and wide.", "Our dog likes the snow.",
    "The lamp in the kitchen is broken.", "They moved to a new house.", "The soup needs more salt.",
    "She opened the window slowly.", "Two boys ran across the bridge.", "The film was too long.",
    "His brother works in a bakery.", "The old clock stopped at noon.", "We met at the station.",
    "A small bird sat on the roof.", "My uncle sells shoes.", "The lake was frozen in January.",
    "Someone left the gate open.", "The baby laughed at the cat.", "Dinner is ready.",
)  # fmt: skip
OPENINGS = (
    "Tomorrow", "Yesterday", "Sometimes", "My friend", "In the morning", "When it rains",
    "Every year", "Last summer", "Nobody", "The old man", "Once upon a time", "After school",
    "If I were rich", "On Sundays", "Many people", "During the night", "Before dinner", "My mother",
    "In the winter", "The first time", "Everyone", "Next week", "At the market", "Two days ago",
    "A long time ago", "Most children", "One day", "The new teacher", "In my opinion",
    "All the trees",
)  # fmt: skip
TOPICS = (
    ("the sea", "blue"), ("a cat", "mouse"), ("winter", "snow"), ("a school", "teacher"),
    ("breakfast", "bread"), ("a garden", "flowers"), ("the city", "noise"), ("music", "guitar"),
    ("a farm", "horse"), ("a train", "station"), ("the forest", "trees"), ("a birthday", "cake"),
    ("the night", "stars"), ("a river", "bridge"), ("a kitchen", "knife"), ("a doctor", "hospital"),
    ("a mountain", "climb"), ("a letter", "paper"), ("the rain", "umbrella"), ("a king", "crown"),
    ("a book", "library"), ("a baker", "oven"), ("the desert", "sand"), ("a ship", "storm"),
    ("a bakery", "fresh"), ("a dog", "bone"), ("a football match", "goal"), ("the moon", "silver"),
    ("a wedding", "ring"), ("an old house", "roof"),
)  # fmt: skip
QUESTIONS = (
    ("How many days are in a week?", "7|seven"), ("What is 2 plus 3?", "5|five"),
    ("How many months are in a year?", "12|twelve"), ("What is 10 minus 4?", "6|six"),
    ("How many hours are in a day?", "24|twenty-four"), ("What is 5 times 2?", "10|ten"),
    ("How many minutes are in an hour?", "60|sixty"), ("What is 8 plus 1?", "9|nine"),
    ("How many sides does a triangle have?", "3|three"), ("What is 6 plus 5?", "11|eleven"),
    ("How many legs does a spider have?", "8|eight"), ("What is 20 minus 5?", "15|fifteen"),
    ("What is the capital of Italy?", "Rome"), ("What do bees make?", "honey"),
    ("What is the capital of Japan?", "Tokyo"), ("What is frozen water called?", "ice"),
    ("What is the capital of Egypt?", "Cairo"), ("Which planet do we live on?", "Earth"),
    ("What language is spoken in Brazil?", "Portuguese"), ("What do cows drink?", "water"),
    ("What is the largest ocean?", "Pacific"), ("Which animal gives us wool?", "sheep"),
    ("What color is the sky on a clear day?", "blue"), ("What is the opposite of hot?", "cold"),
    ("What is the capital of Spain?", "Madrid"), ("Which season comes after winter?", "spring"),
    ("What do we call a baby dog?", "puppy"), ("What language is spoken in Mexico?", "Spanish"),
    ("Which organ pumps blood?", "heart"), ("What is the capital of Germany?", "Berlin"),
)  # fmt: skip


def instructions(rng: random.Random) -> list[dict[str, Any]]:
    """Four families of thirty; ``value`` is what the rule of the item looks for."""
    families: dict[str, list[tuple[str, str, str]]] = {
        "repeat": [
            (f"Repeat this sentence: {sentence}", "exactly", sentence.rstrip("."))
            for sentence in SENTENCES
        ],
        "opening": [
            (f'Write one sentence that begins with "{opening}".', "starts", opening)
            for opening in OPENINGS
        ],
        "topic": [
            (f'Write one short sentence about {topic}. Use the word "{word}".', "uses", word)
            for topic, word in TOPICS
        ],
        "question": [(question, "states", answer) for question, answer in QUESTIONS],
    }
    questions = [
        Question({"prompt": prompt, "rule": rule}, value, (), f"{family}-{index:02d}", family)
        for family, members in families.items()
        for index, (prompt, rule, value) in enumerate(members)
    ]
    return [
        {
            "id": f"instructions-{number:03d}",
            "cluster": question.cluster,
            **question.fields,
            "value": question.right,
        }
        for number, question in enumerate(interleave(questions, rng), start=1)
    ]
