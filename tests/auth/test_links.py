"""Telegram accounts and the users behind them."""

from __future__ import annotations

import pytest

from starpod.auth.service import Auth
from starpod.errors import InvalidInput, NotFound

pytestmark = pytest.mark.gen_test


async def test_a_link_by_number(auth: Auth) -> None:
    ann = await auth.create_user(display_name="Ann")
    assert await auth.links.find(ann.id) is None
    link = await auth.links.set(ann.id, 7, "  ")
    assert (link.telegram_id, link.username) == (7, None)
    assert await auth.telegram_user(7, None) == ann
    assert await auth.telegram_user(8, None) is None
    await auth.links.remove(ann.id)
    assert await auth.links.find(ann.id) is None
    assert await auth.telegram_user(7, None) is None


async def test_a_name_gets_its_number_at_first_contact_and_stays_with_it(auth: Auth) -> None:
    ann = await auth.create_user()
    await auth.links.set(ann.id, None, "@ann_tg")
    assert await auth.telegram_user(7, "ANN_TG") is None
    assert await auth.telegram_user(7, "ann_tg") == ann
    link = await auth.links.find(ann.id)
    assert link is not None and (link.telegram_id, link.username) == (7, "ann_tg")
    # She gave up the name, and a stranger registered it.
    assert await auth.telegram_user(666, "ann_tg") is None
    assert await auth.telegram_user(7, "other") == ann


async def test_who_is_shut_out_is_refused_and_claims_nothing(auth: Auth) -> None:
    await auth.create_user(role="admin")
    ann = await auth.create_user()
    await auth.links.set(ann.id, None, "ann")
    await auth.set_active(ann.id, False)
    assert await auth.telegram_user(7, "ann") is None
    link = await auth.links.find(ann.id)
    assert link is not None and link.telegram_id is None
    await auth.set_active(ann.id, True)
    assert (await auth.telegram_user(7, "ann")) is not None


async def test_the_last_link_wins_and_the_loser_is_told_in_the_log(auth: Auth) -> None:
    ann, bob = await auth.create_user(), await auth.create_user()
    await auth.links.set(ann.id, 7, "x")
    await auth.links.set(bob.id, 8, "x")
    assert await auth.links.find(ann.id) is None
    await auth.links.set(bob.id, 9, None)
    assert await auth.telegram_user(8, None) is None
    assert [(event.event_type, event.user_id) for event in await auth.list_audit(4)] == [
        ("telegram_linked", bob.id),
        ("telegram_linked", bob.id),
        ("telegram_unlinked", ann.id),
        ("telegram_linked", ann.id),
    ]


async def test_several_users_may_have_no_name(auth: Auth) -> None:
    ann, bob = await auth.create_user(), await auth.create_user()
    await auth.links.set(ann.id, 7, "")
    await auth.links.set(bob.id, 8, "")
    assert await auth.telegram_user(7, None) == ann


async def test_links_that_make_no_sense(auth: Auth) -> None:
    ann = await auth.create_user()
    for telegram_id, username in ((None, None), (None, " @ "), (0, None), (-5, None), (2**63, None), (None, "a b")):
        with pytest.raises(InvalidInput):
            await auth.links.set(ann.id, telegram_id, username)
    with pytest.raises(NotFound):
        await auth.links.set("nobody", 7, None)
