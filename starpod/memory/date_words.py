"""How people name months, weekdays and other times, in a dozen languages. All words are folded: lower case, no accents."""

from __future__ import annotations


def _numbered(text: str, first: int = 1) -> dict[str, int]:
    return {word: number for number, words in enumerate(text.split(";"), first) for word in words.split()}


MONTHS = _numbered(
    """january jan januar janner januari janvier enero gennaio janeiro январь января январе يناير
    ;february feb februar februari fevrier febrero febbraio fevereiro февраль февраля феврале فبراير
    ;march mar marz maerz maart mars marzo март марта марте مارس
    ;april apr avril abril aprile апрель апреля апреле ابريل
    ;may mai mei mayo maggio maio маи мая мае مايو
    ;june jun juni juin junio giugno junho июнь июня июне يونيو
    ;july jul juli juillet julio luglio julho июль июля июле يوليو
    ;august aug augustus aout agosto август августа августе اغسطس
    ;september sep sept septembre septiembre settembre setembro сентябрь сентября сентябре سبتمبر
    ;october oct oktober okt octobre octubre ottobre outubro октябрь октября октябре اكتوبر
    ;november nov novembre noviembre novembro ноябрь ноября ноябре نوفمبر
    ;december dec dezember dez decembre diciembre dicembre dezembro декабрь декабря декабре ديسمبر"""
)
AMBIGUOUS = frozenset({"may", "mar", "march", "dec", "jan", "mars"})
"""Also other words: alone they count only as people write names."""
THAI_MONTHS = _numbered("มกราคม;กุมภาพันธ์;มีนาคม;เมษายน;พฤษภาคม;มิถุนายน;กรกฎาคม;สิงหาคม;กันยายน;ตุลาคม;พฤศจิกายน;ธันวาคม")
WEEKDAYS = _numbered(
    """monday montag lundi lunes lunedi maandag понедельник
    ;tuesday dienstag mardi martes martedi dinsdag вторник
    ;wednesday mittwoch mercredi miercoles mercoledi woensdag среду
    ;thursday donnerstag jeudi jueves giovedi donderdag четверг
    ;friday freitag vendredi viernes venerdi vrijdag пятницу
    ;saturday samstag samedi sabado sabato zaterdag субботу
    ;sunday sonntag dimanche domingo domenica zondag воскресенье""",
    first=0,
)
CJK_WEEKDAYS = _numbered("一 月 월;二 火 화;三 水 수;四 木 목;五 金 금;六 土 토;日 天 일", first=0)
ZERO = "\u3007"
CJK_DIGITS = {digit: number for number, digit in enumerate(f"{ZERO}一二三四五六七八九十")}

BACK = {
    0: "today tonight heute aujourd'hui hoy oggi hoje сегодня اليوم",
    1: "yesterday gestern hier ayer ieri ontem gisteren вчера امس",
    2: "vorgestern avant-hier anteayer позавчера eergisteren",
}
"""Days back by the words for them."""
CJK_BACK = {0: "今天 今日 오늘", 1: "昨天 昨日 昨晚 어제 เมื่อวาน", 2: "前天 一昨日 おととい 그저께"}
LAST = r"last|past|previous|letzte[nrms]?|vorige[nrms]?|vergangene[nrms]?|ultim[oa]|прошл\w+|vorige|afgelopen"
"""Stands before what is over."""
OVER = r"derniere?|pasad[oa]|passat[oa]|scors[oa]|passad[oa]"
"""The same in languages that put it behind."""
THIS = r"this|今年|올해|diese[nrms]?|cette|ce|est[ea]|quest[oa]|этот|этои|этом|deze|dit"
UNITS = {
    "weekend": "weekend wochenende week-end",
    "week": "week woche semaine semana settimana неделю неделе",
    "month": "month monat mois mes mese месяц месяце maand",
    "year": "year jahr annee ano anno год году jaar",
}
CJK_UNITS = {
    ("last", "week"): "上周 上週 上星期 先週 지난주",
    ("last", "month"): "上个月 上個月 上月 先月 지난달",
    ("last", "year"): "去年 昨年 작년",
    ("this", "week"): "这周 這週 本周 今週 이번주",
    ("this", "month"): "这个月 這個月 本月 今月 이번달",
    ("this", "year"): "今年 올해",
}
NUMBERS = {
    "a": 1, "an": 1, "one": 1, "two": 2, "couple of": 2, "a couple of": 2, "few": 3, "a few": 3, "three": 3, "four": 4, "five": 5,
    "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "ein": 1, "eine": 1, "einem": 1, "einer": 1, "zwei": 2, "drei": 3,
    "vier": 4, "deux": 2, "trois": 3, "dos": 2, "tres": 3,
}  # fmt: skip
ORDINALS = {"first": 1, "1st": 1, "second": 2, "2nd": 2, "third": 3, "3rd": 3, "fourth": 4, "4th": 4, "last": -1}
SEASONS = _numbered(
    "winter hiver invierno inverno;spring fruhling fruhjahr printemps primavera;summer sommer ete verano estate;"
    "autumn fall herbst automne otono autunno",
    first=0,
)
