"""What words mean: opposites, and kinds of things."""

from __future__ import annotations

import random

from items import Question

ADJECTIVES = (
    ("hot", "cold"), ("big", "small"), ("fast", "slow"), ("happy", "sad"), ("rich", "poor"),
    ("strong", "weak"), ("full", "empty"), ("early", "late"), ("easy", "difficult"),
    ("light", "dark"), ("wet", "dry"), ("young", "old"), ("loud", "quiet"), ("clean", "dirty"),
    ("open", "closed"), ("safe", "dangerous"), ("cheap", "expensive"), ("thick", "thin"),
    ("deep", "shallow"), ("wide", "narrow"), ("sweet", "bitter"), ("sharp", "blunt"),
    ("hard", "soft"), ("high", "low"), ("true", "false"), ("brave", "cowardly"),
    ("polite", "rude"), ("generous", "selfish"), ("public", "private"), ("ancient", "modern"),
    ("smooth", "rough"), ("guilty", "innocent"), ("left", "right"), ("simple", "complex"),
    ("positive", "negative"), ("male", "female"), ("asleep", "awake"), ("alive", "dead"),
)  # fmt: skip
VERBS = (
    ("buy", "sell"), ("give", "take"), ("win", "lose"), ("push", "pull"), ("love", "hate"),
    ("arrive", "depart"), ("accept", "reject"), ("increase", "decrease"), ("begin", "end"),
    ("remember", "forget"), ("build", "destroy"), ("borrow", "lend"), ("rise", "fall"),
    ("attack", "defend"), ("laugh", "cry"), ("succeed", "fail"), ("expand", "contract"),
    ("float", "sink"), ("include", "exclude"), ("praise", "criticize"),
)  # fmt: skip
NOUNS = (
    ("day", "night"), ("war", "peace"), ("friend", "enemy"), ("summer", "winter"),
    ("question", "answer"), ("birth", "death"), ("victory", "defeat"), ("top", "bottom"),
    ("beginning", "end"), ("profit", "loss"), ("heaven", "hell"), ("north", "south"),
    ("success", "failure"), ("truth", "lie"), ("hope", "despair"), ("entrance", "exit"),
)  # fmt: skip
KINDS = {
    "bird": "sparrow eagle penguin owl parrot crow swan robin hawk",
    "fish": "salmon tuna trout shark cod herring carp sardine eel",
    "insect": "beetle butterfly mosquito ant bee grasshopper moth wasp cricket",
    "tree": "oak pine maple birch willow cedar elm spruce poplar",
    "flower": "rose tulip daisy lily orchid sunflower violet daffodil carnation",
    "fruit": "banana pear cherry mango peach grape lemon plum apricot",
    "vegetable": "carrot cabbage spinach broccoli cucumber onion celery turnip lettuce",
    "tool": "hammer screwdriver saw drill wrench chisel axe shovel pliers",
    "musical instrument": "violin trumpet flute piano guitar drum cello clarinet harp",
    "vehicle": "car truck bus bicycle motorcycle van tractor taxi tram",
    "drink": "tea coffee milk lemonade wine beer juice whisky cocoa",
    "metal": "iron copper gold silver tin aluminum lead zinc nickel",
    "piece of furniture": "chair table sofa wardrobe desk bookshelf bed cabinet stool",
    "piece of clothing": "shirt jacket skirt sweater coat scarf trousers hat dress",
    "sport": "tennis football basketball golf swimming hockey boxing cricket rugby",
    "color": "blue green purple yellow crimson pink brown turquoise gray",
    "reptile": "snake lizard crocodile turtle alligator iguana gecko cobra chameleon",
    "profession": "doctor lawyer teacher nurse carpenter plumber architect dentist baker",
}


def opposites(rng: random.Random) -> list[Question]:
    """Antonym of a word, against three words of the same word class; both directions."""
    questions = []
    for word_class, pairs in (("adjective", ADJECTIVES), ("verb", VERBS), ("noun", NOUNS)):
        for pair in pairs:
            others = [other for other in pairs if not set(other) & set(pair)]
            for word, opposite in (pair, pair[::-1]):
                wrong = tuple(rng.choice(other) for other in rng.sample(others, 3))
                questions.append(
                    Question({"word": word}, opposite, wrong, "-".join(pair), family=word_class)
                )
    return questions


def kinds(rng: random.Random) -> list[Question]:
    """What kind of thing a word names, against three other kinds."""
    questions = []
    for kind, members in KINDS.items():
        for member in members.split():
            others = [other for other, words in KINDS.items() if member not in words.split()]
            wrong = tuple(rng.sample([other for other in others if other != kind], 3))
            questions.append(Question({"word": member}, kind, wrong, kind, family=kind))
    return questions
