"""Signs in words, and numbers beside letters of scripts without spaces."""

from __future__ import annotations

import pytest

from harness.answers.number_reader import reply_number


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        ("Minus 8", -8), ("Negative 8", -8), ("MINUS 8", -8), ("minus-8", -8), ("NEGATIVE 8", -8),
        ("It is minus 8 degrees.", -8), ("x = minus 8", -8), ("**Minus 8**", -8), ("-**8**", -8),
        ("minus **8**", -8), ("The answer is negative 8.", -8), ("minus $8", -8),
        ("moins 8", -8), ("Il fait moins 8 degrés", -8), ("He got minus 8 points", -8),
        ("La réponse est moins 8", -8),
        ("menos 8", -8), ("La respuesta es menos 8.", -8), ("минус 8", -8),
        ("Ответ: минус 8", -8),
        ("负8", -8), ("负 8", -8), ("答案是负8。", -8), ("負8", -8), ("マイナス8", -8),
        ("答えはマイナス8度です", -8), ("마이너스 8", -8), ("답은 마이너스 8입니다", -8),
        ("零下8度", -8),
        ("答案是-8", -8), ("答えは−8です", -8),
        # Something else is said, or may be.
        ("plus or minus 8", None), ("positive or negative 8", None), ("正负8", None),
        ("プラスマイナス8", None), ("плюс-минус 8", None), ("plus ou moins 8", None),
        ("minus -8", None), ("负数8", None), ("マイナスの8", None), ("胜负8", None),
        ("the total minus 8", None), ("x minus 8", None), ("minus - 8", None),
        ("减去8", None), ("编号-8", None), ("8 degrees below zero", None),
        ("8°C below zero", None),
        ("Il y en a au moins 8", 8), ("al menos 8", 8), ("por lo menos 8", 8),
        ("más o menos 8", 8),
        ("mais ou menos 8", 8), ("pelo menos 8", 8), ("- 8", None),
    ],
)  # fmt: skip
def test_signs_in_words(reply: str, value: float | None) -> None:
    number = reply_number(reply)
    assert (None if number is None else float(number.value)) == value


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        ("答案是36。", 36), ("共48個", 48), ("合計は２，３４５円です", 2345), ("总计7亿元", 7e8),
        ("总数36", 36), ("정답은36입니다", 36), ("약 36개", 36), ("ราคา36บาท", 36),
        ("答え：36", 36),
        ("カレー36皿", 36), ("是3.5万人", 35_000), ("一共有36个苹果", 36), ("約36%です", 36),
        ("36分钟", 36), ("5年", 5), ("2023年", 2023), ("型号A36", None),
        # Dates, times, parts, and numbers that letters make greater
        ("2021年4月8日", None), ("11時45分", None), ("8月8日", None), ("8時8分", None),
        ("8월 8일", None), ("8小时8分", None), ("5分の3", None), ("3分の3", None),
        ("5분의 3", None),
        ("5分之3", None), ("百分之36", None), ("三万5千", None), ("十5", None), ("3点3", None),
        ("36多人", None), ("3割", None), ("3成", None), ("5成员", 5), ("3年半", None),
        ("3万五千", None), ("5百分点", None),
        ("ลบ 5", None), ("2比2", None), ("8元8角", None), ("8米8", None), ("3乘以3", None),
        ("3 times 3", None), ("2 plus 2", None),
        ("5 feet 5 inches", None), ("5 hours and 5 minutes", None), ("5 hours", 5),
        ("3 times", 3),
    ],
)  # fmt: skip
def test_letters_of_scripts_without_spaces(reply: str, value: float | None) -> None:
    number = reply_number(reply)
    assert (None if number is None else float(number.value)) == value
