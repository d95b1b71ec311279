"""What plain stemming misses: words that carry no meaning, irregular forms, and everyday words that stand for one another."""

from __future__ import annotations

_STOP_WORDS = """a about above after again all also am an and any are as at be because been before being below between both but by can
could did do does doing don down during each ever few for from further get got had has have having he her here hers
him his how i if in into is it its itself just let ll m may me might more most much must my myself no nor not now of
off on once only or other our ours out over own please re s same shall she should so some such t than that the their
theirs them then there these they this those through to too under until up us ve very was we were what when where
which while who whom whose why will with would you your yours yourself tell show find know remember recall said say
der die das den dem des ein eine einen einem einer und oder ist war sind hat habe haben wir ich du er sie es mit von
zu zum zur im auf für wie wann wo wer warum le la les un une des du de et ou est était sont a ont nous je tu il elle
avec pour dans sur que qui quand où el los las una unos y o es era son ha han con para por en cuando donde quien il lo
gli che è sono ho hai di da"""

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

_RELATED = """doctor physician gp medic; dentist dental tooth teeth; hospital clinic; medicine medication drug pill tablet prescription;
ill sick unwell illness; car vehicle auto automobile; bike bicycle cycling; plane flight fly airline; train rail railway;
trip journey travel vacation holiday; hotel accommodation hostel airbnb; house home flat apartment; rent lease tenant landlord;
buy purchase order bought; price cost pay charge fee bill invoice paid expensive amount; money cash budget euro dollar;
salary wage pay income; job work employer position; boss manager supervisor; colleague coworker teammate; meeting appointment call;
phone mobile cell smartphone telephone; computer laptop notebook pc; password passcode pin login credential; wifi wlan internet network;
kid child son daughter; baby infant newborn; wife husband spouse partner; mother mum mom; father dad papa; parents mother father;
grandma grandmother nana; grandpa grandfather; sibling brother sister; friend buddy mate; birthday born birth; wedding marry marriage;
gift present; party celebration; food meal dish eat; dinner supper; lunch midday; breakfast morning; restaurant bistro cafe diner;
recipe cook bake cooking; vegetarian vegan meat; allergy allergic intolerant; coffee espresso; wine beer drink; dog puppy pet;
cat kitten pet; vet veterinarian; plumber plumbing pipe leak; boiler heating heater furnace; electrician electric wiring power;
repair fix mend broken; broken defect fault faulty; garden yard lawn; plant flower seed; key keys lock; school class teacher;
exam test quiz; university college campus; course class lesson training; book novel read author; film movie cinema; song music band;
exercise workout gym training; run jog running race marathon; swim pool swimming; weight kilo kg; doctor appointment checkup;
insurance policy insurer; tax taxes refund; bank account; contract agreement; deadline due; start begin launch; end finish complete;
cancel cancelled call off; move relocate moving; address street; parcel package delivery shipment; letter mail post; error bug crash;
server host machine; deploy release rollout; database db postgres; code program software; decide decision choose chose agree;
plan schedule planned; problem issue trouble; idea suggestion proposal; like love favourite favorite prefer; hate dislike; fear afraid;
tired exhausted sleep; happy glad pleased; angry upset annoyed; fast quick speed; big large; small little tiny; old age; near close;
colour color; centre center; theatre theater; neighbour neighbor; organise organize; programme program; mum mother; luggage suitcase bag;
umbrella rain; snow ice; hot heat warm; cold flu; shoes boots sneakers; clothes jacket coat shirt; glasses optician eye; hair haircut barber
hairdresser; passport visa id; license licence permit; garage mechanic workshop; tyre tire wheel; petrol gas fuel; bus tram; ticket booking
reservation reserve book; seat place; guest visitor visit; neighbour next door; washing laundry washer; fridge refrigerator freezer;
oven stove cooker; sofa couch; tv television; photo picture image camera; lost missing misplaced; stolen theft; hurt pain ache injury"""


def _groups(text: str) -> list[list[str]]:
    return [group.split() for group in text.split(";")]


def _table(text: str) -> dict[str, tuple[str, ...]]:
    table: dict[str, dict[str, None]] = {}
    for group in _groups(text):
        for word in group:
            table.setdefault(word, {}).update(dict.fromkeys(other for other in group if other != word))
    return {word: tuple(others) for word, others in table.items()}


STOP_WORDS = frozenset(_STOP_WORDS.split())
IRREGULAR = _table(_IRREGULAR)
"""Other forms of the same word."""
RELATED = _table(_RELATED)
"""Words that people use for the same thing."""
