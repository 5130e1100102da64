"""Grammatical minimal pairs: two sentences that differ in one form, one of them wrong.

Frames come in mirrored twos (singular and plural, say), so that neither form is right more
often than the other and word frequency alone earns nothing. Twins share a cluster.
"""

from __future__ import annotations

import random

from items import Question

PEOPLE = (
    ("teacher", "teachers"), ("farmer", "farmers"), ("doctor", "doctors"), ("girl", "girls"),
    ("neighbour", "neighbours"), ("singer", "singers"), ("driver", "drivers"),
    ("student", "students"), ("nurse", "nurses"), ("guest", "guests"), ("child", "children"),
    ("woman", "women"), ("writer", "writers"), ("soldier", "soldiers"), ("painter", "painters"),
)  # fmt: skip
THINGS = (
    ("cup", "cups"), ("chair", "chairs"), ("book", "books"), ("lamp", "lamps"), ("box", "boxes"),
    ("key", "keys"), ("plate", "plates"), ("ticket", "tickets"), ("letter", "letters"),
    ("window", "windows"), ("shirt", "shirts"), ("table", "tables"), ("bottle", "bottles"),
    ("picture", "pictures"), ("knife", "knives"),
)  # fmt: skip
ACTIONS = (
    ("walks", "walk"), ("sings", "sing"), ("works", "work"), ("smiles", "smile"),
    ("sleeps", "sleep"), ("waits", "wait"), ("reads", "read"), ("runs", "run"),
    ("travels", "travel"), ("listens", "listen"),
)  # fmt: skip
WHEN = ("every morning", "on Sundays", "after dinner", "in the garden", "near the river")
QUALITIES = ("old", "new", "clean", "dirty", "expensive", "small", "heavy", "red")
# base, simple past, participle: all three different, or the frame has no wrong form
VERBS = (
    ("break", "broke", "broken", "the cup"), ("write", "wrote", "written", "a long letter"),
    ("eat", "ate", "eaten", "the bread"), ("drive", "drove", "driven", "the truck"),
    ("steal", "stole", "stolen", "the money"), ("choose", "chose", "chosen", "a new name"),
    ("take", "took", "taken", "the last seat"), ("give", "gave", "given", "good advice"),
    ("see", "saw", "seen", "the film"), ("draw", "drew", "drawn", "a map"),
    ("hide", "hid", "hidden", "the keys"), ("wear", "wore", "worn", "that coat"),
    ("forget", "forgot", "forgotten", "the address"), ("speak", "spoke", "spoken", "the truth"),
    ("throw", "threw", "thrown", "the ball"), ("know", "knew", "known", "the answer"),
)  # fmt: skip
MEN = ("king", "boy", "father", "uncle", "waiter", "brother", "husband", "prince")
WOMEN = ("queen", "girl", "mother", "aunt", "waitress", "sister", "wife", "princess")
DEEDS = ("hurt", "blamed", "saw", "taught", "praised", "defended", "introduced", "trusted")
MASS = ("water", "milk", "money", "rice", "sugar", "sand", "furniture", "advice")


def _pair(phenomenon: str, twin: str, right: str, wrong: str) -> Question:
    return Question({}, right, (wrong,), twin, family=phenomenon)


def _agreement(rng: random.Random, index: int) -> list[Question]:
    one, many = PEOPLE[index]
    does, do = ACTIONS[index % len(ACTIONS)]
    when = rng.choice(WHEN)
    twin = f"agreement-{one}"
    return [
        _pair("agreement", twin, f"The {one} {does} {when}.", f"The {one} {do} {when}."),
        _pair("agreement", twin, f"The {many} {do} {when}.", f"The {many} {does} {when}."),
    ]


