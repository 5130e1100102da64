"""Numbers in LaTeX, behind arrows and quotation marks, and with powers of units."""

from __future__ import annotations

import pytest

from harness.answers.number_reader import cell_number, reply_number


def value_of(reply: str) -> float | None:
    number = reply_number(reply)
    return None if number is None else float(number.value)


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        # Degrees and minutes are no powers.
        (r"\boxed{45^\circ}", 45), (r"$45^\circ$", 45), (r"45^{\circ}", 45), ("45^o", 45),
        (r"The angle is $x = 45.5 ^ \circ$.", 45.5), (r"$18^{\circ}\text{C}$", 18),
        (r"18^\circ C", 18), (r"45\degree", 45), (r"30^\prime", 30), (r"30^{\prime}", 30),
        (r"5^\prime 11^{\prime\prime}", None), (r"f\circ g", None), (r"45^x", None),
        (r"45^{\mathrm{o}}", 45), (r"45^{\text{o}}C", 45), ("45^*", 45), (r"45^\dagger", 45),
        (r"the $8^{\text{th}}$ term", 8), ("the 8^{th} term", 8),
        # Braces of a command hold no list.
        (r"\boxed{4{,}321}", 4321), (r"\boxed{4{,}321{,}567.8}", 4321567.8), (r"4,\!321", 4321),
        (r"\boxed{43{,}2\%}", 43.2), (r"\textbf{4,321}", 4321), (r"\fbox{4,321}", 4321),
        (r"\boxed{\text{4,321}}", 4321), (r"\boxed{\boxed{4,321}}", 4321), (r"\num{4,321}", 4321),
        (r"\underline{4,321}", 4321), (r"\mathbf{\underline{4,321}}", 4321),
        (r"\textcolor{red}{4,321}", 4321), (r"\unknown{4,321}", 4321),
        (r"\SI{4,321}{\metre}", 4321),
        (r"-\boxed{\text{8}}", -8), (r"\boxed{-\frac{\text{3}}{4}}", -0.75),
        (r"\boxed{\{4,321\}}", None), ("{4,321}", None), (r"\left\{4,321\right\}", None),
        (r"\boxed{" * 20 + "8" + "}" * 20, 8),
        # Powers of units
        ("30 cm^2", 30), (r"\boxed{30\text{ cm}^2}", 30), ("9.9 m/s^2", 9.9), ("30 m^{3}", 30),
        (r"$9.9\,\text{m/s}^2$", 9.9), ("30 cm$^2$", 30), ("30 square units or 30 units^2", 30),
        (r"$30~\mathrm{kg}\cdot\mathrm{m}^2$", 30), ("9.9 m s^{-2}", 9.9), ("**30** cm^3", 30),
        ("1.2 kg/m^3", 1.2), ("30 ft^2", 30), ("30 cm^2.", 30),
        ("30 cm<sup>2</sup>", 30), ("10<sup>3</sup>", 1000), ("30<sup>2</sup>", None),
        (r"\boxed{30}\text{ in}^2", 30), (r"9.9 \frac{m}{s^2}", 9.9),
        ("x^2", None), ("30x^2", None), ("6s^2", None), ("30 people^2", None), ("30^2", None),
        ("30 cm^2 and 5", None), ("cm^2", None),
        # Arrows and quotations
        ("=> 30", 30), ("Answer -> 30", 30), ("So the answer --> 30", 30), ("Result: => 30", 30),
        ("Answer:\n> 30", 30), ("> 30", 30), (">  $1,234.50", 1234.5), ("> **30**", 30),
        ("&gt; 30", 30), ("> The answer is 30.", 30), ("→ 30", 30), ("->30", 30), ("-> -30", -30),
        ("x > 30", None), ("x => 30", None), ("> 30 kg", None), (">30", None), (">= 30", None),
        ("more > 30", None), ("x -> > 30", None), ("x -> 30", None),
        # Functions
        (r"\sin 30^\circ", None), (r"\log_2 30", None), (r"\ln(30)", None), (r"\ln x = 30", 30),
        # Circles
        ("14π", None), (r"2\pi", None), (r"\boxed{14 \pi}", None), ("7*pi", None), ("7 pi", None),
        (r"7k\pi", None), ("7*k*pi", None), ("7 DPI", 7), ("7 API calls", 7),
        (r"\frac{\pi}{4}", None), ("pi/4", None), ("π ≈ 3.14", 3.14), ("7 pies", 7),
        ("7 pints", 7),
    ],
)  # fmt: skip
def test_marks_around_a_number(reply: str, value: float | None) -> None:
    assert value_of(reply) == value


@pytest.mark.parametrize("cell", ["> 30", "=> 30", "&gt; 30", "x^2"])
def test_a_sign_before_the_number_of_a_column_may_be_that_of_a_bound(cell: str) -> None:
    assert cell_number(cell) is None


def test_many_braces_take_no_time() -> None:
    assert value_of(r"\boxed{" * 4000 + "8" + "}" * 4000) == 8
