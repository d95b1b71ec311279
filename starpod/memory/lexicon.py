"""What plain stemming misses: words that carry no meaning, irregular forms, and everyday words that stand for one another."""

from __future__ import annotations

import re

from starpod.memory.concepts import KINDS, SAME
from starpod.memory.scripts import fold

_STOP_WORDS = """
a about above after again all also am an and any are as at be because been before being below between both but by can could did do does
doing don down during each ever few for from further get got had has have having he her here hers him his how i if in into is it its
itself just let ll m may me might more most much must my myself no nor not now of off on once only or other our ours out over own please
re s same shall she should so some such t than that the their theirs them then there these they this those through to too under until up
us ve very was we were what when where which while who whom whose why will with would you your yours yourself tell show find know
remember recall said say happen happens happened please anything something der das den dem des ein eine einen einem einer und oder ist
sind habe haben wir ich du er sie es mit von zu zum zur im auf für wie wann wo wer warum le la les un une des du de et ou est était sont
a ont nous je tu il elle avec dans sur que qui quand où el los las una unos y o es era ha han con para por en cuando donde quien il lo
gli che è sono ho hai di da wohin woher welche welcher welches mein meine meinen dein deine sein ihr ihre uns unser unsere nicht kein
keine noch schon nur aber doch bei nach vor seit gibt wurde wurden wird kann soll viel viele passiert cette ces mon ma mes ton ta notre
nos votre vos leur leurs pas ne aux sont été fait combien comment pourquoi quel quelle quels quelles avez avons ai s qu c l d n j est-ce
que cómo cuánto cuántos cuánta cuántas cuál cuáles mi tu su sus nos lo al ya está fue qué quién dónde cuándo pasó и в на с по к у о от
до за из что как где когда кто я мы он она они это был была было были не для сколько почему какой какая في من على إلى عن ما ماذا متى أين
كم هل هو هي كان مع"""  # noqa: RUF001

_IRREGULAR = """be been was were is are am; begin began begun; bite bit bitten; break broke broken; bring brought; build built;
buy bought; catch caught; choose chose chosen; come came; cost costs; cut cutting; do did done; draw drew drawn; drink drank drunk;
drive drove driven; eat ate eaten; fall fell fallen; feel felt; fight fought; find found; fly flew flown; forget forgot forgotten;
freeze froze frozen; get got gotten; give gave given; go went gone; grow grew grown; hang hung; hear heard; hide hid hidden;
hold held; keep kept; know knew known; lay laid; lead led; leave left; lend lent; lie lain; light lit; lose lost; make made;
mean meant; meet met; pay paid; ride rode ridden; ring rang rung; rise rose risen; run ran; see saw seen; sell sold; send sent;
shake shook shaken; shoot shot; show shown; shrink shrank; sing sang sung; sink sank sunk; sit sat; sleep slept; speak spoke spoken;
spend spent; spill spilt; stand stood; steal stole stolen; stick stuck; strike struck; sweep swept; swim swam swum; take took taken;
teach taught; tear tore torn; tell told; think thought; throw threw thrown; understand understood; wake woke woken; wear wore worn;
win won; write wrote written; child children; man men; woman women; person people; foot feet; tooth teeth; mouse mice; goose geese;
life lives; wife wives; knife knives; half halves; shelf shelves; leaf leaves; good better best; bad worse worst"""


def _groups(text: str) -> list[list[str]]:
    return [group.split() for group in re.split(r";|\n\n", text)]


def _table(text: str) -> dict[str, tuple[str, ...]]:
    table: dict[str, dict[str, None]] = {}
    for group in _groups(text):
        for word in group:
            table.setdefault(word, {}).update(dict.fromkeys(other for other in group if other != word))
    return {word: tuple(others) for word, others in table.items()}


def _kinds(text: str) -> dict[str, tuple[str, ...]]:
    table: dict[str, dict[str, None]] = {}
    for line in text.strip().split("\n"):
        general, special = (part.split() for part in line.split(":"))
        for one in general:
            table.setdefault(one, {}).update(dict.fromkeys(special))
            for other in special:
                table.setdefault(other, {})[one] = None
    return {word: tuple(others) for word, others in table.items()}


STOP_WORDS = frozenset(map(fold, _STOP_WORDS.split()))
IRREGULAR = _table(_IRREGULAR)
"""Other forms of the same word."""
SYNONYMS = _table(SAME)
"""Words that people use for the same thing."""
KINDS_OF = _kinds(KINDS)
"""The kinds of a thing, and what a thing is a kind of."""