def _attraction(rng: random.Random, index: int) -> list[Question]:
    one, many = THINGS[index]
    other_one, other_many = THINGS[(index + 4) % len(THINGS)]
    quality = rng.choice(QUALITIES)
    twin = f"attraction-{one}"
    first, second = f"The {one} near the {other_many}", f"The {many} near the {other_one}"
    return [
        _pair("attraction", twin, f"{first} is {quality}.", f"{first} are {quality}."),
        _pair("attraction", twin, f"{second} are {quality}.", f"{second} is {quality}."),
    ]


def _determiner(rng: random.Random, index: int) -> list[Question]:
    one, many = THINGS[index]
    who = rng.choice(PEOPLE)[0]
    this, these = rng.choice((("this", "these"), ("that", "those")))
    twin = f"determiner-{one}"
    start, end = f"The {who} bought", "in the town"
    return [
        _pair("determiner", twin, f"{start} {this} {one} {end}.", f"{start} {these} {one} {end}."),
        _pair(
            "determiner", twin, f"{start} {these} {many} {end}.", f"{start} {this} {many} {end}."
        ),
    ]


def _reflexive(rng: random.Random, index: int) -> list[Question]:
    man, woman, deed = MEN[index % 8], WOMEN[index % 8], DEEDS[(index * 3 + index // 8) % 8]
    twin = f"reflexive-{man}-{deed}"
    his, her = f"The {man} {deed}", f"The {woman} {deed}"
    return [
        _pair("reflexive", twin, f"{his} himself.", f"{his} herself."),
        _pair("reflexive", twin, f"{her} herself.", f"{her} himself."),
    ]


def _participle(rng: random.Random, index: int) -> list[Question]:
    _, past, participle, thing = VERBS[index]
    who = rng.choice(PEOPLE)[0]
    twin = f"participle-{participle}"
    return [
        _pair("participle", twin, f"The {who} has {participle} {thing}.",
              f"The {who} has {past} {thing}."),
        _pair("participle", twin, f"The {who} {past} {thing} yesterday.",
              f"The {who} {participle} {thing} yesterday."),
    ]  # fmt: skip


def _polarity(rng: random.Random, index: int) -> list[Question]:
    _, _, participle, thing = VERBS[index]
    many = rng.choice(PEOPLE)[1]
    twin = f"polarity-{participle}"
    none, some = f"No {many} have", f"Some {many} have"
    return [
        _pair("polarity", twin, f"{none} ever {participle} {thing}.",
              f"{some} ever {participle} {thing}."),
        _pair("polarity", twin, f"{some} already {participle} {thing}.",
              f"{none} already {participle} {thing}."),
    ]  # fmt: skip


def _quantity(rng: random.Random, index: int) -> list[Question]:
    mass, many = MASS[index % 8], THINGS[index][1]
    start = f"There {{}} too {{}} {{}} in the {('kitchen', 'house', 'room')[index % 3]}."
    twin = f"quantity-{mass}-{many}"
    return [
        _pair(
            "quantity", twin, start.format("is", "much", mass), start.format("are", "many", mass)
        ),
        _pair(
            "quantity", twin, start.format("are", "many", many), start.format("is", "much", many)
        ),
    ]


def _infinitive(rng: random.Random, index: int) -> list[Question]:
    base, past, _, thing = VERBS[index]
    who = rng.choice(PEOPLE)[0]
    twin = f"infinitive-{base}"
    modal = rng.choice(("must", "can", "should"))
    return [
        _pair("infinitive", twin, f"The {who} {modal} {base} {thing}.",
              f"The {who} {modal} {past} {thing}."),
        _pair("infinitive", twin, f"Last week the {who} {past} {thing}.",
              f"Last week the {who} {base} {thing}."),
    ]  # fmt: skip


def minimal_pairs(rng: random.Random, twins: int = 10) -> list[Question]:
    """Ten mirrored twos of each of eight phenomena."""
    makers = (
        _agreement, _attraction, _determiner, _reflexive,
        _participle, _polarity, _quantity, _infinitive,
    )  # fmt: skip
    return [item for make in makers for index in range(twins) for item in make(rng, index)]
