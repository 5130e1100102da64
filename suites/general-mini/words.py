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
    ("arrive", "depart"), ("accept", "reject"), ("increase", "decrease"), ("begin", "finish"),
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
    "insect": "beetle butterfly mosquito ant bee grasshopper moth wasp termite",
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
# Words of two pairs that a reader could also call opposites: never offered as wrong.
_ALSO_OPPOSITE = (
    "hard-easy hard-simple easy-complex difficult-simple old-modern young-ancient soft-loud "
    "soft-rough soft-sharp thick-narrow thin-wide right-false dark-light deep-high strong-soft "
    "cold-light sad-light accept-exclude include-reject win-fail succeed-lose rise-sink "
    "rise-decrease fall-increase fall-float increase-contract decrease-expand take-lend "
    "give-borrow remember-lose begin-destroy build-finish victory-loss victory-failure "
    "defeat-success success-loss profit-failure birth-end death-beginning hope-lie "
    "buy-lend sell-borrow sell-take love-criticize praise-hate love-reject "
    "accept-take attack-praise exit-beginning entrance-end"
)
ALSO_OPPOSITE = {frozenset(pair.split("-")) for pair in _ALSO_OPPOSITE.split()}
# Kinds that share members (a plum is a fruit, a tree and a color): never against each other.
_OVERLAPPING = (
    "color-fruit color-flower color-metal color-drink color-tree color-vegetable fruit-tree "
    "fruit-vegetable fruit-drink flower-tree vehicle-sport insect-sport metal-tool"
)
OVERLAPPING = {frozenset(pair.split("-")) for pair in _OVERLAPPING.split()}


def opposites(rng: random.Random) -> list[Question]:
    """Antonym of a word, against three words of the same word class; both directions."""
    questions = []
    for word_class, pairs in (("adjective", ADJECTIVES), ("verb", VERBS), ("noun", NOUNS)):
        for pair in pairs:
            others = [other for other in pairs if not set(other) & set(pair)]
            for word, opposite in (pair, pair[::-1]):
                fitting = [
                    candidate
                    for other in others
                    for candidate in [rng.choice(other)]
                    if frozenset((word, candidate)) not in ALSO_OPPOSITE
                ]
                wrong = tuple(rng.sample(fitting, 3))
                questions.append(
                    Question({"word": word}, opposite, wrong, "-".join(pair), family=word_class)
                )
    return questions


def kinds(rng: random.Random) -> list[Question]:
    """What kind of thing a word names, against three other kinds."""
    questions = []
    for kind, members in KINDS.items():
        for member in members.split():
            others = [
                other
                for other, words in KINDS.items()
                if member not in words.split() and frozenset((kind, other)) not in OVERLAPPING
            ]
            wrong = tuple(rng.sample(others, 3))
            questions.append(Question({"word": member}, kind, wrong, kind, family=kind))
    return questions
