"""Everyday words that stand for one another in English notes: by which word people ask, and which they wrote down.

`SAME` holds groups of words for one thing, by topic. `KINDS` holds general words and, behind the colon, kinds, parts or signs of
them: who asks for a pet is answered by a hamster and the other way round, but a hamster is no canary.
"""

from __future__ import annotations

SAME = """
doctor dr physician gp medic; dentist dental; hospital clinic infirmary; medicine medication drug remedy; pill tablet capsule; ill sick
unwell illness disease; hurt pain ache sore; injury injured wound; surgery operation operated; vaccine vaccination jab shot immunisation;
checkup examination exam; pharmacy chemist drugstore; fever temperature; cold flu cough; allergy allergic intolerant intolerance; pregnant
pregnancy expecting; glasses spectacles eyeglasses; skin dermatologist mole rash; eye eyes optician ophthalmologist sight vision; ear ears
hearing audiologist; heart cardiologist; knee joint meniscus; arm wrist elbow; leg ankle; fracture fractured broke broken cast; breathe
breathing breath asthma inhaler lungs; physio physiotherapist physiotherapy; therapy therapist treatment; psychologist counsellor
counselling; bandage plaster; tired exhausted exhaustion fatigue; weight kilo kg weigh; diet slimming; hay pollen; result results finding
findings diagnosis verdict

car vehicle auto automobile; bike bicycle cycle cycling; motorbike motorcycle scooter; truck lorry; garage mechanic workshop; tyre tire
wheel; petrol gas fuel gasoline diesel; parking park carpark; licence license permit permission; plane flight fly airline aircraft;
airport terminal gate; train rail railway; bus coach; tram streetcar; subway metro underground tube; ship ferry boat; traffic jam
congestion; crash accident collision; inspection mot itv tüv roadworthiness; trip journey travel vacation holiday; hotel accommodation
hostel airbnb lodging pension; luggage suitcase baggage bag; passport visa id; ticket booking reservation; departure leave departs;
arrival arrive arrives; hike hiking walk trek; camping tent camp campsite; beach coast seaside; mountain mountains peak summit; map route
directions; abroad foreign

house home; flat apartment; rent lease tenancy; landlord landlady; tenant lodger renter; mortgage loan; basement cellar; attic loft; roof
gutter gutters; kitchen pantry larder; bathroom shower bath toilet; bed mattress bedroom; sofa couch settee; fridge refrigerator; freezer
deepfreeze; oven stove cooker range; washer washing laundry; dishwasher dishes; dryer drier; boiler heating heater furnace radiator;
plumber plumbing pipe pipes; leak leaks leaking dripping drip; electrician electric wiring; electricity power energy current kwh kilowatt;
outage blackout cut; lamp light bulb; drill screwdriver; paint painting painted; wall walls; window pane; door lock; key keys; shelf
shelves bookcase; carpet rug; move relocate moving relocation; neighbour neighbor neighbourhood; street st road strasse; address location;
garden yard lawn; plant plants flower flowers; seedling seedlings sprouts; sow sowed seeds seed; vegetable vegetables; pest pests aphids
slugs moths moth larvae insects bugs; bin trash rubbish garbage waste litter; clean cleaning cleaned tidy; repair fix mend repaired;
broken defect defective fault faulty; contractor craftsman tradesman builder; tools tool

salary wage pay paycheck earnings; raise rise increase increased raises; income earnings; price cost costs charge fee; expensive pricey;
cheap bargain; bill invoice; receipt receipts; refund reimbursement reimbursed; budget money; cash coins; bank account; card debit credit;
transfer transferred remit; debt owe owed; savings save saved; tax taxes irs; insurance policy insurer premium; fraud scam suspicious
phishing; buy bought purchase purchased; order ordered; sell sold sale; shop store supermarket; discount reduction reduced; second-hand
used flea; quote estimate offer; subscription subscribe streaming; donate donation donations charity; gift present; voucher coupon;
deposit; tip

job work employer position employment; boss manager supervisor chief; colleague coworker teammate; fired dismissed laid-off; quit quits
resign resigns resigned notice leaves; hire hired recruit recruited; application apply applied; interview; meeting appointment; call phone
telephone rang ring; conference congress summit convention; talk lecture presentation speech; deadline due; project; client customer
customers; contract agreement deal; sign signed signature; extend extended prolong prolonged renew renewed renewal; negotiate negotiation;
decide decision decided agreed agree; choose chose chosen pick picked; reject rejected refuse refused decline declined; cancel cancelled
canceled; postpone postponed delay delayed late; plan schedule planned scheduled; task todo; report; feedback; promotion promoted; office
workplace desk; remote telework; shift shifts; strike walkout; secret confidential confidence; training seminar workshop; leave vacation;
retire retired retirement pension; rumour rumor hearsay gossip

computer laptop notebook pc; screen monitor display; projector beamer; printer print; phone mobile cell smartphone cellphone; wifi wlan
internet network; router modem; password passcode pin passphrase; login credential credentials signin; email mail e-mail; message text sms
chat; server host machine; deploy release rollout released deployed ship; database db postgres postgresql mysql; migrate migration
migrated; upgrade update updated; code program software; app application; bug error defect; crash crashed fail failed failure; outage
downtime down unavailable incident; backup backups restore; disk drive ssd storage; slow latency sluggish; fast quick speed; certificate
tls ssl https; attack attacks hack hacked breach intrusion attempts; security secure; cloud hosting; duplicate duplicates twice double
doubled; test tests testing; log logs; monitor monitoring alert alerts alarm; config configuration settings setting; delete deleted remove
removed; version release; domain dns; website site page; photo picture image photos; camera lens; video film; verification verify code
codes otp 2fa

kid child children kids; son boy; daughter girl; baby infant newborn; toddler; wife spouse; husband spouse; partner spouse; mother mum
mom; father dad papa; grandma grandmother granny nana; grandpa grandfather granddad; sibling brother sister; aunt auntie; uncle; nephew
niece; cousin; parents; friend buddy mate pal; guest visitor visitors guests; birthday born birth; wedding marry marriage married wed;
divorce divorced separated separation; funeral burial buried cemetery; death died dead dies passed deceased; party celebration celebrate;
anniversary jubilee; engaged engagement fiancé; godmother godfather godparent; babysitter nanny childcare; nursery kindergarten daycare;
school class; teacher tutor; homework assignment; grade grades mark marks; exam test quiz; pass passed; university college campus; thesis
dissertation doctoral phd defence defense; degree diploma; course lesson; holidays vacation; playground; toy toys; quarrel argue argued
argument dispute fight; apologise apologize apology sorry

food meal; eat ate eaten; swallow swallowed; dinner supper; lunch midday; breakfast; restaurant bistro tavern trattoria; cafe coffeehouse;
recipe cook cooking cooked; bake baked baking; biscuit biscuits cookie cookies; cake tart pastry; bread loaf dough sourdough; spicy hot
chili; sweet sugar; vegetarian vegan; coffee espresso caffeine; wine beer; drink drank beverage; hungry hunger; barbecue bbq grill
grilled; delicious tasty; picnic; leftovers

dog puppy hound; cat kitten; vet veterinarian veterinary; horse pony; bee bees hive swarm; bird birds; escape escaped ran fled; feed fed
feeding; rodent hamster mouse rat; leash collar; animal pet

book novel read reading; author writer wrote; film movie; cinema theatre theater; song music; band orchestra; concert gig; instrument
piano guitar violin recorder drums drum; choir sing singing; museum gallery exhibition; painting picture; game games; chess; board; match
game; win won victory beat; lose lost defeat; team club; training practice exercise workout; gym fitness; run running jog jogging jogged
race; marathon; distance km kilometre kilometres miles; swim swimming swam pool; football soccer; ski skiing; climb climbing; bicycle;
yoga pilates; hobby pastime; newspaper paper magazine; radio podcast; tv television series; outdoors outdoor open-air outside

weather forecast; rain rainy rained wet; snow snowy; ice icy frost frozen; storm thunderstorm gale; hot heat warm; cold cool chilly;
aurora northern; sun sunny sunshine; flood flooded flooding

theft stolen steal stole burglar burglars burglary thieves thief robbed; break-in burglary; police officer; lost lose missing misplaced
mislaid; found find; left forgot forgotten; court judge trial; lawyer attorney solicitor; complaint complain complained; fine penalty;
witness; law legal; vote election

date day; start begin launch began; end finish complete finished ended; big large huge; small little tiny; old age aged; new fresh; near
close nearby; far distant; good great excellent; bad poor terrible; best favourite favorite; like love enjoy enjoyed prefer; hate dislike;
fear afraid scared; happy glad pleased; sad unhappy; angry upset annoyed furious; surprise surprised unexpected; important crucial;
problem issue trouble; idea suggestion proposal; reason cause why; goal aim target; rule rules; promise promised; change switch switched
changed replace replaced swap; return returned sent back; borrow borrowed lend lends lent; hide hid hidden stash; stuck jammed blocked;
number amount; colour color; centre center; organise organize; size measurements dimensions; half fifty; weekend saturday sunday; tell
told mention mentioned; wait waiting queue; help helps assist; need needs require required; reach reached; visit visited; meet met; wish
want wants wanted; stop stopped quit; reduce cut less cutting fewer; resolution resolutions intention intentions; reward rewarded prize;
harmless benign; spectacle; transport transit; ticket fare; parcel package delivery shipment courier; letter mail post; form paperwork;
card; jacket coat; shirt blouse; shoes boots sneakers; trousers pants jeans; scarf; umbrella; clothes clothing; ring jewellery jewelry;
watch clock; hair haircut barber hairdresser; bag backpack rucksack; wallet purse
"""

KINDS = """
pet animal: dog cat hamster rabbit guinea parrot canary turtle tortoise goldfish horse pony
rodent: hamster mouse rat gerbil guinea squirrel
bug insect pest: moth larvae ant ants wasp wasps mosquito cockroach beetle aphid aphids fly flies mites
vehicle: car bike van truck bus motorbike scooter tractor
transport: bus tram train subway metro ferry taxi
device gadget: phone laptop tablet camera printer router headphones speaker
appliance: fridge dishwasher washer oven dryer freezer microwave kettle toaster vacuum
furniture: table chair sofa bed wardrobe shelf desk cupboard dresser lamp mattress
tool: drill hammer saw screwdriver ladder sander wrench pliers
instrument: piano guitar violin recorder drums flute cello trumpet saxophone clarinet accordion
sport: football tennis swimming running climbing basketball handball volleyball skiing judo badminton gymnastics marathon
game: chess cards poker scrabble monopoly catan
relative family: mother father aunt uncle cousin grandma grandpa nephew niece brother sister sibling grandmother grandfather
child kid: son daughter baby toddler girl boy
parent: mother father mum dad
drink: coffee tea wine beer juice milk water cocktail whisky
fruit: apple banana cherry cherries pear plum strawberry strawberries raspberry orange lemon grape grapes
vegetable: tomato tomatoes carrot potato potatoes onion cucumber pepper zucchini beans cabbage lettuce spinach
meat: beef pork chicken lamb ham sausage steak
fish seafood: salmon trout tuna cod char herring shrimp
dish food meal: soup stew pasta pizza curry salad risotto lasagne omelette
dessert: cake ice-cream pudding tart brownie cookies
medicine medication: antibiotic antibiotics penicillin ibuprofen paracetamol aspirin insulin inhaler drops spray ointment cortisone
doctor specialist: dermatologist cardiologist dentist surgeon neurologist paediatrician pediatrician orthopaedist gynaecologist ent
illness: flu cold asthma diabetes migraine infection bronchitis covid measles pneumonia
injury: fracture sprain bruise burn cut concussion
symptom: cough fever headache rash nausea dizziness
body: knee back shoulder wrist neck hip ankle elbow
document papers: passport certificate contract licence form id
clothes clothing: jacket coat shirt dress trousers jeans sweater jumper scarf gloves hat socks shoes
crime: theft burglary fraud robbery vandalism assault
tree: oak cherry apple birch pine spruce maple walnut
flower: rose roses tulip tulips sunflower daisy lily orchid bouquet
bird: sparrow blackbird owl robin swallow crow magpie
building: house church school tower museum station
money: euro euros dollar dollars eur usd pounds cents francs
currency: euro dollar pound franc yen
season: spring summer autumn winter
party celebration: birthday wedding anniversary christening graduation carnival
event: concert exhibition conference festival wedding party fair parade
trip: flight train hotel luggage hike
reading book: novel chapter author pages
film movie: cinema watched director
language: english german french spanish italian japanese chinese arabic russian
database: postgres sqlite mysql redis index query
software: app program version update server
server: disk cpu container docker nginx kernel
noise: loud bang squeak hum barking
weather: rain snow storm sun wind fog hail
gift present: book voucher flowers wine perfume
"""
